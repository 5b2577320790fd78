package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"loyalty/internal/cli"
)

// Given an event store that lets only administrators read the whole log
// When a process is started as an ordinary user, Then it waits, and names the command that helps
// When an administrator runs that, Then the same process goes on, and takes and shows orders.
func TestAnOrdinaryUserNeedsOneGrant(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	cert, key := certificateFiles(t, dir)
	users := filepath.Join(dir, "users")
	file(t, users, "loyalty:pw\n[administrators]\nroot:s3cret\n", 0o600)
	server := startDev(t, data, "--eventstore-addr", "127.0.0.1:0", "--eventstore-cert", cert, "--eventstore-key", key, "--eventstore-users", users)
	found := regexp.MustCompile(`esdb://(127\.0\.0\.1:\d+)`).FindStringSubmatch(server.out.String())
	if found == nil {
		t.Fatalf("it doesn't say where its event store is:\n%s", server.out.String())
	}
	as := func(user string) string { return "esdb://" + user + "@" + found[1] + "?tlsCAFile=" + cert }
	settings := small(t, as("loyalty:pw"))
	p := launch(t, settings, "serve", "--addr", "127.0.0.1:0")
	waitFor(t, "the command that helps", func() bool { p.mustRun(); return strings.Contains(p.err.String(), "loyalty eventstore grant --user") })
	p.wantReady("as an ordinary user", map[string]string{"command": "loyalty eventstore grant --user"})
	grant := func(address string, args ...string) (stdout, stderr string, status int) {
		return runIn(t, []string{"LOYALTY_EVENTSTORE=" + address}, append([]string{"eventstore", "grant", "--user", "loyalty"}, args...)...)
	}
	if _, stderr, status := grant(as("loyalty:pw")); status != cli.ExitFailed || !strings.Contains(stderr, "only an administrator") || strings.Contains(stderr, "pw") {
		t.Errorf("granted by the user: exit status %d, says %q", status, stderr)
	}
	for _, c := range []struct {
		name, address string
		args          []string
		want          cli.GrantReport
	}{
		{"a dry run", as("root:s3cret"), []string{"--dry-run"}, cli.GrantReport{DryRun: true}},
		{"an administrator", as("root:s3cret"), nil, cli.GrantReport{}},
		{"an administrator once more", as("root:s3cret"), nil, cli.GrantReport{}},
		{"the owner of the folder", "", []string{"--data", data}, cli.GrantReport{}},
	} {
		var report cli.GrantReport
		stdout, stderr, status := grant(c.address, append(c.args, "--json")...)
		if err := json.Unmarshal([]byte(stdout), &report); status != cli.ExitOK || err != nil {
			t.Fatalf("%s: exit status %d, %q, %q", c.name, status, stdout, stderr)
		}
		isNew := c.name == "a dry run" || c.name == "an administrator"
		if report.New != isNew || report.DryRun != c.want.DryRun || report.User != "loyalty" || !slices.Equal(report.Readers, []string{"$admins", "loyalty"}) {
			t.Errorf("%s: %+v", c.name, report)
		}
	}
	if stdout, _, status := grant(as("root:s3cret")); status != cli.ExitOK || !strings.Contains(stdout, "nothing was changed") || !strings.Contains(stdout, "$admins, loyalty") {
		t.Errorf("once more: exit status %d, says %q", status, stdout)
	}

	waitFor(t, "readiness", func() bool { status, _ := p.operators("/readyz"); return status == http.StatusOK })
	c := clientWith(t, p, []byte(siteTokenSecret))
	var placed placedAnswer
	c.must(http.StatusCreated, &placed, buyer("alice"), http.MethodPost, "/order/o-1", orderBody(nil, "50.00"))
	var dashboard dashboardAnswer
	c.must(http.StatusOK, &dashboard, customer("alice"), http.MethodGet, "/loyalty/alice", nil, "Loyalty-Min-Position: "+placed.Position)
	if dashboard.You == nil || dashboard.You.Points != placed.Points {
		t.Errorf("the dashboard is %+v, want %d points", dashboard.You, placed.Points)
	}
}

func TestAGrantUsedWronglySaysHow(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "--user"},
		{[]string{"--user", "loyalty"}, "LOYALTY_EVENTSTORE"},
		{[]string{"--user", "loyalty", "--data", t.TempDir()}, "no data folder"},
		{[]string{"--user", "$all", "--eventstore", "embedded:" + t.TempDir()}, "login name"},
		{[]string{"--user", "loyalty", "--eventstore", "nonsense"}, "esdb://"},
	} {
		if _, stderr, status := runProgram(t, append([]string{"eventstore", "grant"}, c.args...)...); status != cli.ExitUsage || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: exit status %d, says %q; want %q", c.args, status, stderr, c.says)
		}
	}
}
