package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// TestAKilledProcessLosesNothing kills the process that appends to one growing store, many times over, at random moments.
func TestAKilledProcessLosesNothing(t *testing.T) {
	const rounds = 25
	dir := t.TempDir()
	acknowledged := map[string]int{} // stream → events
	for round := range rounds {
		killAChild(t, dir, fmt.Sprint(round), 1+rand.IntN(60), acknowledged)
		soundStore(t, dir) // as the crash left it; below, as the restart does
		server := open(t, embedded.Options{Dir: dir})
		db := connect(t, dir)
		streams := fmt.Sprintf("round-%d-", round)
		if round == rounds-1 {
			streams = ""
		}
		if err := whole(db, acknowledged, streams); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		repeatLastAppends(t, db, streams, acknowledged)
		_ = db.Close()
		shut(t, server)
		if round%5 == 0 {
			soundStore(t, dir)
		}
	}
	soundStore(t, dir)
}

// TestATailThatIsTornOrDamaged harms the end of the log that a killed process left, in each of many copies, by cutting it
// short or by flipping a byte; and other files as well. What was acknowledged is there, or the store says that it is damaged.
func TestATailThatIsTornOrDamaged(t *testing.T) {
	original := t.TempDir()
	acknowledged := map[string]int{}
	for round := range 2 { // so that there are tables, too
		killAChild(t, original, fmt.Sprint(round), 300, acknowledged)
	}
	newest := func(pattern string) func(dir string) (string, error) {
		return func(dir string) (string, error) {
			files, err := filepath.Glob(filepath.Join(dir, "data", pattern))
			if err != nil || len(files) == 0 {
				return "", fmt.Errorf("no %s: %w", pattern, err)
			}
			return files[len(files)-1], nil
		}
	}
	// A tail of some appends may not have been acknowledged yet; a tail of several batches has been, in part.
	const few, many = 3_000, 100_000 // bytes
	const littleCut, flippedAtEnd = "the log is cut a little short", "a byte at the end of the log is flipped"
	tear := func(within int) func(data []byte) []byte {
		return func(data []byte) []byte { return data[:len(data)-1-rand.IntN(min(within, len(data)))] }
	}
	flip := func(within int) func(data []byte) []byte {
		return func(data []byte) []byte {
			data[len(data)-1-rand.IntN(min(within, len(data)))] ^= byte(1 + rand.IntN(255))
			return data
		}
	}
	for _, harm := range []struct {
		clause string
		times  int
		file   func(dir string) (string, error)
		change func(data []byte) []byte
	}{
		{littleCut, 4, newest("*.log"), tear(few)},
		{"the log is cut short", 4, newest("*.log"), tear(many)},
		{flippedAtEnd, 4, newest("*.log"), flip(few)},
		{"a byte in the log is flipped", 3, newest("*.log"), flip(1 << 30)},
		{"the manifest is cut short", 3, newest("MANIFEST-*"), tear(few)},
		{"a byte in the manifest is flipped", 4, newest("MANIFEST-*"), flip(1 << 30)},
		{"a byte in a table is flipped", 3, newest("*.sst"), flip(1 << 30)},
		{"a byte of the mark is flipped", 1, newest("acknowledged"), flip(1 << 30)},
	} {
		t.Run(harm.clause, func(t *testing.T) {
			noticed := 0
			for range harm.times {
				dir := filepath.Join(t.TempDir(), "copy")
				if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(filepath.Join(original, "data"))); err != nil {
					t.Fatal(err)
				}
				path, err := harm.file(dir)
				if err != nil {
					t.Fatal(err)
				}
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, harm.change(data), 0o600); err != nil {
					t.Fatal(err)
				}
				report, checkErr := embedded.Check(t.Context(), dir, nil)
				err = readDamaged(t, dir, acknowledged)
				if err == nil {
					continue
				}
				noticed++
				if !strings.Contains(err.Error(), "damaged") && !strings.Contains(err.Error(), "corrupt") {
					t.Errorf("%s: %v", filepath.Base(path), err)
				}
				if checkErr == nil && report.Found == 0 {
					t.Errorf("%s: a check finds nothing, but: %v", filepath.Base(path), err)
				}
			}
			if noticed == 0 && harm.clause != littleCut && harm.clause != flippedAtEnd {
				t.Error("it was never noticed")
			}
		})
	}
}

// readDamaged opens a store and reads all of it. No error means that it is whole.
func readDamaged(t *testing.T, dir string, acknowledged map[string]int) error {
	server, err := embedded.Open(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { _ = server.Close(context.Background()) }() // it may complain
	db := connect(t, dir)
	defer db.Close()
	return whole(db, acknowledged, "")
}

// soundStore checks a store that nobody serves.
func soundStore(t *testing.T, dir string) {
	t.Helper()
	report, err := embedded.Check(t.Context(), dir, nil)
	if err != nil || report.Found > 0 {
		t.Fatalf("check: %+v, %v", report.Findings, err)
	}
}

// killAChild starts a process that appends, kills it at some moment after it has acknowledged a number of appends, and notes
// what it had acknowledged.
func killAChild(t *testing.T, dir, round string, appends int, acknowledged map[string]int) {
	t.Helper()
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
	for seen := 0; lines.Scan(); seen++ {
		if seen == appends { // what comes until it is dead counts as well
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

// errWrong says that something is served that was not written like that, or that something is missing without a word.
var errWrong = errors.New("wrong")

// whole reads everything and checks that the log has no holes, and that every stream holds whole appends in order and at
// least what was acknowledged. Streams whose names begin with streams are read one by one as well.
func whole(db *esdb.Client, acknowledged map[string]int, streams string) error {
	all, err := drain(db.ReadAll(context.Background(), esdb.ReadAllOptions{From: esdb.Start{}}, everything))
	found := map[string]int{}
	for i, e := range all {
		stream := e.Event.StreamID
		if e.Event.Position.Commit != uint64(i+1) || e.Event.EventNumber != uint64(found[stream]) || name(e.Event) != fmt.Sprintf("%s %d", stream, found[stream]) {
			return fmt.Errorf("%w: position %d, expected %d: event %d of %s is %q", errWrong, e.Event.Position.Commit, i+1, e.Event.EventNumber, stream, name(e.Event))
		}
		found[stream]++
	}
	if err != nil {
		return err
	}
	for stream, count := range found {
		if count%crashBatch != 0 || count < acknowledged[stream] {
			return fmt.Errorf("%w: %s holds %d events, %d were acknowledged", errWrong, stream, count, acknowledged[stream])
		}
		if !strings.HasPrefix(stream, streams) {
			continue
		}
		byStream, err := drain(db.ReadStream(context.Background(), stream, esdb.ReadStreamOptions{From: esdb.Start{}}, everything))
		for i, e := range byStream {
			if name(e.Event) != fmt.Sprintf("%s %d", stream, i) {
				return fmt.Errorf("%w: event %d of %s is %q", errWrong, i, stream, name(e.Event))
			}
		}
		if err != nil {
			return err
		}
		if len(byStream) != count {
			return fmt.Errorf("%w: %s: %d events in its stream, %d in $all", errWrong, stream, len(byStream), count)
		}
	}
	for stream, count := range acknowledged {
		if found[stream] == 0 {
			return fmt.Errorf("%w: %s: %d events were acknowledged, none is there", errWrong, stream, count)
		}
	}
	return nil
}

// repeatLastAppends repeats the last acknowledged append of each of those streams, as a client does that can't tell whether
// it went through.
func repeatLastAppends(t *testing.T, db *esdb.Client, streams string, acknowledged map[string]int) {
	t.Helper()
	for stream, count := range acknowledged {
		if !strings.HasPrefix(stream, streams) {
			continue
		}
		last := count - crashBatch
		expected := esdb.ExpectedRevision(esdb.NoStream{})
		if last > 0 {
			expected = esdb.Revision(uint64(last - 1))
		}
		if again := write(t, db, stream, expected, crashEvents(stream, last)...); again.NextExpectedVersion != uint64(last+crashBatch-1) {
			t.Errorf("%s: the last append repeated answers %d", stream, again.NextExpectedVersion)
		}
	}
}
