package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/eventstore/storetest"
	"loyalty/internal/app"
	"loyalty/internal/cli"
)

// Given a process that serves, and an event in its log that can't be decoded
// When the process goes on, and an operator quarantines the event
// Then dashboards were viewable all the time, orders behind the event are counted within seconds, and verify says what is left out.
func TestAnEventThatCannotBeDecodedStopsNobodyForEver(t *testing.T) {
	t.Parallel() // it waits more than it works
	data := t.TempDir()
	p := startDev(t, data)
	c := newClient(t, p, data)
	var placed struct{ Position string }
	c.must(http.StatusCreated, &placed, buyer("ann"), http.MethodPost, "/order/o-1", orderBody(nil, "100.00"))
	c.must(http.StatusOK, nil, customer("ann"), http.MethodGet, "/loyalty/ann", nil, "Loyalty-Min-Position: "+placed.Position)
	target, err := embedded.SocketTarget(app.Folder(data).EventStoreDir())
	if err != nil {
		t.Fatal(err)
	}
	broken := appendUndecodable(t, target)
	c.must(http.StatusCreated, &placed, buyer("ann"), http.MethodPost, "/order/o-2", orderBody(nil, "50.00"))

	var dashboard struct{ You struct{ Points int } }
	c.must(http.StatusOK, &dashboard, customer("ann"), http.MethodGet, "/loyalty/ann", nil)
	if dashboard.You.Points != 10 {
		t.Errorf("the dashboard shows %d points while the projection is stopped", dashboard.You.Points)
	}
	_, stderr, status := runProgram(t, "quarantine", "--data", data, broken.String(), "--reason", "half an event", "--actor", "s-1", "--json")
	if status != cli.ExitOK {
		t.Fatalf("quarantine exits with %d: %s", status, stderr)
	}
	storetest.WaitFor(t, "the order behind it counts", func() bool {
		c.must(http.StatusOK, &dashboard, customer("ann"), http.MethodGet, "/loyalty/ann", nil)
		return dashboard.You.Points == 15
	})
	waitFor(t, "the metrics to count it", func() bool { return strings.Contains(p.metrics(), "\nloyalty_quarantined_events 1\n") })
	if _, got := p.operators("/status.json"); !strings.Contains(got, `"quarantined":1`) {
		t.Errorf("the status is %s", got)
	}
	stdout, stderr, status := runProgram(t, "verify", "--data", data, "--json")
	var report cli.VerifyReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != cli.ExitOK || len(report.Quarantined) != 1 || report.Quarantined[0].Position != broken {
		t.Errorf("verify exits with %d, %v: %s%s", status, err, stdout, stderr)
	}
	if stdout, stderr, status = runProgram(t, "quarantine", "--data", data); status != cli.ExitOK || !strings.Contains(stdout, "half an event") {
		t.Errorf("the list exits with %d: %s%s", status, stdout, stderr)
	}
	if stdout, stderr, status = runProgram(t, "replay", "--data", data); status != cli.ExitOK || !strings.Contains(stdout, "1 event is quarantined") {
		t.Errorf("replay exits with %d: %s%s", status, stdout, stderr)
	}
	for args, says := range map[string]string{
		placed.Position + " --reason r --actor a": "can be decoded",
		"9000 --reason r --actor a":               "not found",
		"x --reason r --actor a":                  "position_malformed",
		broken.String():                           "reason_missing",
	} {
		stdout, stderr, status := runProgram(t, append([]string{"quarantine", "--data", data}, strings.Fields(args)...)...)
		if status == cli.ExitOK || !strings.Contains(stdout+stderr, says) {
			t.Errorf("quarantine %s exits with %d: %s%s", args, status, stdout, stderr)
		}
	}
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Errorf("it exits with %d", status)
	}
}

// brokenAward has a number where an order's id should be a text.
type brokenAward struct {
	domain.About
	OrderID int `json:"orderId"`
}

func (brokenAward) EventType() string { return "points-awarded.v1" }

// appendUndecodable appends an event of ours that nobody can decode to the event store at a connection string.
func appendUndecodable(t *testing.T, target string) domain.Position {
	t.Helper()
	award := brokenAward{About: domain.About{CustomerID: "x", OccurredAt: time.Unix(1, 0).UTC()}, OrderID: 7}
	registry, err := eventstore.NewRegistry([]eventstore.Type{eventstore.TypeOf(award)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.Open(t.Context(), target, registry, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	at, err := store.Append(t.Context(), "order-broken", eventstore.NoStream, uuid.New(), eventstore.Metadata{}, award)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
