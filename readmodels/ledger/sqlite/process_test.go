package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// writerPath makes this program, started again by its test, a writer of the ledger at that path.
const writerPath = "LEDGER_TEST_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerPath); path != "" {
		fmt.Fprintln(os.Stderr, "writer:", write(context.Background(), path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// write applies one entry after another, and prints each position once it is applied, until somebody kills it or no longer
// reads.
func write(ctx context.Context, path string) error {
	l, err := Open(ctx, path)
	if err != nil {
		return err
	}
	defer l.Close()
	for n := uint64(1); ; n++ {
		if err := l.Apply(ctx, single(n)); err != nil {
			return err
		}
		if _, err := fmt.Println(n); err != nil {
			return err
		}
	}
}

func single(n uint64) ledger.Batch {
	return ledger.Batch{From: domain.CheckpointAt(position(n - 1)), To: domain.CheckpointAt(position(n)), Entries: entriesFrom(n, 1, 3)}
}

func TestAKilledProcessLosesNothingItAcknowledged(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := opened(t, path)

	// Given a writer in another process, which this one follows
	writer := exec.CommandContext(ctx, os.Args[0])
	writer.Env = append(os.Environ(), writerPath+"="+path)
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	if err := l.Wait(ctx, position(20)); err != nil {
		t.Fatal(err)
	}

	// When it is killed at its work
	var acknowledged uint64
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if acknowledged, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
		if acknowledged == 40 {
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Wait(); err == nil || acknowledged < 40 {
		t.Fatalf("the writer ended by itself after %d: %v", acknowledged, err)
	}

	// Then all that it acknowledged is there, whole, and the next writer goes on from there
	at, err := l.Checkpoint(ctx)
	if err != nil || at.Position.Commit < acknowledged {
		t.Fatalf("it acknowledged %d, and the ledger is at %s, %v", acknowledged, at, err)
	}
	if err := l.Apply(ctx, single(at.Position.Commit+1)); err != nil {
		t.Fatal(err)
	}
	var want domain.Points
	for n := range at.Position.Commit + 1 {
		want += entriesFrom(n+1, 1, 3)[0].Points
	}
	if got, err := l.Outstanding(ctx); err != nil || got != want {
		t.Errorf("outstanding are %d, %v; want %d", got, err, want)
	}
}
