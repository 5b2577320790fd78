package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"loyalty/analytics/replay"
	"loyalty/internal/app"
	"loyalty/internal/cli"
	"loyalty/internal/cli/analyst"
)

// replayed runs "replay --json" and reads what it prints.
func replayed(t *testing.T, environment []string, args ...string) analyst.ReplayReport {
	t.Helper()
	stdout, stderr, status := runIn(t, environment, append([]string{"replay", "--json"}, args...)...)
	var report analyst.ReplayReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != cli.ExitOK || stderr != "" {
		t.Fatalf("exit status %d, %v: %s%s", status, err, stdout, stderr)
	}
	return report
}

// withPolicy writes a policy to a file.
func withPolicy(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// shopped is the folder of a system with the orders of three customers, which is stopped at the end of during.
func shopped(t *testing.T, during func(data string)) string {
	t.Helper()
	data := t.TempDir()
	p := startDev(t, data)
	c := newClient(t, p, data)
	c.must(http.StatusCreated, nil, webshop, http.MethodPost, "/order/o-1", orderBody("alice", "100.00")) // 10 points
	c.must(http.StatusCreated, nil, webshop, http.MethodPost, "/order/o-2", orderBody("bob", "84.00"))    // 8
	c.must(http.StatusCreated, nil, supportClaims, http.MethodPost, "/loyalty/carol", map[string]any{"loyalty-points": 15, "reason": "late parcel"}, "Idempotency-Key: gift-1")
	c.must(http.StatusCreated, nil, webshop, http.MethodPost, "/order/o-1/returns/r-1", map[string]any{"amount": "40.00", "reason": "too small"}) // 4 back
	during(data)
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Fatal(status)
	}
	return data
}

func TestReplayEqualsWhatVerifyFindsServedOrNot(t *testing.T) {
	same := withPolicy(t, "id: 2026-01\nspendPerPoint: {GBP: 1000, EUR: 1150}")
	var verified cli.VerifyReport
	check := func(got analyst.ReplayReport) {
		t.Helper()
		if len(verified.Findings) != 1 || got.Digest.Ledger != verified.Findings[0].Digest || *got.Digest != *got.OtherDigest || got.Totals.Net != 29 || got.Position.String() != "8" {
			t.Errorf("replay: %+v, verify: %+v", got, verified)
		}
	}
	data := shopped(t, func(data string) {
		stdout, stderr, status := runProgram(t, "verify", "--json", "--data", data)
		if err := json.Unmarshal([]byte(stdout), &verified); err != nil || status != cli.ExitOK {
			t.Fatal(status, err, stderr)
		}
		check(replayed(t, nil, "--data", data, "--digest", "--policy", same))
	})
	check(replayed(t, nil, "--data", data, "--digest", "--policy", same))
	secret, err := os.ReadFile(app.Folder(data).ProxySecretFile())
	if err != nil {
		t.Fatal(err)
	}
	environment := []string{"LOYALTY_EVENTSTORE=" + app.EmbeddedScheme + app.Folder(data).EventStoreDir(), "LOYALTY_PROXY_SECRET=" + strings.TrimSpace(string(secret))}
	check(replayed(t, environment, "--digest", "--policy", same))
}

func TestReplayComparesPoliciesAndBreaksDown(t *testing.T) {
	data := shopped(t, func(string) {})
	more := withPolicy(t, "id: more\nspendPerPoint: {GBP: 200}\npointValue: 1\n")
	if r := replayed(t, nil, "--data", data, "--until", "5"); r.Totals.Net != 18 || r.Customers != 2 || len(r.Top) != 2 || r.Top[0].Points != 10 || r.Policy != nil || r.Digest != nil {
		t.Errorf("until 5: %+v", r)
	}
	r := replayed(t, nil, "--data", data, "--policy", more, "--by", "channel", "--top", "2")
	w := r.Policy
	if w.Totals.Net != 87 || w.Difference != 58 || w.Liability.Difference != 58 || w.Up != 2 || w.Same != 1 || w.Moves != (replay.Moves{Customers: 3, Median: 1, P90: 2, P99: 2, Up: 1, Down: 2}) {
		t.Errorf("under the policy: %+v", w)
	}
	if len(r.Parts) != 2 || len(r.Top) != 2 || len(w.Top) != 2 || w.Top[0].OtherRank != 1 || w.Top[0].Rank != 2 || *w.Top[0].OtherPoints != 42 {
		t.Errorf("%+v", r)
	}
	stdout, stderr, status := runProgram(t, "replay", "--data", data, "--policy", more, "--by", "month", "--digest")
	for _, says := range []string{"As of position 8", "under more", "+58 points", "2 up, 0 down, 1 the same", "0.87 instead of 0.29 at 0.01 a point", "DIGEST AT 8", w.Top[0].ProxyName, "1 (median), 2 (90 %)"} {
		if !strings.Contains(stdout, says) || status != cli.ExitOK || stderr != "" {
			t.Errorf("exit status %d, no %q in\n%s%s", status, says, stdout, stderr)
		}
	}
}

// Given no proxy secret
// When the log is folded
// Then everything is as with it, without names.
func TestReplayNeedsNoSecretForWhatHasNoNames(t *testing.T) {
	data := shopped(t, func(string) {})
	more := withPolicy(t, "id: more\nspendPerPoint: {GBP: 200}\n")
	of := "embedded:" + app.Folder(data).EventStoreDir()
	for _, args := range [][]string{{"--by", "month"}, {"--policy", more}} {
		with, without := replayed(t, nil, append(args, "--data", data)...), replayed(t, nil, append(args, "--eventstore", of)...)
		tops := []*[]replay.Place{&with.Top}
		if with.Policy != nil {
			tops = append(tops, &with.Policy.Top)
		}
		for _, top := range tops {
			for i := range *top {
				if (*top)[i].ProxyName == "" {
					t.Errorf("%v: no name in %+v", args, (*top)[i])
				}
				(*top)[i].ProxyName = ""
			}
		}
		if want, got := encoded(t, with), encoded(t, without); got != want {
			t.Errorf("%v: without the secret\n%s\nwant\n%s", args, got, want)
		}
	}
	stdout, stderr, status := runProgram(t, "replay", "--eventstore", of, "--format", "csv")
	if status != cli.ExitOK || !strings.HasPrefix(stdout, "rank,proxy_name,points\n1,,15\n") {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
	if stdout, stderr, status := runProgram(t, "replay", "--eventstore", of); status != cli.ExitOK || !regexp.MustCompile(`(?m)^1 +- +15$`).MatchString(stdout) {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
}

func encoded(t *testing.T, r analyst.ReplayReport) string {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReplayWritesFilesAndReadsAnExport(t *testing.T) {
	data := shopped(t, func(string) {})
	dir := t.TempDir()
	history := filepath.Join(dir, "history")
	exported(t, "--data", data, "--out", history)
	log, read := replayed(t, nil, "--data", data, "--digest"), replayed(t, nil, "--data", data, "--digest", "--from-export", history)
	if fmt.Sprintf("%+v %v", log.Report, *log.Digest) != fmt.Sprintf("%+v %v", read.Report, *read.Digest) {
		t.Errorf("of the log %+v, of the export %+v", log, read)
	}
	ranks := filepath.Join(dir, "ranks.csv")
	if stdout, stderr, status := runProgram(t, "replay", "--data", data, "--format", "csv", "--out", ranks); stdout+stderr != "" || status != cli.ExitOK {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
	text, err := os.ReadFile(ranks)
	if err != nil || strings.Count(string(text), "\n") != 4 || !strings.HasPrefix(string(text), "rank,proxy_name,points\n1,"+log.Top[0].ProxyName+",15\n") {
		t.Errorf("%q, %v", text, err)
	}
	if _, stderr, status := runProgram(t, "replay", "--data", data, "--format", "parquet", "--out", filepath.Join(dir, "ranks.parquet")); status != cli.ExitOK {
		t.Error(stderr)
	}
	// A disk that takes no more than it has leaves nothing.
	full := exec.CommandContext(t.Context(), "/bin/sh", "-c", `ulimit -f 0; exec "$0" "$@"`, program,
		"replay", "--data", data, "--from-export", history, "--format", "parquet", "--out", filepath.Join(dir, "full.parquet"))
	said, err := full.CombinedOutput()
	left, _ := filepath.Glob(filepath.Join(dir, "*full*"))
	hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if full.ProcessState.ExitCode() != cli.ExitFailed || !strings.Contains(string(said), "make room and run the same again") || len(left)+len(hidden) > 0 {
		t.Errorf("%v: %s; left %v %v", err, said, left, hidden)
	}
	// Ctrl-C, which has come already
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var out, errs bytes.Buffer
	if status := cli.Run(ctx, []string{"replay", "--data", data, "--from-export", history}, cli.Streams{Out: &out, Err: &errs}); status != cli.ExitFailed || out.Len() > 0 || !strings.Contains(errs.String(), "stopped at position 8, and nothing was written: run the same again") {
		t.Errorf("exit status %d: %s%s", status, out.String(), errs.String())
	}
}

func TestReplayUsedWronglySaysWhatToDo(t *testing.T) {
	data := shopped(t, func(string) {})
	for _, c := range []struct{ args, says string }{
		{"", "set LOYALTY_EVENTSTORE"},
		{"--digest --eventstore embedded:" + app.Folder(data).EventStoreDir(), "LOYALTY_PROXY_SECRET"},
		{"--data " + t.TempDir(), "loyalty dev --data"},
		{"--data " + data + " --until yesterday --by weekday --format xls --top 10001", "--by (by_unknown): say channel, month or currency; --format (format_unknown)"},
		{"--data " + data + " --until 1999-12-31", "is before the first event, which was stored at"},
		{"--data " + data + " --until 2999-12-31", "is after the last event, which was stored at"},
		{"--data " + data + " --until 4", "is in the middle of an append, whose last event is at position 5: use that"},
		{"--data " + data + " --until 9", "is after the last event"},
		{"--data " + data + " --format parquet", "--out"},
		{"--data " + data + " --policy " + withPolicy(t, "id: a\nspendPerPoint: {GBP: 0}"), "policy.yaml:2 (policy_invalid): spendPerPoint.GBP"},
		{"--data " + data + " --policy " + withPolicy(t, "id: a\nspendPerPoint: {GBP: 1}\nbonus: 5"), `policy.yaml:3 (policy_malformed): unknown field "bonus"`},
		{"--data " + data + " --policy nowhere.yaml", "nowhere.yaml"},
		{"--data " + data + " --from-export " + t.TempDir(), "no Parquet export"},
	} {
		stdout, stderr, status := runProgram(t, append([]string{"replay"}, strings.Fields(c.args)...)...)
		if status != cli.ExitUsage || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: exit status %d, says %q", c.args, status, stdout+stderr)
		}
	}
}
