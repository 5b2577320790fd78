package replay_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/analytics/export"
	"loyalty/analytics/replay"
	"loyalty/domain"
)

// exported is a folder with the history of a shop, in files of at most so many rows.
func exported(t testing.TB, s *shop, rows int, types ...string) string {
	t.Helper()
	if len(types) == 0 {
		types = export.Types()
	}
	dir := filepath.Join(t.TempDir(), "history")
	if _, err := export.Run(t.Context(), s.store, export.Options{Dir: dir, Format: export.Parquet, Types: types, PartRows: rows}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAnExportIsFoldedToTheSameAsTheLog(t *testing.T) {
	s := openShop(t)
	s.busy(150)
	middle, moment := s.last, time.UnixMicro(s.clock.Load()).UTC()
	s.clock.Add(1_000_000)
	s.busy(900)
	dir := exported(t, s, 1024)
	for _, o := range []replay.Options{
		{}, {By: replay.ByChannel}, {Until: until(t, middle.String())}, {Until: until(t, moment.Format(time.RFC3339Nano))}, {Until: until(t, moment.Format(time.DateOnly))},
		{Policy: policy(t, autumn), By: replay.ByMonth}, {Policy: policy(t, "id: simple\nspendPerPoint: {GBP: 700}"), By: replay.ByCurrency},
		{Policy: policy(t, autumn), Until: until(t, middle.String()), By: replay.ByChannel},
	} {
		want := fold(t, s, o)
		got, err := replay.FromExport(bounded(t), dir, o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(report(t, want, 10), report(t, got, 10)); diff != "" {
			t.Errorf("%+v (-log +export):\n%s", o, diff)
		}
		if want.Digests(proxies(t)) != got.Digests(proxies(t)) || want.OtherDigests(proxies(t)) != got.OtherDigests(proxies(t)) {
			t.Errorf("%+v: other digests", o)
		}
	}
}

func TestAMomentThatIsNotInAnExportIsRefused(t *testing.T) {
	s := openShop(t)
	s.turn("2026-10-01T08:30:00Z")
	first := s.order("alice", 2000, domain.GBP, domain.Store)
	s.turn("2026-10-03T17:00:00Z")
	s.giveBack(first, 500, domain.Store) // positions 3 and 4
	dir := exported(t, s, 1024)
	for text, says := range map[string]string{
		"2026-09-30": "first event", "2026-10-01T08:29Z": "2026-10-01T08:30:00Z", "2026-10-04": "2026-10-03T17:00:00Z", "2026-10-03T17:00:01Z": "last event",
		"5": "position 4", "0": "first event", "1": "position 2: use that", "3": "position 4: use that",
	} {
		_, err := replay.FromExport(bounded(t), dir, replay.Options{Until: until(t, text)})
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("until %s: %v, want %s", text, err, says)
		}
	}
	for _, text := range []string{"2", "4", "2026-10-01", "2026-10-02", "2026-10-03T17:00Z"} {
		if _, err := replay.FromExport(bounded(t), dir, replay.Options{Until: until(t, text)}); err != nil {
			t.Errorf("until %s: %v", text, err)
		}
	}
}

func TestAnExportThatIsNoneIsRefused(t *testing.T) {
	s := openShop(t)
	s.busy(20)
	for name, c := range map[string]struct {
		dir  string
		says string
	}{
		"empty":          {t.TempDir(), "no Parquet export"},
		"of other types": {exported(t, s, 1024, "points-awarded.v1"), "has no points-reversed.v1"},
	} {
		if _, err := replay.FromExport(bounded(t), c.dir, replay.Options{}); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := exported(t, s, 1024)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := replay.FromExport(ctx, dir, replay.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var board bytes.Buffer
	if err := replay.WriteParquet(&board, fold(t, s, replay.Options{}).Board(proxies(t)), false); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"cut short": whole[:len(whole)/2], "empty": nil, "another table": board.Bytes()} {
		if err := os.WriteFile(files[0], text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := replay.FromExport(bounded(t), dir, replay.Options{}); err == nil || !strings.Contains(err.Error(), files[0]) {
			t.Errorf("a file that is %s: %v", name, err)
		}
	}
}
