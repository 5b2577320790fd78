package history_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/history"
)

// asChild names the environment variable that tells a test that it runs in a process of its own.
const asChild = "HISTORY_TEST_CHILD"

// alone runs a test in a process of its own, since it changes what holds for a whole process. It tells whether this is that one.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(asChild) == t.Name() {
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), asChild+"="+t.Name(), "TMPDIR="+t.TempDir())
	if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

func TestTheFilesMayNotGrow(t *testing.T) {
	if !alone(t) {
		return
	}
	var unlimited syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
		t.Fatal(err)
	}
	limit := func(bytes uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: unlimited.Max}); err != nil {
			t.Fatal(err)
		}
	}
	// In turn in the middle of a frame, and between two.
	goesOnAfter(t, t.TempDir(), func() { limit(2000) }, func() { limit(unlimited.Cur) })
}

func TestTheDiskIsFull(t *testing.T) {
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=2m"); err != nil {
		t.Logf("no small disk, but files that may not grow, which meet the same code: %v", err)
		return
	}
	defer func() {
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	filler := filepath.Join(mount, "filler")
	goesOnAfter(t, filepath.Join(mount, "history"), func() {
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for size := 1 << 20; size > 0; {
			if _, err := f.Write(make([]byte, size)); err != nil {
				size /= 2
			}
		}
	}, func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	})
}

// goesOnAfter applies batches until there is no more room: that is domain.ErrUnavailable, nothing of the batch is there, and
// questions are answered; then again once there is room. The second and third time a segment is full just then, so that its changes
// can't be sorted; that is made up for when the folder is opened again.
func goesOnAfter(t *testing.T, dir string, hinder, relieve func()) {
	const batch, perSegment = 7, 22
	options := history.Options{SnapshotEvery: batch*perSegment - 3}
	h, m := told(t, dir, options, five()...)
	s := newShop(batch)
	s.at = m.checkpoint().Commit
	next := func() history.Batch {
		b := s.next()
		b.Changes = slices.Clone(b.Changes)
		for i := range b.Changes {
			b.Changes[i].Key = keyOf(i)
		}
		return b
	}
	apply := func(b history.Batch) {
		t.Helper()
		if err := h.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		m.add(b)
	}
	check := func() {
		t.Helper()
		if at, err := h.Checkpoint(t.Context()); err != nil || at.Position != m.checkpoint() {
			t.Fatalf("it is at %s, %v; want %s", at, err, m.checkpoint())
		}
		for _, at := range []uint64{3, m.checkpoint().Commit / 2, m.checkpoint().Commit} {
			m.check(t, h, history.Moment{Position: position(at)}, keyOf(1), 10, 2)
		}
	}
	unsorted := func() int { return len(sorted(t, dir, "*.log")) - 1 - len(sorted(t, dir, "*.run")) }
	for round := range 3 {
		hinder()
		refused := next()
		err := h.Apply(t.Context(), refused)
		for n := 0; err == nil; err = h.Apply(t.Context(), refused) {
			m.add(refused)
			refused = next()
			if n++; n > 100_000 {
				t.Fatal("nothing was refused")
			}
		}
		for range 2 {
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("round %d: %v", round, err)
			}
			err = h.Apply(t.Context(), refused)
		}
		check()
		relieve()
		if round > 0 && unsorted() == 0 {
			t.Errorf("round %d: there was room to sort", round)
		}
		if round == 1 {
			shut(t, h)
			h = open(t, dir, options)
		}
		check()
		apply(refused)
		for segments := len(sorted(t, dir, "*.log")); len(sorted(t, dir, "*.log")) == segments; {
			apply(next())
		}
		for range perSegment - 1 {
			apply(next())
		}
		check()
	}
	shut(t, h)
	h = open(t, dir, options)
	check()
	shut(t, h)
	if n := unsorted(); n != 0 {
		t.Errorf("%d segments are not sorted", n)
	}
}
