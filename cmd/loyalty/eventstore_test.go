package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"loyalty/eventstore/embedded"
	"loyalty/internal/app"
	"loyalty/internal/cli"
)

// checkJSON runs "eventstore check --json" and reads what it prints.
func checkJSON(t *testing.T, data string) (embedded.Report, int) {
	t.Helper()
	stdout, stderr, status := runProgram(t, "eventstore", "check", "--data", data, "--json")
	var report embedded.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	return report, status
}

// stoppedWithOrders is the data folder of a process that took some orders and stopped.
func stoppedWithOrders(t *testing.T, orders int) string {
	t.Helper()
	data := t.TempDir()
	p := startDev(t, data)
	c := newClient(t, p, data)
	for i := range orders {
		c.must(http.StatusCreated, nil, webshop, http.MethodPost, fmt.Sprintf("/order/o-%d", i), orderBody("alice", "20.00"))
	}
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Fatal(status)
	}
	return data
}

func TestEventstoreCheckSaysThatNothingIsWrong(t *testing.T) {
	data := stoppedWithOrders(t, 3)
	stdout, stderr, status := runProgram(t, "eventstore", "check", "--data", data)
	if status != cli.ExitOK || stderr != "" || !strings.HasPrefix(stdout, "Nothing is wrong: 7 events in 4 streams; the last position is 7;") {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
	if report, status := checkJSON(t, data); status != cli.ExitOK || report.Events != 7 || report.Streams != 4 || report.Last != 7 || report.Found != 0 || report.Findings == nil {
		t.Errorf("exit status %d: %+v", status, report)
	}
}

func TestEventstoreCheckSaysWhatIsWrongAndWhere(t *testing.T) {
	data := stoppedWithOrders(t, 3)
	tables, err := filepath.Glob(filepath.Join(app.Folder(data).EventStoreDir(), "data", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	content, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	content[100] ^= 1
	if err := os.WriteFile(tables[0], content, 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, status := runProgram(t, "eventstore", "check", "--data", data)
	if status != cli.ExitFailed || !strings.Contains(stderr, "wrong with the event store") || !strings.Contains(stdout, "WHAT IS WRONG") || !strings.Contains(stdout, filepath.Base(tables[0])) {
		t.Errorf("exit status %d:\n%s%s", status, stdout, stderr)
	}
	report, status := checkJSON(t, data)
	if status != cli.ExitFailed || report.Found == 0 || report.Findings[0].File != filepath.Base(tables[0]) {
		t.Errorf("exit status %d: %+v", status, report)
	}
}

func TestEventstoreCommandsUsedWronglySayWhatToDo(t *testing.T) {
	running := t.TempDir()
	startDev(t, running)
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, says string }{
		{"check --data " + nowhere, "loyalty dev --data"},
		{"check --data " + t.TempDir(), "loyalty dev --data"},
		{"check --data " + running, "stop it first"},
		{"backup --data " + nowhere + " --to " + filepath.Join(t.TempDir(), "copy"), "loyalty dev --data"},
		{"backup --data " + running, "--to"},
		{"backup --data " + running + " --to " + full, "already"},
		{"backup --data " + running + " --to " + filepath.Join(full, "mine"), "already"},
		{"backup --data " + running + " --to " + filepath.Join(nowhere, "copy"), "no folder " + nowhere},
	} {
		stdout, stderr, status := runProgram(t, append([]string{"eventstore"}, strings.Fields(c.args)...)...)
		if status != cli.ExitUsage || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: exit status %d, says %q", c.args, status, stdout+stderr)
		}
	}
	if _, err := os.Stat(nowhere); err == nil {
		t.Error("a folder was made")
	}
	if left := names(t, full); !slices.Equal(left, []string{"mine"}) {
		t.Errorf("in the target that was taken: %v", left)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// TestABackupOfABusyProcessIsASystemOfItsOwn: it has all that was acknowledged before, and shows what the original showed.
func TestABackupOfABusyProcessIsASystemOfItsOwn(t *testing.T) {
	data, shelf := t.TempDir(), t.TempDir()
	p := startDev(t, data)
	c := newClient(t, p, data)
	early := purchases(7)[:500]
	if open := c.postAll(early, nil); len(open) > 0 {
		t.Fatalf("%d orders were not acknowledged", len(open))
	}
	last := c.barrier()
	// Orders of other customers go on while the backup is made, so that what it must show is known.
	var stop atomic.Bool
	ended := make(chan int)
	go func() {
		n := 0
		for ; !stop.Load(); n++ {
			got, err := c.call(webshop, http.MethodPost, fmt.Sprintf("/order/late-%d", n), orderBody(fmt.Sprintf("late-%d", n%10), "0.00"))
			if err != nil || got.status != http.StatusCreated {
				t.Errorf("order %d while the backup is made: %d %v", n, got.status, err)
				break
			}
		}
		ended <- n
	}()
	to := filepath.Join(shelf, "monday")
	stdout, stderr, status := runProgram(t, "eventstore", "backup", "--data", data, "--to", to, "--json")
	stop.Store(true)
	if n := <-ended; n == 0 {
		t.Error("no order was placed while the backup was made")
	}
	var report cli.BackupReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != cli.ExitOK || report.To != to || report.Last < 1000 || report.Bytes == 0 {
		t.Fatalf("exit status %d: %v: %s%s", status, err, stdout, stderr)
	}
	if got := names(t, shelf); !slices.Equal(got, []string{"monday"}) {
		t.Errorf("beside the backup there is %v", got)
	}
	if got := names(t, to); !slices.Equal(got, []string{"eventstore", "proxy.secret"}) {
		t.Errorf("in the backup there is %v", got)
	}
	noneForOthers(t, to)
	if found, status := checkJSON(t, to); status != cli.ExitOK || found.Last != report.Last || found.Found != 0 {
		t.Errorf("the check of the backup exits with %d: %+v", status, found)
	}
	var there []string
	for _, purchase := range early {
		there = append(there, purchase.customer)
	}
	slices.Sort(there)
	views := func(c *client) map[string]string {
		shown := map[string]string{}
		for _, id := range slices.Compact(there)[:40] {
			var dashboard dashboardAnswer
			c.must(http.StatusOK, &dashboard, customer(id), http.MethodGet, "/loyalty/"+id+"?top=50&around=5", nil, "Loyalty-Min-Position: "+last)
			var you rankAnswer // stays empty for who has no points
			if dashboard.You != nil {
				you = *dashboard.You
			}
			shown[id] = fmt.Sprint(dashboard.Top, dashboard.Around, you, c.trail(id, last))
		}
		return shown
	}
	before := views(c)
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Errorf("the original exits with %d", status)
	}
	after := views(newClient(t, startDev(t, to), to))
	for id, want := range before {
		if after[id] != want {
			t.Fatalf("%s sees in the original\n%s\nand in the backup\n%s", id, want, after[id])
		}
	}
}

func noneForOthers(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestABackupOfAStoppedProcessGoesIntoAnEmptyFolder(t *testing.T) {
	data, to := stoppedWithOrders(t, 2), t.TempDir()
	stdout, stderr, status := runProgram(t, "eventstore", "backup", "--data", data, "--to", to)
	if status != cli.ExitOK || !strings.Contains(stdout, "the last position is 5") || !strings.Contains(stdout, "check --data "+to) {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
	if report, status := checkJSON(t, to); status != cli.ExitOK || report.Events != 5 {
		t.Errorf("exit status %d: %+v", status, report)
	}
}

// TestABackupWithoutRoomLeavesNothing runs the command where no file may grow beyond a limit.
func TestABackupWithoutRoomLeavesNothing(t *testing.T) {
	data, shelf := stoppedWithOrders(t, 2), t.TempDir()
	running := t.TempDir()
	startDev(t, running)
	for clause, from := range map[string]string{"of a stopped process": data, "of a running one": running} {
		command := exec.CommandContext(t.Context(), "/bin/sh", "-c", `ulimit -f 1; exec "$0" "$@"`, program,
			"eventstore", "backup", "--data", from, "--to", filepath.Join(shelf, "copy"))
		out, err := command.CombinedOutput()
		if err == nil || command.ProcessState.ExitCode() != cli.ExitFailed || !strings.Contains(string(out), "file too large") {
			t.Errorf("%s: %v: %s", clause, err, out)
		}
		if left := names(t, shelf); len(left) > 0 {
			t.Errorf("%s: %v is left", clause, left)
		}
	}
	if report, status := checkJSON(t, data); status != cli.ExitOK {
		t.Errorf("the original: %+v", report)
	}
}
