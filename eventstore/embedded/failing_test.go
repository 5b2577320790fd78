package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/uuid"
)

// faulty is a store on a disk that fails where and when a test says so.
type faulty struct {
	*store
	*writer
	t       *testing.T
	dir     string
	fails   atomic.Pointer[func(op errorfs.Op) error]
	writing sync.WaitGroup
}

func openFaulty(t *testing.T) *faulty {
	t.Helper()
	f := &faulty{t: t, dir: filepath.Join(t.TempDir(), dataFolder)}
	fs := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if fails := f.fails.Load(); fails != nil && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return (*fails)(op)
		}
		return nil
	}))
	var err error
	if f.store, err = openStore(fs, f.dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	f.writer = newWriter(f.store, time.Now, slog.New(slog.DiscardHandler))
	f.writing.Go(f.write)
	f.writing.Go(f.answerSynced)
	return f
}

func (f *faulty) fail(with error, where func(op errorfs.Op) bool) {
	fails := func(op errorfs.Op) error {
		if where(op) {
			return with
		}
		return nil
	}
	f.fails.Store(&fails)
}

func (f *faulty) heal() { f.fails.Store(nil) }

// put appends an event to a stream of its own. Repeated, it is the same append.
func (f *faulty) put(name string, size int) error {
	v, err := f.submit(f.t.Context(), &request{stream: name, expected: expectNoStream,
		events: []proposal{propose(uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)), name, []byte("noted"), true, make([]byte, size), nil)}})
	if err == nil && v.outcome != write && v.outcome != alreadyWritten {
		err = fmt.Errorf("%s: %+v", name, v)
	}
	return err
}

// putUntilItWorks appends as a client would that is told to try again.
func (f *faulty) putUntilItWorks(name string, size int) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		err := f.put(name, size)
		if err == nil {
			return
		}
		if !errors.Is(err, errUnwritable) || time.Now().After(deadline) {
			f.t.Fatalf("append %s: %v", name, err)
		}
	}
}

func (f *faulty) shut() error {
	close(f.queue)
	return f.store.close(f.writing.Wait)
}

// holds checks that a folder's store holds the given streams, of one event each, and nothing else.
func holds(t *testing.T, dir string, names []string) {
	t.Helper()
	s, err := openStore(vfs.Default, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if s.end() != uint64(len(names)) {
		t.Errorf("%d events, want %d", s.end(), len(names))
	}
	for _, name := range names {
		if _, r, found, err := s.find(name, 0, s.end()); !found || err != nil || string(r.stream) != name {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	if err := s.close(func() {}); err != nil {
		t.Error(err)
	}
}

func inLog(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".log") }

// TestWhoGivesUpWaitingIsNotServedLater has requests wait for the writer while the disk takes nothing.
func TestWhoGivesUpWaitingIsNotServedLater(t *testing.T) {
	w := idleWriter(t)
	early := asked(opAppend, "early", expectNoStream, "a")
	if err := w.enqueue(t.Context(), early); err != nil {
		t.Fatal(err)
	}
	w.store.disk.block(syscall.ENOSPC)
	if _, err := early.await(t.Context()); !errors.Is(err, errUnwritable) || strings.Contains(err.Error(), "may be written") {
		t.Errorf("who waits: got %v, want that it isn't written", err)
	}
	if _, err := w.submit(t.Context(), asked(opAppend, "late", expectNoStream, "b")); !errors.Is(err, errUnwritable) {
		t.Errorf("who comes: got %v, want that nothing can be written", err)
	}
	w.store.disk.unblock()
	close(w.queue)
	w.write()
	w.answerSynced()
	if w.store.end() != 0 {
		t.Errorf("%d events were written", w.store.end())
	}
}

func TestAWriteThatIsRefused(t *testing.T) {
	f := openFaulty(t)
	names := []string{"before", "during", "later"}
	f.putUntilItWorks("before", 10)
	f.fail(syscall.ENOSPC, func(op errorfs.Op) bool { return inLog(op) && op.Kind == errorfs.OpFileWrite })
	for range 3 {
		if err := f.put("during", 10); !errors.Is(err, errUnwritable) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
			t.Errorf("got %v, want that it can't write, why, and what to do", err)
		}
	}
	t.Run("is not shown, and what was there before is", func(t *testing.T) {
		h, err := f.head("before", f.end())
		if f.end() != 1 || h.last != 0 || err != nil {
			t.Errorf("the log ends at %d, the stream at %d, %v", f.end(), h.last, err)
		}
		var p page
		scan := allScan{store: f.store, render: render{store: f.store, now: time.Now}, next: 1, end: f.end(), left: 10}
		if err := scan.fill(&p); err != nil || len(p.ends) != 1 {
			t.Errorf("read: %d events, %v", len(p.ends), err)
		}
	})
	t.Run("is written once as soon as it can be", func(t *testing.T) {
		f.heal()
		f.putUntilItWorks("during", 10)
		f.putUntilItWorks("later", 10)
	})
	if err := f.shut(); err != nil {
		t.Error(err)
	}
	holds(t, f.dir, names)
}

// TestADiskThatFailsNowAndThen has the log, the manifest and the tables meet refusals of every kind while they grow, are
// flushed and compacted.
func TestADiskThatFailsNowAndThen(t *testing.T) {
	f := openFaulty(t)
	var names []string
	refusals := []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, syscall.EACCES, syscall.EIO, syscall.EMFILE}
	for round := range 15 {
		if round%2 == 1 {
			with := refusals[rand.IntN(len(refusals))]
			left := rand.Int64N(60)
			var seen atomic.Int64
			// Whatever can be repeated, for a while: then it works again.
			f.fail(with, func(op errorfs.Op) bool {
				return op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData && op.Kind != errorfs.OpFileSyncTo &&
					op.Kind != errorfs.OpFileClose && seen.Add(1) > left && seen.Load() < left+4
			})
		}
		for i := range 40 {
			name := fmt.Sprintf("%d-%d", round, i)
			names = append(names, name)
			f.putUntilItWorks(name, 100<<10)
		}
		if round%5 == 4 {
			if _, err := f.db.AsyncFlush(); err != nil {
				t.Fatal(err)
			}
		}
		f.heal()
	}
	if err := f.shut(); err != nil {
		t.Error(err)
	}
	holds(t, f.dir, names)
}

func TestASyncThatFailsIsNotRepeated(t *testing.T) {
	f := openFaulty(t)
	f.putUntilItWorks("before", 10)
	f.fail(syscall.EIO, func(op errorfs.Op) bool { return inLog(op) && op.Kind == errorfs.OpFileSyncData })
	if err := f.put("during", 10); !errors.Is(err, errUnwritable) || !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want that it can't write, and why", err)
	}
	f.heal()
	if err := f.put("later", 10); !errors.Is(err, errUnwritable) {
		t.Errorf("nobody knows what is on disk, yet: %v", err)
	}
	if _, _, found, err := f.find("before", 0, f.end()); !found || err != nil || f.end() != 1 {
		t.Errorf("what was there before can't be read: %v, %v", found, err)
	}
	if err := f.shut(); !errors.Is(err, errUnwritable) {
		t.Errorf("closed with %v, want that it isn't tidied up", err)
	}
	// In this test the disk took it all the same.
	holds(t, f.dir, []string{"before", "during"})
}

// TestClosingWhileTheDiskIsFull leaves everything acknowledged where the next open finds it.
func TestClosingWhileTheDiskIsFull(t *testing.T) {
	f := openFaulty(t)
	f.putUntilItWorks("before", 10)
	f.fail(syscall.ENOSPC, func(op errorfs.Op) bool { return true })
	if err := f.put("during", 10); !errors.Is(err, errUnwritable) {
		t.Errorf("got %v, want that it can't write", err)
	}
	if err := f.shut(); !errors.Is(err, errUnwritable) {
		t.Errorf("closed with %v, want that it isn't tidied up", err)
	}
	f.heal() // too late for what was waiting
	holds(t, f.dir, []string{"before"})
	holds(t, f.dir, []string{"before"})
}

func TestOpeningOnAFullDisk(t *testing.T) {
	f := openFaulty(t)
	f.putUntilItWorks("before", 10)
	if err := f.shut(); err != nil {
		t.Fatal(err)
	}
	for _, refusal := range []error{syscall.ENOSPC, syscall.EROFS} {
		for after := range int64(40) {
			var seen atomic.Int64
			f.fail(refusal, func(op errorfs.Op) bool { return seen.Add(1) > after })
			full := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					return (*f.fails.Load())(op)
				}
				return nil
			}))
			s, err := openStore(full, f.dir, slog.New(slog.DiscardHandler))
			if err == nil { // it got by with what there was
				err = s.close(func() {})
			}
			if err != nil && (!errors.Is(err, errUnwritable) || !errors.Is(err, refusal)) {
				t.Errorf("refused after %d writes: %v", after, err)
			}
			if err == nil && after == 0 {
				t.Error("nothing was refused")
			}
		}
	}
	holds(t, f.dir, []string{"before"})
}
