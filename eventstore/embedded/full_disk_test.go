package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded"
)

// asChild names the environment variable that tells a test that it runs in a process of its own.
const asChild = "EMBEDDED_TEST_CHILD"

// alone runs a test in a process of its own, since it changes what holds for a whole process: its limits, or its user. It
// tells whether this is that process.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(asChild) == t.Name() {
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
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
	goesOnAfter(t, t.TempDir(), hindrance{
		hinder:  func() { limit(5 << 20) },
		relieve: func() { limit(unlimited.Cur) },
	})
}

func TestTheFolderIsReadOnly(t *testing.T) {
	if !alone(t) {
		return
	}
	dir, err := os.MkdirTemp("", "") // the parent removes it: nobody couldn't
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		// Root may write everywhere: become nobody, who may get to the folder and own it.
		const nobody = 65534
		for path := dir; path != os.TempDir(); path = filepath.Dir(path) {
			if err := os.Chmod(path, 0o711); err != nil {
				t.Fatal(err)
			}
		}
		err := errors.Join(os.Chmod(filepath.Dir(os.TempDir()), 0o711), os.Chmod(os.TempDir(), 0o711), os.Chown(dir, nobody, nobody),
			syscall.Setgid(nobody), syscall.Setuid(nobody))
		if err != nil {
			t.Fatal(err)
		}
	}
	chmod := func(mode fs.FileMode) {
		if err := errors.Join(os.Chmod(filepath.Join(dir, "data"), mode), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
	}
	goesOnAfter(t, dir, hindrance{
		hinder:   func() { chmod(0o500) },
		relieve:  func() { chmod(0o700) },
		noReopen: true,
	})
}

// smallDisk mounts a disk of a size. Who may not mount has no such disk, but the tests above, which meet the same code.
func smallDisk(t *testing.T, size string) (path string, ok bool) {
	path = t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size="+size); err != nil {
		t.Logf("no small disk: %v", err)
		return "", false
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return path, true
}

func TestTheDiskIsReadOnly(t *testing.T) {
	mount, ok := smallDisk(t, "64m")
	if !ok {
		return
	}
	dir := filepath.Join(mount, "store")
	server, err := embedded.Open(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	shut(t, server)
	if err := syscall.Mount("", mount, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	refusesToOpen(t, dir)
}

func TestTheDiskIsFull(t *testing.T) {
	mount, ok := smallDisk(t, "160m")
	if !ok {
		return
	}
	filler := filepath.Join(mount, "filler")
	dir := filepath.Join(mount, "store")
	goesOnAfter(t, dir, hindrance{
		hinder: func() {
			// To the last byte, past what the store keeps in reserve.
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
		},
		relieve: func() {
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		},
		noReopen: true,
	})
}

// hindrance keeps a store from writing.
type hindrance struct {
	hinder, relieve func()
	noReopen        bool // a store can't be opened while it lasts
}

func refusesToOpen(t *testing.T, dir string) {
	t.Helper()
	server, err := embedded.Open(t.Context(), embedded.Options{Dir: dir})
	if err == nil {
		shut(t, server)
		t.Fatal("the store opens")
	}
	if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "let this user write") && !strings.Contains(err.Error(), "make room") {
		t.Errorf("it doesn't say what to do: %v", err)
	}
}

// goesOnAfter appends while the store is kept from writing and after that: appends fail as unavailable, reads go on, then
// appends go on; what was acknowledged is there once and in order, and what failed is not, unless its client was told that it
// may be.
func goesOnAfter(t *testing.T, dir string, h hindrance) {
	server, err := embedded.Open(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	db := connect(t, dir)
	const clients = 4
	next := make([]int, clients)     // per client, the events acknowledged
	unknown := make([]bool, clients) // and whether one more may be there
	add := func(client int) error {
		expected := esdb.ExpectedRevision(esdb.NoStream{})
		if next[client] > 0 {
			expected = esdb.Revision(uint64(next[client] - 1))
		}
		stream := fmt.Sprint("client-", client)
		e := event(fmt.Sprintf("%s %d", stream, next[client]))
		e.Metadata = make([]byte, 100<<10)
		_, err := db.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, e)
		if err == nil {
			next[client]++
		}
		unknown[client] = err != nil && (unknown[client] || strings.Contains(err.Error(), "may be written or not"))
		return err
	}
	// each has every client do something at once.
	each := func(do func(client int)) {
		var doing sync.WaitGroup
		for client := range clients {
			doing.Go(func() { do(client) })
		}
		doing.Wait()
	}
	untilItWorks := func(client int) {
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			err := add(client)
			if err == nil {
				return
			}
			if code(err) != esdb.ErrorUnavailable || time.Now().After(deadline) {
				t.Errorf("client %d: %v", client, err)
				return
			}
		}
	}
	check := func(when string) {
		t.Helper()
		found := make([]int, clients)
		for i, e := range readAll(t, db, esdb.Forwards, esdb.Start{}, everything) {
			var client, n int
			if _, err := fmt.Sscanf(name(e.Event), "client-%d %d", &client, &n); err != nil || n != found[client] || e.Event.Position.Commit != uint64(i+1) {
				t.Fatalf("%s: position %d, expected %d, holds %q", when, e.Event.Position.Commit, i+1, name(e.Event))
			}
			found[client]++
		}
		for client := range clients {
			if found[client] != next[client] && !(unknown[client] && found[client] == next[client]+1) {
				t.Errorf("%s: client %d reads %d events, %d were acknowledged", when, client, found[client], next[client])
			}
		}
	}

	each(untilItWorks)
	h.hinder()
	each(func(client int) {
		for range 1000 { // more than fits
			if err := add(client); err != nil {
				if code(err) != esdb.ErrorUnavailable || !strings.Contains(err.Error(), "can't write") {
					t.Errorf("while hindered: %v", err)
				}
				return
			}
		}
		t.Error("nothing was refused")
	})
	check("while hindered")
	if err := add(0); code(err) != esdb.ErrorUnavailable {
		t.Errorf("while hindered: %v", err)
	}
	h.relieve()
	for range 60 {
		each(untilItWorks)
	}
	check("relieved")

	h.hinder()
	each(func(client int) {
		for add(client) == nil {
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	t.Logf("closed while hindered: %v", server.Close(ctx))
	if h.noReopen {
		refusesToOpen(t, dir)
	}
	h.relieve()
	server, err = embedded.Open(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	db = connect(t, dir)
	each(untilItWorks) // what failed may be there: who repeats it finds out
	check("opened again")
	_ = db.Close()
	shut(t, server)
}
