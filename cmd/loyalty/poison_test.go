package main

import (
	"encoding/json"
	"strings"
	"testing"

	"loyalty/bus"
	"loyalty/internal/cli"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// poisoned runs "loyalty poison list --json".
func poisoned(t testing.TB, server *redistest.Server) cli.PoisonReport {
	t.Helper()
	out, stderr, status := runProgram(t, "poison", "list", "--json", "--command-bus", server.URL())
	var report cli.PoisonReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || status != cli.ExitOK {
		t.Fatalf("it exits with %d: %s%s", status, out, stderr)
	}
	return report
}

func TestWhatCouldNotBeCarriedOutIsListedRetriedAndDropped(t *testing.T) {
	server := redistest.Start(t)
	channel := onBus(t, server)
	tool := func(status int, args ...string) string {
		t.Helper()
		out, stderr, got := runIn(t, []string{"LOYALTY_COMMAND_BUS=" + server.URL()}, append([]string{"poison"}, args...)...)
		if got != status {
			t.Fatalf("%v exits with %d, want %d: %s%s", args, got, status, out, stderr)
		}
		return out + stderr
	}
	if got := tool(cli.ExitOK, "list"); got != "Nothing is put aside.\n" {
		t.Errorf("before, it prints %q", got)
	}
	p := startDev(t, t.TempDir(), "--command-bus", server.URL())
	channel.order("o-1", "alice")
	channel.result("o-1", bus.Placed)
	channel.send("o-1-again", "place-order.v1", `{"orderId": "o-1", "customerId": "bob", "ItemIds": ["mug"], "paymentDetails": {"amount": "1.00", "currency": "GBP"}, "channel": "store", "actor": "till-7"}`)
	channel.result("o-1-again", bus.Conflict)
	channel.send("\x1b[2J", "place-order.v1", `{"name": "Alice Smith, 4111111111111111"}`)
	channel.send("nothing", "gift-points.v1", `{"name": "Alice Smith"}`)
	channel.result("nothing", bus.Failed)
	waitFor(t, "three of them", func() bool { return poisoned(t, server).Total == 3 })

	table := tool(cli.ExitOK, "list")
	for _, want := range []string{"ID", "AGE", "CODE", "conflict", "command_unknown", "o-1-again", `"\x1b[2J"`} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	for _, not := range []string{"Smith", "4111", "bob", "\x1b"} {
		if strings.Contains(table, not) {
			t.Errorf("it tells %q:\n%s", not, table)
		}
	}
	waitFor(t, "the metrics to count them", func() bool { return strings.Contains(p.metrics(), "loyalty_bus_poison 3") })
	if got := tool(cli.ExitOK, "list", "--limit", "1"); !strings.Contains(got, "and 2 more.") {
		t.Errorf("limited to one, it prints\n%s", got)
	}

	report := poisoned(t, server)
	byCode := map[string]string{}
	for _, c := range report.Commands {
		byCode[c.Code] = c.ID
	}
	if got := tool(cli.ExitOK, "retry", byCode["conflict"]); got != "1 command is back in the queue.\n" {
		t.Errorf("it prints %q", got)
	}
	waitFor(t, "it to be put aside once more", func() bool {
		for _, c := range poisoned(t, server).Commands {
			if c.Code == "conflict" && c.ID != byCode["conflict"] {
				return true
			}
		}
		return false
	})
	tool(cli.ExitFailed, "retry", byCode["conflict"])
	if got := tool(cli.ExitOK, "drop", byCode["command_unknown"], "--reason", "a test"); got != "1 command is thrown away.\n" {
		t.Errorf("it prints %q", got)
	}
	if r := channel.result("nothing", bus.Dropped); r.Reason != "a test" {
		t.Errorf("the channel hears %+v", r)
	}
	tool(cli.ExitUsage, "retry")
	tool(cli.ExitUsage, "retry", "--all", "1-1")
	tool(cli.ExitUsage, "retry", "--all", "--code", "conflict")
	tool(cli.ExitUsage, "drop", "--code", "conflict", "--reason", "a test")
	if got := tool(cli.ExitOK, "retry", "--code", "not_found"); got != "0 commands are back in the queue.\n" {
		t.Errorf("it prints %q", got)
	}
	tool(cli.ExitUsage, "retry", "what")
	tool(cli.ExitUsage, "drop", "1-1")
	tool(cli.ExitUsage, "drop", "--all", "--reason", "a test")
	if got := tool(cli.ExitOK, "drop", "--all", "--yes", "--reason", "a test", "--json"); got != `{"dropped":2}`+"\n" {
		t.Errorf("it prints %q", got)
	}
	if got := poisoned(t, server); got.Total != 0 || len(got.Commands) != 0 {
		t.Errorf("left: %+v", got)
	}
	server.Stop()
	if got := tool(cli.ExitFailed, "list"); !strings.Contains(got, "unavailable") {
		t.Errorf("without a broker it says %q", got)
	}
	if got := tool(cli.ExitUsage, "list", "--command-bus", "kafka://user:hush@h"); strings.Contains(got, "hush") {
		t.Errorf("it tells the password: %q", got)
	}
}
