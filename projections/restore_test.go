package projections_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

// unasked is a ledger that a leaderboard must not be loaded from.
type unasked struct{ ledger.Reader }

var errAsked = errors.New("the ledger was asked for all accounts")

func (unasked) Accounts(context.Context, func(ledger.Piece) error) (ledger.Snapshot, error) {
	return ledger.Snapshot{}, errAsked
}

func (unasked) Checkpoint(context.Context) (domain.Checkpoint, error) {
	return domain.Checkpoint{}, nil
}

// kept is a leaderboard that was written to a file, in which two customers are retired.
func keptBoard(t *testing.T, s *shop) (path string) {
	t.Helper()
	s.last = happen(t, s.store, forgotten("c-01"), forgotten("c-02"))
	if err := s.board.Wait(bounded(t), s.last); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "leaderboard.board")
	file := memory.File{Board: s.board, Path: path, Of: "all time", Logger: slog.New(slog.DiscardHandler)}
	if err := file.Save(bounded(t)); err != nil {
		t.Fatal(err)
	}
	return path
}

// Given a leaderboard that was written to a file when its process stopped
// When another process starts, after some more has happened
// Then it does not ask the ledger, and shows what the log says; those who were forgotten stay so.
func TestALeaderboardStartsFromItsFile(t *testing.T) {
	s, proxies := openShop(t), testProxies(t)
	path := keptBoard(t, s)
	last := happen(t, s.store, storetest.Adjusted("c-01", 40), storetest.Adjusted("c-05", 7), storetest.Adjusted("new", 9), forgotten("c-03"))
	board := memory.New()
	projection := projections.Leaderboard{
		Writer: board, Accounts: unasked{}, Log: s.store, Saved: &memory.File{Board: board, Path: path, Of: "all time"}, Proxies: proxies,
	}
	run(t, projection, s.store, projections.Options{})
	if err := board.Wait(bounded(t), last); err != nil {
		t.Fatal(err)
	}
	if found, err := projections.NewFold(s.store).VerifyLeaderboard(bounded(t), board, proxies, projections.CompareOptions{}); err != nil || found.Drifted != 0 || found.Customers != shoppers-2 {
		t.Errorf("%+v, %v", found, err)
	}
	for _, gone := range []domain.CustomerID{"c-01", "c-02", "c-03"} {
		if standing, ranked, _, err := board.Standing(bounded(t), proxies.Key(gone)); err != nil || ranked || !standing.Retired {
			t.Errorf("%s is at %+v, %t, %v", gone, standing, ranked, err)
		}
	}
}

// Given a file of a leaderboard that is not right, or too old
// When a process starts
// Then it says why the file is not used, and loads the leaderboard from the ledger.
func TestAFileThatIsNotRightIsNotUsed(t *testing.T) {
	s, others := openShop(t), openShop(t)
	path := keptBoard(t, s)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ledger.Wait(bounded(t), s.last); err != nil {
		t.Fatal(err)
	}
	otherProxies, err := domain.NewProxies([]byte("another secret of these tests"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*projections.Leaderboard, *memory.File)
		says   string
	}{
		"none":           {func(_ *projections.Leaderboard, f *memory.File) { f.Path += "x" }, "there is no file"},
		"cut off":        {func(_ *projections.Leaderboard, f *memory.File) { truncate(t, f.Path) }, "is damaged"},
		"other points":   {func(_ *projections.Leaderboard, f *memory.File) { f.Of = "season 2026-11" }, "all time"},
		"another log":    {func(p *projections.Leaderboard, _ *memory.File) { p.Log, p.Accounts = others.store, others.ledger }, "reflects the log up to position"},
		"another secret": {func(p *projections.Leaderboard, _ *memory.File) { p.Proxies = otherProxies }, domain.ErrOtherNames.Error()},
		"too old": {func(*projections.Leaderboard, *memory.File) {
			for i := range 10 {
				var events []domain.Event
				for n := range 1000 {
					events = append(events, storetest.Adjusted(domain.CustomerID(fmt.Sprintf("late-%d-%d", i, n)), 1))
				}
				s.last = happen(t, s.store, events...)
			}
			if err := s.ledger.Wait(bounded(t), s.last); err != nil {
				t.Fatal(err)
			}
		}, "faster"},
	} {
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		board := memory.New()
		file := &memory.File{Board: board, Path: path, Of: "all time"}
		p := projections.Leaderboard{
			Writer: board, Accounts: s.ledger, Log: s.store, Saved: file, Proxies: testProxies(t),
			Logger: slog.New(slog.NewTextHandler(io.Writer(&said), nil)), Now: time.Now,
		}
		c.change(&p, file)
		at, err := p.Checkpoint(bounded(t))
		if err != nil || !strings.Contains(said.String(), c.says) || !strings.Contains(said.String(), "is loaded") || strings.Contains(said.String(), "from its file") {
			t.Errorf("%s: at %s, %v; it says\n%s", name, at, err, &said)
		}
		var d leaderboard.Dashboard
		if err := board.Dashboard(bounded(t), domain.ProxyKey{}, 1, 0, &d); err != nil || d.Customers < shoppers-2 {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func truncate(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
}
