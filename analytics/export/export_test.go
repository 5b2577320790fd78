package export_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"loyalty/analytics/export"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

const smallPart = 1024

func (h *history) options(format export.Format) export.Options {
	return export.Options{Dir: filepath.Join(h.t.TempDir(), "out"), Format: format, Types: export.Types(), PartRows: smallPart}
}

// run exports, and fails the test if that fails.
func (h *history) run(o export.Options) export.Manifest {
	h.t.Helper()
	m, err := export.Run(h.t.Context(), h.store, o)
	if err != nil {
		h.t.Fatal(err)
	}
	checkFolder(h.t, o.Dir, m)
	return m
}

// checkFolder: the folder has the manifest and what it names, byte for byte, and nothing else.
func checkFolder(t testing.TB, dir string, m export.Manifest) {
	t.Helper()
	found := contents(t, dir)
	var saved export.Manifest
	if err := json.Unmarshal([]byte(found[export.ManifestName]), &saved); err != nil {
		t.Fatal(err)
	}
	delete(found, export.ManifestName)
	names := slices.Sorted(maps.Keys(found))
	var listed []string
	var events uint64
	after := m.After
	for _, file := range m.Files {
		listed = append(listed, file.Name)
		sum := sha256.Sum256([]byte(found[file.Name]))
		if int64(len(found[file.Name])) != file.Bytes || hex.EncodeToString(sum[:]) != file.SHA256 {
			t.Errorf("%s is not what the manifest says", file.Name)
		}
		if !after.Before(file.First) || file.Last.Before(file.First) {
			t.Errorf("%s goes from %s to %s, after %s", file.Name, file.First, file.Last, after)
		}
		after = file.Last
		events += uint64(file.Events)
	}
	if !slices.Equal(names, listed) {
		t.Errorf("the folder has %v, the manifest %v", names, listed)
	}
	if events != m.Events || m.Position.Before(after) || fmt.Sprint(saved) != fmt.Sprint(m) {
		t.Errorf("the manifest is %+v, and saved as %+v", m, saved)
	}
}

// contents are the files below a folder.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

func equalFolders(t testing.TB, got, want string) {
	t.Helper()
	a, b := contents(t, got), contents(t, want)
	if !slices.Equal(slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b))) {
		t.Fatalf("got the files %v, want %v", slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
	}
	for name := range a {
		if a[name] != b[name] {
			t.Errorf("%s differs: %d bytes, want %d", name, len(a[name]), len(b[name]))
		}
	}
}

var formats = []export.Format{export.Parquet, export.CSV, export.JSONLines}

// busyDays has three days: one with more events than three files hold, one with few, and one that is not over.
func busyDays(t testing.TB) *history {
	h := begin(t, time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC))
	h.batch(0, 3500)
	h.at("2026-10-02T09:00:00Z").batch(1, 10)
	h.at("2026-10-04T09:00:00Z").batch(2, 1500)
	return h
}

// batch appends n events to a stream of their own, a minute's worth of them.
func (h *history) batch(number, n int) {
	for done := 0; done < n; {
		var events []domain.Event
		if done%100 == 0 {
			events = append(events, storetest.Placed("alice"))
			done++
		}
		for ; done < n && len(events) < 100; done++ {
			events = append(events, account.PointsAdjusted{About: h.about("alice"), LoyaltyID: domain.LoyaltyID(fmt.Sprint("l-", done)), Points: domain.Points(done - 5), Reason: "goodwill", Actor: "s-1"})
		}
		h.append(fmt.Sprint("account-", number), int64(done-len(events))-1, eventstore.Metadata{Actor: "s-1"}, events...)
		h.pass(100 * time.Millisecond)
	}
}

func TestTheSameEventsGiveTheSameBytes(t *testing.T) {
	h := busyDays(t)
	for _, format := range formats {
		t.Run(string(format), func(t *testing.T) {
			once, again := h.options(format), h.options(format)
			m := h.run(once)
			h.run(again)
			equalFolders(t, again.Dir, once.Dir)
			if m.Events != 5010 {
				t.Errorf("%d events", m.Events)
			}
			h.run(once) // nothing is new
			equalFolders(t, again.Dir, once.Dir)
		})
	}
}

func TestADayIsAFolderAndItsFilesAreInTheOrderOfTheLog(t *testing.T) {
	h := busyDays(t)
	// The clock goes back to the day before: the log does not.
	h.at("2026-10-03T23:00:00Z").batch(3, 3)
	h.at("2026-10-05T00:00:00Z").batch(4, 1)
	m := h.run(h.options(export.JSONLines))
	var got []string
	for _, file := range m.Files {
		got = append(got, fmt.Sprint(file.Name, " ", file.Events, " ", file.Open))
	}
	want := []string{
		"day=2026-10-01/part-00000.jsonl 1024 false", "day=2026-10-01/part-00001.jsonl 1024 false",
		"day=2026-10-01/part-00002.jsonl 1024 false", "day=2026-10-01/part-00003.jsonl 428 false",
		"day=2026-10-02/part-00000.jsonl 10 false",
		"day=2026-10-04/part-00000.jsonl 1024 false", "day=2026-10-04/part-00001.jsonl 479 false",
		"day=2026-10-05/part-00000.jsonl 1 true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestAnExportThatGoesOnAsTheLogGrowsEqualsOneAtTheEnd(t *testing.T) {
	for _, format := range formats {
		t.Run(string(format), func(t *testing.T) {
			h := begin(t, time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC))
			often := h.options(format)
			if m := h.run(often); m.Events != 0 || len(m.Files) != 0 {
				t.Errorf("an empty log gives %+v", m)
			}
			for i, n := range []int{1, 1, 1021, 1, 2, 1023, 30, 1100, 2048} {
				h.batch(i, n)
				h.run(often)
				if i%3 == 2 {
					h.pass(24 * time.Hour)
				}
				once := h.options(format)
				h.run(once)
				equalFolders(t, often.Dir, once.Dir)
			}
		})
	}
}

func TestAnInterruptedExportGoesOn(t *testing.T) {
	h := busyDays(t)
	for _, format := range formats {
		t.Run(string(format), func(t *testing.T) {
			once, stopped := h.options(format), h.options(format)
			h.run(once)
			runs := 0
			for done := false; !done; runs++ {
				ctx, stop := context.WithCancel(t.Context())
				o := stopped
				o.Progress = func(_ string, events, _ uint64) {
					if events > smallPart {
						stop()
					}
				}
				m, err := export.Run(ctx, h.store, o)
				stop()
				if done = err == nil; !done && !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if len(m.Files) > 0 {
					checkFolder(t, o.Dir, m)
				}
				if runs > 20 {
					t.Fatal("it does not get anywhere")
				}
			}
			if runs < 2 {
				t.Error("it was never interrupted")
			}
			equalFolders(t, stopped.Dir, once.Dir)
		})
	}
}

func TestWhatACrashLeavesIsThrownAway(t *testing.T) {
	h := busyDays(t)
	once, crashed := h.options(export.CSV), h.options(export.CSV)
	h.run(once)
	for _, name := range []string{
		"._manifest.json.partial", "day=2026-10-01/.part-00001.csv.partial", // half-written
		"day=2026-10-01/part-00000.csv", "day=2026-10-09/part-00000.csv", // renamed, and not in the manifest yet
	} {
		path := filepath.Join(crashed.Dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("half"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	h.run(crashed)
	if _, err := os.Stat(filepath.Join(crashed.Dir, "day=2026-10-09", "part-00000.csv")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that the manifest does not name is there still: %v", err)
	}
	equalFolders(t, crashed.Dir, once.Dir)
}

func TestOnlyTheTypesAskedForAreExported(t *testing.T) {
	h := autumn(t)
	o := h.options(export.JSONLines)
	o.Types = []string{order.TypePointsReversed, account.TypePointsAdjusted}
	h.run(o)
	var want int
	for _, r := range h.all() {
		if slices.Contains(o.Types, r.Event.EventType()) {
			want++
		}
	}
	got := readJSON(t, o.Dir)
	if len(got) != want || want == 0 {
		t.Errorf("%d events, want %d", len(got), want)
	}
	for _, line := range got {
		if !slices.Contains(o.Types, line[export.Type].(string)) {
			t.Errorf("%v", line)
		}
	}
	if types := everyType(t); !slices.Equal(slices.Sorted(slices.Values(export.Types())), types) {
		t.Errorf("the types are %v, stored are %v", export.Types(), types)
	}
}

func TestAFolderIsOneExports(t *testing.T) {
	h := busyDays(t)
	o := h.options(export.CSV)
	h.run(o)
	refused := func(name string, change func(*export.Options), says string) {
		t.Run(name, func(t *testing.T) {
			before := contents(t, o.Dir)
			other := o
			change(&other)
			_, err := export.Run(t.Context(), h.store, other)
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("got %v, want something with %q", err, says)
			}
			if !maps.Equal(before, contents(t, o.Dir)) {
				t.Error("the folder was changed")
			}
		})
	}
	refused("another format", func(o *export.Options) { o.Format = export.Parquet }, `--format (export_differs): the export in `+o.Dir+` was begun with "csv", not "parquet"`)
	refused("another beginning", func(o *export.Options) { o.From, _ = export.ParseBound("--from", "2026-10-02") }, "--from (export_differs)")
	refused("another end", func(o *export.Options) { o.To, _ = export.ParseBound("--to", "2026-10-02") }, "--to (export_differs)")
	refused("other types", func(o *export.Options) { o.Types = o.Types[:1] }, "--types (export_differs)")
	refused("other files", func(o *export.Options) { o.PartRows *= 2 }, "rows per file")
	refused("no folder to make it in", func(o *export.Options) { o.Dir = filepath.Join(o.Dir, "no", "where") }, "make a folder")
	refused("something else's folder", func(o *export.Options) {
		o.Dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(o.Dir, "thesis.txt"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}, "there is something in")
	refused("a file is cut short", func(o *export.Options) {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := errors.Join(os.CopyFS(dir, os.DirFS(o.Dir)), os.Truncate(filepath.Join(dir, "day=2026-10-02", "part-00000.csv"), 7)); err != nil {
			t.Fatal(err)
		}
		o.Dir = dir
	}, "it has 7 bytes, not ")
	refused("a file is gone", func(o *export.Options) {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := errors.Join(os.CopyFS(dir, os.DirFS(o.Dir)), os.Remove(filepath.Join(dir, "day=2026-10-02", "part-00000.csv"))); err != nil {
			t.Fatal(err)
		}
		o.Dir = dir
	}, "is not as it was written")
	t.Run("a shorter log", func(t *testing.T) {
		shorter := begin(t, h.time())
		shorter.batch(0, 3)
		if _, err := export.Run(t.Context(), shorter.store, o); err == nil || !strings.Contains(err.Error(), "but the log ends at 3") {
			t.Error(err)
		}
	})
	t.Run("two at once", func(t *testing.T) {
		at := make(chan error, 1)
		other := h.options(export.CSV)
		other.Progress = func(string, uint64, uint64) {
			select {
			case at <- func() error { _, err := export.Run(t.Context(), h.store, other); return err }():
			default:
			}
		}
		h.run(other)
		if err := <-at; err == nil || !strings.Contains(err.Error(), "another export writes to") {
			t.Error(err)
		}
	})
}
