package memory

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

func anything(domain.Checkpoint, int) error { return nil }

func fileOf(t *testing.T, b *Board, of string) *File {
	return &File{Board: b, Path: filepath.Join(t.TempDir(), "leaderboard.board"), Of: of, Logger: slog.New(slog.DiscardHandler)}
}

// same says that a board has all that another has.
func same(t interface {
	Helper()
	Errorf(string, ...any)
}, got, want *Board) {
	t.Helper()
	if !slices.Equal(ordered(got), ordered(want)) {
		t.Errorf("%d customers are in another order than %d", len(ordered(got)), len(ordered(want)))
	}
	if got.now.Checkpoint != want.now.Checkpoint || !got.now.AsOf.Equal(want.now.AsOf) {
		t.Errorf("it is at %+v, want %+v", got.now, want.now)
	}
	for what, sets := range map[string][2]int{"retired": {len(got.ranking.retired), len(want.ranking.retired)}, "beyond": {len(got.ranking.beyond), len(want.ranking.beyond)}} {
		if sets[0] != sets[1] {
			t.Errorf("%d are %s, want %d", sets[0], what, sets[1])
		}
	}
	for key := range want.ranking.retired {
		if _, retired := got.ranking.retired[key]; !retired {
			t.Errorf("%s is not retired", key)
		}
	}
	for key, total := range want.ranking.beyond {
		if got.ranking.beyond[key] != total {
			t.Errorf("%s has %d points, want %d", key, got.ranking.beyond[key], total)
		}
	}
}

// Given a board with all kinds of customers
// When it is written to a file and another process starts from it
// Then that has the same, and goes on as the first would.
func TestABoardIsRestoredFromItsFile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		board := New()
		n := rapid.IntRange(0, 300).Draw(rt, "customers")
		if err := board.Load(t.Context(), spread(n)); err != nil {
			rt.Fatal(err)
		}
		apply := func(to uint64, boards ...*Board) {
			var changes []leaderboard.Change
			for range rapid.IntRange(0, 40).Draw(rt, "changes") {
				changes = append(changes, leaderboard.Change{
					Key: customer(rapid.IntRange(0, n+5).Draw(rt, "who")), Points: domain.Points(rapid.SampledFrom([]int64{-7, 1, 500, 1<<27 - 1, 1 - 1<<27}).Draw(rt, "points")),
					Minute: int64(to), Retires: rapid.IntRange(0, 9).Draw(rt, "retires") == 0,
				})
			}
			for _, b := range boards {
				if err := b.Apply(t.Context(), leaderboard.Batch{From: b.now.Checkpoint, To: domain.Checkpoint{Position: position(to), Log: "log", Names: "names", Fold: 2}, AsOf: time.Unix(int64(to>>20), 0), Changes: changes}); err != nil {
					rt.Fatal(err)
				}
			}
		}
		apply(1<<40, board)
		apply(1<<41, board)
		file := fileOf(t, board, "all")
		if err := file.Save(t.Context()); err != nil {
			rt.Fatal(err)
		}
		again := New()
		other := &File{Board: again, Path: file.Path, Of: "all", Logger: file.Logger}
		if err := other.Restore(t.Context(), func(at domain.Checkpoint, customers int) error {
			if at != board.now.Checkpoint || customers != board.ranking.tree.count {
				rt.Errorf("it says that it is at %+v with %d customers", at, customers)
			}
			return nil
		}); err != nil {
			rt.Fatal(err)
		}
		same(rt, again, board)
		apply(1<<42, board, again)
		same(rt, again, board)
	})
}

// Given a board that changes without a pause, while it is written in small pieces
// When it is restored
// Then it is what the changes up to its position make of it, so nobody is further than another, or lost, or there twice.
func TestABoardIsSavedWhileItChanges(t *testing.T) {
	const n = 5000
	board, reference := New(), New()
	if err := errors.Join(board.Load(t.Context(), spread(n)), reference.Load(t.Context(), spread(n))); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var feeding sync.WaitGroup
	defer feeding.Wait()
	defer stop()
	var mu sync.Mutex
	var batches []leaderboard.Batch
	feeding.Go(func() {
		todo := newUpdates(n)
		for from := board.now.Checkpoint; ctx.Err() == nil; {
			batch := todo.batch(from.Position, 20)
			batch.Changes = append(batch.Changes, leaderboard.Change{Key: customer(int(batch.To.Position.Commit*7919) % n), Retires: len(batches)%10 == 0})
			mu.Lock()
			batches = append(batches, batch)
			mu.Unlock()
			if err := board.Apply(t.Context(), batch); err != nil {
				t.Error(err)
				return
			}
			from = batch.To
		}
	})
	moved := 0
	for range 30 {
		var data bytes.Buffer
		if _, err := board.save(t.Context(), &data, "all", 50); err != nil {
			t.Fatal(err)
		}
		d, err := describe(bytes.NewReader(data.Bytes()), int64(data.Len()))
		if err != nil {
			t.Fatal(err)
		}
		moved += count(d.Changed)
		saved, err := d.snapshot()
		again := New()
		if err = errors.Join(err, again.restore(t.Context(), bytes.NewReader(data.Bytes()), d, saved)); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		todo := batches
		mu.Unlock()
		for _, batch := range todo {
			if batch.From == reference.now.Checkpoint && !saved.Position.Before(batch.To.Position) {
				if err := reference.Apply(t.Context(), batch); err != nil {
					t.Fatal(err)
				}
			}
		}
		if same(t, again, reference); t.Failed() {
			return
		}
	}
	if moved < 100 {
		t.Errorf("only %d changed while they were written, which tests little", moved)
	}
}

func TestADamagedFileIsNeverUsed(t *testing.T) {
	board := New()
	if err := board.Load(t.Context(), spread(200)); err != nil {
		t.Fatal(err)
	}
	if err := board.Apply(t.Context(), leaderboard.Batch{From: board.now.Checkpoint, To: domain.CheckpointAt(position(1 << 40)), Changes: []leaderboard.Change{
		{Key: customer(1), Retires: true}, {Key: customer(2), Points: domain.MaxChange, Minute: 3}, {Key: customer(2), Points: domain.MaxChange, Minute: 3},
	}}); err != nil {
		t.Fatal(err)
	}
	file := fileOf(t, board, "all")
	if err := file.Restore(t.Context(), anything); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if err := file.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %s, %v", info.Mode(), err)
	}
	whole, err := os.ReadFile(file.Path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(file.Path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		again := New()
		if err := (&File{Board: again, Path: file.Path, Of: "all"}).Restore(t.Context(), anything); !errors.Is(err, domain.ErrInvalid) || again.ranking != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1 << (at % 8)
		refused("a bit flipped", damaged)
	}
	for size := 0; size < len(whole); size += 1 + size/20 {
		refused("cut off", whole[:size])
	}
	if err := os.WriteFile(file.Path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&File{Board: New(), Path: file.Path, Of: "season 2026-11"}).Restore(t.Context(), anything); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("for other points: %v", err)
	}
	unwanted := errors.New("unwanted")
	if err := (&File{Board: New(), Path: file.Path, Of: "all"}).Restore(t.Context(), func(domain.Checkpoint, int) error { return unwanted }); !errors.Is(err, unwanted) {
		t.Errorf("unwanted: %v", err)
	}
}

func TestAFileIsWrittenAtTheEndAndOnlyWhenSomethingHasChanged(t *testing.T) {
	board := New()
	file := fileOf(t, board, "all")
	ended, end := context.WithCancel(t.Context())
	end()
	file.Keep(ended, time.Hour)
	if _, err := os.Stat(file.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a board that is not loaded is written: %v", err)
	}
	if err := board.Load(t.Context(), spread(10)); err != nil {
		t.Fatal(err)
	}
	file.Keep(ended, time.Hour)
	if err := os.Remove(file.Path); err != nil {
		t.Fatal(err)
	}
	if file.Keep(ended, time.Hour); errors.Is(file.Restore(t.Context(), anything), nil) {
		t.Error("it is written again though nothing has changed")
	}
	if err := board.Apply(t.Context(), leaderboard.Batch{From: board.now.Checkpoint, To: domain.CheckpointAt(position(1 << 40))}); err != nil {
		t.Fatal(err)
	}
	if file.Keep(ended, time.Hour); file.Restore(t.Context(), anything) != nil {
		t.Error("it is not written when its position has moved")
	}
	if err := errors.Join(file.Remove(), file.Remove()); err != nil {
		t.Error(err)
	}
}

// FuzzFile restores files whose sums are right, whatever is in them, and files of any bytes: each is refused, or makes a sound board.
func FuzzFile(f *testing.F) {
	e := newEntry(leaderboard.Standing{Key: customer(1), Points: 5})
	two := appendEntry(appendEntry(nil, e), e.after())
	key := customer(2)
	f.Add(two, []byte(nil), []byte(nil), []byte(nil), 2)
	f.Add(two, two[:entrySize], key[:], appendTotal(nil, customer(1), 1<<40), 2)
	f.Fuzz(func(t *testing.T, entries, changed, retired, beyond []byte, customers int) {
		var file bytes.Buffer
		w := &writer{to: &file}
		d := description{Version: fileVersion, Customers: customers}
		for _, part := range []struct {
			data []byte
			size int
			into *[]block
		}{{entries, entrySize, &d.Entries}, {changed, entrySize, &d.Changed}, {retired, keySize, &d.Retired}, {beyond, totalSize, &d.Beyond}} {
			if data := part.data[:len(part.data)/part.size*part.size]; len(data) > 0 {
				b, err := w.block(data, part.size)
				if err != nil {
					t.Fatal(err)
				}
				*part.into = append(*part.into, b)
			}
		}
		if err := w.end(d); err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{file.Bytes(), entries} {
			d, err := describe(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				continue
			}
			if r, err := restored(t.Context(), bytes.NewReader(data), d); err == nil {
				check(t, r)
				r.release()
			}
		}
	})
}
