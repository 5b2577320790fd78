package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded"
)

const (
	crashFolder = "EMBEDDED_CRASH_FOLDER"
	crashRound  = "EMBEDDED_CRASH_ROUND"
	crashBatch  = 3 // events in each append
)

// TestMain runs the tests; or, as a child of TestAKilledProcessLosesNothing, the process that is to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashFolder); dir != "" {
		if err := appendUntilKilled(dir, os.Getenv(crashRound)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendUntilKilled appends from several clients at once and prints each append once it is acknowledged: its stream and the
// revision its first event stands at.
func appendUntilKilled(dir, round string) error {
	if _, err := embedded.Open(context.Background(), embedded.Options{Dir: dir}); err != nil {
		return err
	}
	target, err := embedded.SocketTarget(dir)
	if err != nil {
		return err
	}
	config, err := esdb.ParseConnectionString("esdb://127.0.0.1:1?tls=false")
	if err != nil {
		return err
	}
	config.Address, config.Logger = target, nil
	db, err := esdb.NewClient(config)
	if err != nil {
		return err
	}
	if _, err := db.GetServerVersion(); err != nil {
		return err
	}
	var mu sync.Mutex
	failed := make(chan error)
	for c := range 16 {
		go func() {
			stream := fmt.Sprintf("round-%s-client-%d", round, c)
			expected := esdb.ExpectedRevision(esdb.NoStream{})
			for revision := 0; ; revision += crashBatch {
				_, err := db.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, crashEvents(stream, revision)...)
				if err != nil {
					failed <- err
					return
				}
				mu.Lock()
				fmt.Println(stream, revision)
				mu.Unlock()
				expected = esdb.Revision(uint64(revision + crashBatch - 1))
			}
		}()
	}
	return <-failed
}

func crashEvents(stream string, revision int) []esdb.EventData {
	var batch []esdb.EventData
	for i := range crashBatch {
		batch = append(batch, event(fmt.Sprintf("%s %d", stream, revision+i)))
	}
	return batch
}

func TestAKilledProcessLosesNothing(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]int{} // stream → events
	for round := range 5 {
		killAChild(t, dir, fmt.Sprint(round), acknowledged)
		server := open(t, embedded.Options{Dir: dir})
		db := connect(t, dir)
		checkAfterCrash(t, db, acknowledged)
		_ = db.Close()
		shut(t, server)
	}
}

// killAChild starts a process that appends, kills it at some moment, and notes what it had acknowledged.
func killAChild(t *testing.T, dir, round string, acknowledged map[string]int) {
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashFolder+"="+dir, crashRound+"="+round)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(patience, func() { _ = child.Process.Kill() })
	defer watchdog.Stop()
	lines := bufio.NewScanner(out)
	left := 1 + rand.IntN(500) // acknowledged appends until the kill; what comes in the meantime counts as well
	for seen := 0; lines.Scan(); seen++ {
		if seen == left {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		var stream string
		var revision int
		if _, err := fmt.Sscan(lines.Text(), &stream, &revision); err != nil {
			break // the line it was killed at
		}
		acknowledged[stream] = max(acknowledged[stream], revision+crashBatch)
	}
	_ = child.Wait()
	if child.ProcessState.Exited() {
		t.Fatalf("the child ended by itself: %v", child.ProcessState)
	}
}

// checkAfterCrash checks that the log has no holes, that every stream holds whole appends in order and at least what was
// acknowledged, and that an append that may or may not have been written can be repeated.
func checkAfterCrash(t *testing.T, db *esdb.Client, acknowledged map[string]int) {
	found := map[string]int{}
	for i, e := range readAll(t, db, esdb.Forwards, esdb.Start{}, everything) {
		stream := e.Event.StreamID
		if e.Event.Position.Commit != uint64(i+1) || e.Event.EventNumber != uint64(found[stream]) || name(e.Event) != fmt.Sprintf("%s %d", stream, found[stream]) {
			t.Fatalf("position %d, expected %d: event %d of %s is %q", e.Event.Position.Commit, i+1, e.Event.EventNumber, stream, name(e.Event))
		}
		found[stream]++
	}
	for stream, count := range found {
		if count%crashBatch != 0 {
			t.Errorf("%s holds half an append: %d events", stream, count)
		}
		if byStream, err := readStream(t, db, stream, esdb.Forwards, esdb.Start{}, everything); err != nil || len(byStream) != count {
			t.Errorf("%s: %d events in its stream, %d in $all, %v", stream, len(byStream), count, err)
		}
	}
	for stream, count := range acknowledged {
		if found[stream] < count {
			t.Errorf("%s: %d events were acknowledged, %d are there", stream, count, found[stream])
		}
		last := max(count, found[stream]) - crashBatch
		expected := esdb.ExpectedRevision(esdb.NoStream{})
		if last > 0 {
			expected = esdb.Revision(uint64(last - 1))
		}
		if again := write(t, db, stream, expected, crashEvents(stream, last)...); again.NextExpectedVersion != uint64(last+crashBatch-1) {
			t.Errorf("%s: the last append repeated answers %d", stream, again.NextExpectedVersion)
		}
	}
}
