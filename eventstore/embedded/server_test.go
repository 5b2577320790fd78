package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded"
)

func TestOneServerAtATime(t *testing.T) {
	dir := t.TempDir()
	if running, err := embedded.Running(dir); running || err != nil {
		t.Errorf("before: running %v, %v", running, err)
	}
	server := open(t, embedded.Options{Dir: dir})
	if running, err := embedded.Running(dir); !running || err != nil {
		t.Errorf("while open: running %v, %v", running, err)
	}
	_, err := embedded.Open(t.Context(), embedded.Options{Dir: dir})
	if !errors.Is(err, embedded.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("second Open: %v, want ErrInUse naming the process", err)
	}
	write(t, connect(t, dir), "s", esdb.NoStream{}, event("a")) // the first is none the worse for it
	shut(t, server)
	if running, err := embedded.Running(dir); running || err != nil {
		t.Errorf("after: running %v, %v", running, err)
	}
	open(t, embedded.Options{Dir: dir})
}

func TestAskingWhetherItRunsNeverKeepsItFromOpening(t *testing.T) {
	dir := t.TempDir()
	shut(t, open(t, embedded.Options{Dir: dir}))
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = embedded.Running(dir)
					runtime.Gosched()
				}
			}
		})
	}
	for range 5 {
		shut(t, open(t, embedded.Options{Dir: dir}))
	}
	close(stop)
	asking.Wait()
}

func TestARestartFindsEverything(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for round := range 4 {
		server := open(t, embedded.Options{Dir: dir})
		db := connect(t, dir)
		for i := range 25 {
			n := fmt.Sprintf("%d-%d", round, i)
			write(t, db, fmt.Sprint("s", i%5), esdb.Any{}, event(n))
			want = append(want, n)
		}
		if got := names(readAll(t, db, esdb.Forwards, esdb.Start{}, everything)); !slices.Equal(got, want) {
			t.Fatalf("round %d: %v", round, got)
		}
		_ = db.Close()
		shut(t, server)
	}
}

func TestTheFolderIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "open")
	server := open(t, embedded.Options{Dir: dir})
	for path, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, filepath.Join(dir, "eventstore.sock"): 0o600 | os.ModeSocket} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	shut(t, server)
	if _, err := os.Stat(filepath.Join(dir, "eventstore.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestASocketLeftBehindIsReplaced(t *testing.T) {
	dir := t.TempDir()
	stale, err := net.Listen("unix", filepath.Join(dir, "eventstore.sock"))
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = stale.Close()
	open(t, embedded.Options{Dir: dir})
	write(t, connect(t, dir), "s", esdb.NoStream{}, event("a"))
}

func TestEveryFolderCanBeReached(t *testing.T) {
	for clause, folder := range map[string]string{
		"a long path":       strings.Repeat("long/", 40) + "folder",
		"an unusual name":   "a folder? of 100% größe#1",
		"a path one writes": "./plain/../plain",
	} {
		t.Run(clause, func(t *testing.T) {
			t.Chdir(t.TempDir())
			open(t, embedded.Options{Dir: folder})
			absolute, err := filepath.Abs(folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{folder, absolute} {
				target, err := embedded.SocketTarget(dir)
				if err != nil || len(target) > len("unix://")+103 {
					t.Errorf("target %q, %v", target, err)
				}
				write(t, dial(t, target), "s", esdb.Any{}, event(dir))
			}
		})
	}
}

func TestListeningOnTCP(t *testing.T) {
	dir := t.TempDir()
	server := open(t, embedded.Options{Dir: dir, Addr: "127.0.0.1:0"})
	overTCP, overSocket := dial(t, server.Addr()), connect(t, dir)
	write(t, overTCP, "s", esdb.NoStream{}, event("a"))
	if found, err := readStream(t, overSocket, "s", esdb.Forwards, esdb.Start{}, everything); err != nil || len(found) != 1 {
		t.Errorf("over the socket: %v, %v", found, err)
	}
	t.Run("found by gossip", func(t *testing.T) {
		config, err := esdb.ParseConnectionString("esdb://" + server.Addr() + "," + server.Addr() + "?tls=false")
		if err != nil {
			t.Fatal(err)
		}
		config.Logger = nil
		db, err := esdb.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		write(t, db, "s", esdb.Any{}, event("b"))
	})
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:2113", "no port"} {
		t.Run("refused: "+addr, func(t *testing.T) {
			if _, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Addr: addr}); err == nil || !strings.Contains(err.Error(), "address") {
				t.Errorf("got %v, want an error that names the address", err)
			}
		})
	}
	t.Run("a taken address leaves the folder free", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := embedded.Open(t.Context(), embedded.Options{Dir: dir, Addr: server.Addr()}); err == nil {
			t.Fatal("the address was given twice")
		}
		open(t, embedded.Options{Dir: dir})
	})
}

func TestCloseEndsSubscriptionsAndLetsAppendsFinish(t *testing.T) {
	dir := t.TempDir()
	server := open(t, embedded.Options{Dir: dir})
	db := connect(t, dir)
	sub := followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	expect(t, sub, "caught up")

	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var appending sync.WaitGroup
	for i := range 8 {
		db := connect(t, dir) // each its own: when the server goes away, callers that share a client may hang in it
		appending.Go(func() {
			for j := 0; ; j++ {
				n := fmt.Sprintf("%d-%d", i, j)
				if _, err := db.AppendToStream(context.Background(), n, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, event(n)); err != nil {
					return
				}
				mu.Lock()
				acknowledged[n] = true
				mu.Unlock()
			}
		})
	}
	for range 50 {
		if m := sub.Recv(); m.SubscriptionDropped != nil {
			t.Fatal(m.SubscriptionDropped.Error)
		}
	}
	shut(t, server)
	appending.Wait()
	for m := sub.Recv(); m.SubscriptionDropped == nil; m = sub.Recv() {
	}
	if err := server.Close(t.Context()); err != nil {
		t.Errorf("closing again: %v", err)
	}
	open(t, embedded.Options{Dir: dir})
	found := map[string]bool{}
	for _, n := range names(readAll(t, connect(t, dir), esdb.Forwards, esdb.Start{}, everything)) {
		if found[n] {
			t.Errorf("%s is there twice", n)
		}
		found[n] = true
	}
	for n := range acknowledged {
		if !found[n] {
			t.Errorf("%s was acknowledged and is lost", n)
		}
	}
}

func TestCloseDoesNotWaitForAClientThatStopsReading(t *testing.T) {
	dir := t.TempDir()
	server, err := embedded.Open(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	db := connect(t, dir)
	for i := range 40 {
		e := event(fmt.Sprint(i))
		e.Metadata = make([]byte, 500_000)
		write(t, db, "s", esdb.Any{}, e)
	}
	stream, err := db.ReadAll(t.Context(), esdb.ReadAllOptions{}, everything)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Recv(); err != nil { // and no more
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that calls were cut off", err)
	}
	open(t, embedded.Options{Dir: dir})
}

func TestNothingRunsAfterClose(t *testing.T) {
	before := goroutines()
	dir := t.TempDir()
	for range 3 {
		server := open(t, embedded.Options{Dir: dir, Addr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
		db := connect(t, dir)
		write(t, db, "s", esdb.Any{}, events("a", "b")...)
		for range 100 {
			sub, err := db.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
			if err != nil {
				t.Fatal(err)
			}
			_ = sub.Close()
		}
		_ = db.Close()
		shut(t, server)
	}
	deadline := time.Now().Add(patience)
	for {
		left := goroutines()
		for stack := range before {
			delete(left, stack)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for stack, count := range left {
				t.Errorf("%d still run:\n%s", count, stack)
			}
			return
		}
		runtime.Gosched()
	}
}

// goroutines are those that run, by where they were started.
func goroutines() map[string]int {
	buf := make([]byte, 1<<22)
	found := map[string]int{}
	for _, stack := range strings.Split(strings.TrimSpace(string(buf[:runtime.Stack(buf, true)])), "\n\n") {
		lines := strings.Split(stack, "\n")
		if len(lines) > 2 {
			found[strings.Join(lines[len(lines)-2:], "\n")]++
		}
	}
	return found
}
