package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/internal/app"
	"loyalty/internal/cli"
	"loyalty/internal/cli/analyst"
)

// exported runs "export --json" and reads what it prints.
func exported(t *testing.T, args ...string) analyst.ExportReport {
	t.Helper()
	stdout, stderr, status := runProgram(t, append([]string{"export", "--json"}, args...)...)
	var report analyst.ExportReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != cli.ExitOK || strings.Contains(stderr, "loyalty:") {
		t.Fatalf("exit status %d, %v: %s%s", status, err, stdout, stderr)
	}
	return report
}

// filesIn are the files below a folder, and what is in them.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, filepath.Join(dir, "_manifest.json")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = string(text)
	}
	return found
}

func TestExportWritesTheHistoryOfAFolderServedOrNot(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	c := newClient(t, p, data)
	c.must(201, nil, webshop, "POST", "/order/o-1", orderBody("alice", "20.00"))
	out := filepath.Join(t.TempDir(), "history")
	if r := exported(t, "--data", data, "--out", out, "--format", "csv"); r.Events != 2 || r.Files != 1 || r.Position.String() != "3" || r.Out != out || r.Bytes == 0 {
		t.Errorf("while it is served: %+v", r)
	}
	c.must(201, nil, webshop, "POST", "/order/o-2", orderBody("bob", "30.00"))
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Fatal(status)
	}
	stdout, stderr, status := runIn(t, []string{"LOYALTY_EVENTSTORE=embedded:" + app.Folder(data).EventStoreDir()}, "export", "--out", out, "--format", "csv")
	if status != cli.ExitOK || !strings.HasPrefix(stdout, out+" has 4 events up to position 5, in ") {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
	var lines []string
	for name, text := range filesIn(t, out) {
		if strings.HasSuffix(name, ".csv") {
			lines = append(lines, strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")[1:]...)
		}
	}
	if len(lines) != 4 || !slices.ContainsFunc(lines, func(line string) bool {
		return strings.Contains(line, ",order-website.o-2,") && strings.Contains(line, ",bob,website,")
	}) {
		t.Errorf("the files have %q", lines)
	}
	if r := exported(t, "--data", data, "--out", filepath.Join(t.TempDir(), "points"), "--types", "points-awarded.v1", "--from", "3"); r.Events != 1 || r.After.String() != "3" {
		t.Errorf("after a position: %+v", r)
	}
}

func TestExportUsedWronglySaysWhatToDo(t *testing.T) {
	data, taken := stoppedWithOrders(t, 1), t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct{ args, says string }{
		{"--data " + data, "--out"},
		{"--out " + out, "LOYALTY_EVENTSTORE"},
		{"--out " + out + " --data " + t.TempDir(), "loyalty dev --data"},
		{"--out " + out + " --data " + data + " --format xls", "--format (format_unknown): the formats are parquet, csv and jsonl"},
		{"--out " + out + " --data " + data + " --types points-awarded.v9,order-placed.v1", `no event is called "points-awarded.v9"; they are order-placed.v1, points-awarded.v1`},
		{"--out " + out + " --data " + data + " --from yesterday --to 2026-13-01", "--to (bound_malformed)"},
		{"--out " + out + " --data " + data + " --from 1999-12-31", "is before the first event"},
		{"--out " + out + " --data " + data + " --to 2999-12-31", "is after the last event"},
		{"--out " + out + " --data " + data + " --to 2", "is in the middle of an append, whose last event is at position 3: use that"},
		{"--out " + taken + " --data " + data, "there is something in"},
	} {
		stdout, stderr, status := runProgram(t, append([]string{"export"}, strings.Fields(c.args)...)...)
		if status != cli.ExitUsage || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: exit status %d, says %q", c.args, status, stdout+stderr)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a folder was made")
	}
	exported(t, "--data", data, "--out", out)
	if _, stderr, status := runProgram(t, "export", "--data", data, "--out", out, "--format", "csv"); status != cli.ExitUsage || !strings.Contains(stderr, `was begun with "parquet", not "csv"`) {
		t.Errorf("exit status %d: %s", status, stderr)
	}
}

func TestExportStoppedByCtrlCSaysHowToGoOn(t *testing.T) {
	data := app.Folder(t.TempDir())
	s, err := app.Connections{Eventstore: app.EmbeddedScheme + data.EventStoreDir()}.Open(t.Context(), app.Wanted{}, app.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 80 {
		about := domain.About{CustomerID: "alice", OccurredAt: time.Now().UTC().Truncate(time.Microsecond)}
		many := slices.Repeat([]domain.Event{account.PointsAdjusted{About: about, LoyaltyID: "l-1", Points: 1, Reason: "goodwill", Actor: "s-1"}}, 500)
		if _, err := s.Store.Append(t.Context(), fmt.Sprint("account-", n), eventstore.NoStream, uuid.New(), eventstore.Metadata{}, many...); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	once, stopped := filepath.Join(t.TempDir(), "once"), filepath.Join(t.TempDir(), "stopped")
	p := &process{t: t, command: exec.Command(program, "export", "--data", string(data), "--out", stopped), ended: make(chan error, 1)}
	p.command.Stdout, p.command.Stderr = &p.out, &p.err
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.command.Wait() }()
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		p.ended <- <-p.ended
	})
	waitFor(t, "the export", func() bool {
		begun, _ := filepath.Glob(filepath.Join(stopped, "*", ".part*"))
		return len(begun) > 0
	})
	if status := p.stop(os.Interrupt); status != cli.ExitFailed || !strings.Contains(p.err.String(), "before the end: run the same again to go on from there") {
		t.Errorf("exit status %d: %s", status, p.err.String())
	}
	left, err := filepath.Glob(filepath.Join(stopped, "*", "*"))
	if hidden, _ := filepath.Glob(filepath.Join(stopped, "*", ".*")); err != nil || len(left)+len(hidden) > 0 {
		t.Errorf("it left %v %v (%v)", left, hidden, err)
	}
	exported(t, "--data", string(data), "--out", once)
	exported(t, "--data", string(data), "--out", stopped)
	if a, b := filesIn(t, once), filesIn(t, stopped); len(a) < 2 || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("the export that was stopped is not as one that was not")
	}
}
