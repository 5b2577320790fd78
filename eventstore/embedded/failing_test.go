package embedded

import (
	"errors"
	"log/slog"
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

// TestAWriteThatFails has the write-ahead log fail: the appends in it get an error, later ones too, nothing of it can be
// read, what was there before can, and the store closes and opens again with everything that was acknowledged.
func TestAWriteThatFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), dataFolder)
	var failing atomic.Bool
	fs := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if failing.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, ".log") {
			return syscall.EIO
		}
		return nil
	}))
	quiet := slog.New(slog.DiscardHandler)
	s, err := openStore(fs, dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter(s, time.Now, quiet)
	var writing sync.WaitGroup
	writing.Go(w.write)
	writing.Go(w.land)
	submit := func() error {
		_, err := w.submit(t.Context(), &request{stream: "s", expected: expectAny,
			events: []proposal{propose(uuid.New(), "s", []byte("noted"), true, []byte("data=x;"), nil)}})
		return err
	}
	if err := submit(); err != nil {
		t.Fatal(err)
	}
	failing.Store(true)
	for range 3 {
		if err := submit(); !errors.Is(err, errUnwritable) || !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v, want that the store can't write, and why", err)
		}
	}
	if h, err := s.head("s", s.end()); s.end() != 1 || h.last != 0 || err != nil {
		t.Errorf("the log ends at %d, the stream at %d, %v", s.end(), h.last, err)
	}
	var p page
	scan := allScan{store: s, render: render{store: s, now: time.Now}, next: 1, end: s.end(), left: 10}
	if err := scan.fill(&p); err != nil || len(p.ends) != 1 {
		t.Errorf("read: %d events, %v", len(p.ends), err)
	}
	failing.Store(false)
	if err := submit(); !errors.Is(err, errUnwritable) {
		t.Errorf("nobody knows what is on disk, yet: %v", err)
	}
	close(w.queue)
	writing.Wait()
	_ = s.close() // it may complain

	s, err = openStore(vfs.Default, dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if s.end() < 1 {
		t.Error("the acknowledged event is lost")
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
