package export_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/analytics/export"
	"loyalty/domain"
	"loyalty/eventstore/storetest"
)

const (
	// asChild names the environment variable that tells a test that it runs in a process of its own, and what its parent says.
	asChild  = "EXPORT_TEST_CHILD"
	patience = time.Minute
)

// child starts the test that calls it in a process of its own.
func child(ctx context.Context, t *testing.T, says string) *exec.Cmd {
	command := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	command.Env = append(os.Environ(), asChild+"="+says)
	return command
}

func TestAKilledExportGoesOn(t *testing.T) {
	if says := os.Getenv(asChild); says != "" {
		target, dir, _ := strings.Cut(says, " ")
		o := export.Options{Dir: dir, Format: export.Parquet, Types: export.Types(), PartRows: smallPart}
		if _, err := export.Run(t.Context(), storetest.Connect(t, target), o); err != nil {
			t.Fatal(err)
		}
		return
	}
	h := begin(t, time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC))
	h.batch(0, 20_000)
	once, killed := h.options(export.Parquet), h.options(export.Parquet)
	h.run(once)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	kills := 0
	for files := 1; ; files += 4 {
		run := child(ctx, t, h.target+" "+killed.Dir)
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- run.Wait() }()
		err := error(nil)
		for running := true; running; {
			select {
			case err = <-ended:
				running = false
			case <-time.After(time.Millisecond):
				if found, _ := filepath.Glob(filepath.Join(killed.Dir, "*", "*.parquet")); len(found) > files {
					if err := run.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
						t.Fatal(err)
					}
					err = <-ended
					running = false
				}
			}
		}
		if err == nil {
			break
		}
		if kills++; ctx.Err() != nil || kills > 50 {
			t.Fatal(err)
		}
	}
	if kills < 2 {
		t.Errorf("it was killed %d times", kills)
	}
	h.run(killed)
	equalFolders(t, killed.Dir, once.Dir)
}

// goesOnWithRoom: an export without room fails and says so, what it leaves is whole, and with room it goes on.
func goesOnWithRoom(t *testing.T, h *history, dir string, hinder, relieve func()) {
	for _, format := range formats {
		once := h.options(format)
		h.run(once)
		full := once
		full.Dir = filepath.Join(dir, string(format))
		hinder()
		m, err := export.Run(t.Context(), h.store, full)
		if err == nil || !strings.Contains(err.Error(), "make room and run the same again") {
			t.Errorf("%s: without room it says %v", format, err)
		}
		for name := range contents(t, full.Dir) {
			if strings.Contains(name, ".partial") {
				t.Errorf("%s: it leaves %s", format, name)
			}
		}
		if len(m.Files) > 0 {
			checkFolder(t, full.Dir, m)
		}
		relieve()
		h.run(full)
		equalFolders(t, full.Dir, once.Dir)
	}
}

func TestTheDiskIsFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Logf("who may not mount has no small disk, but the test below: %v", err)
		return
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	h := begin(t, time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC))
	h.batch(0, 4500)
	resize := func(size string) func() {
		return func() {
			if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT, "size="+size); err != nil {
				t.Fatal(err)
			}
		}
	}
	used := func() string {
		var bytes int
		for _, text := range contents(t, disk) {
			bytes += len(text) + 4096
		}
		return fmt.Sprint((bytes+120<<10)>>10, "k")
	}
	goesOnWithRoom(t, h, disk, func() { resize(used())() }, resize("64m"))
}

func TestAFileMayNotGrow(t *testing.T) {
	if os.Getenv(asChild) == "" {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if out, err := child(ctx, t, "limited").CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	h := begin(t, time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC))
	h.batch(0, 4500)
	var unlimited syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
		t.Fatal(err)
	}
	limit := func(bytes uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: unlimited.Max}); err != nil {
			t.Fatal(err)
		}
	}
	goesOnWithRoom(t, h, t.TempDir(), func() { limit(20 << 10) }, func() { limit(unlimited.Cur) })
}

func TestAnEventThatCannotBeReadEndsTheExportAtItsPosition(t *testing.T) {
	h := begin(t, time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC))
	h.batch(0, 3000)
	db, err := esdb.NewClient(&esdb.Configuration{Address: h.target, DisableTLS: true, MaxDiscoverAttempts: 1, GossipTimeout: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	broken := esdb.EventData{EventID: uuid.New(), EventType: "points-awarded.v1", ContentType: esdb.ContentTypeJson, Data: []byte(`{"points": "many"}`)}
	if _, err := db.AppendToStream(t.Context(), "order-broken", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, broken); err != nil {
		t.Fatal(err)
	}
	h.batch(1, 5000)
	o := bounded(t, h.options(export.CSV), "", "")
	m, err := export.Run(t.Context(), h.store, o)
	if !errors.Is(err, domain.ErrUndecodable) || !strings.Contains(err.Error(), "position 3001") {
		t.Fatalf("got %v", err)
	}
	checkFolder(t, o.Dir, m)
	if m.Events != 2*smallPart {
		t.Errorf("%d events are exported", m.Events)
	}
}
