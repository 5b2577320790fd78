package main

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"loyalty/eventstore/storetest"
	"loyalty/internal/cli"
	"loyalty/projections"
)

// Given a ledger and a leaderboard that were folded from an event store
// When a process starts on an empty event store in its place
// Then it says that they are of another log, shows what they have and takes orders, and once the ledger is folded from nothing all go on from there.
func TestReadModelsOfAnotherEventStoreAreNotFollowed(t *testing.T) {
	s := openSite(t)
	p := s.role("command,query,project")
	c, till := s.client(p), "/order/o-"
	var placed placedAnswer
	c.must(http.StatusCreated, &placed, webshop, http.MethodPost, till+"1", orderBody("ann", "100.00"))
	c.must(http.StatusOK, nil, customer("ann"), http.MethodGet, "/loyalty/ann", nil, "Loyalty-Min-Position: "+placed.Position)
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Fatalf("it exits with %d", status)
	}

	place := slices.IndexFunc(s.settings, func(setting string) bool { return strings.HasPrefix(setting, "LOYALTY_EVENTSTORE=") })
	s.settings[place] = "LOYALTY_EVENTSTORE=esdb://" + openEvents(t).Addr() + "?tls=false"
	p = launch(t, s.settings, "serve", "--roles", "command,query,project", "--addr", "127.0.0.1:0")
	c = s.client(p)
	storetest.WaitFor(t, "both have stopped", func() bool {
		_, metrics := p.operators("/metrics")
		return strings.Contains(metrics, "loyalty_projection_stopped{projection=\"ledger\"} 1\n") &&
			strings.Contains(metrics, "loyalty_projection_stopped{projection=\"leaderboard\"} 1\n")
	})
	p.wantReady("on another log", map[string]string{"command": "", "query": "", "project": "does not belong to this log"})
	var dashboard struct{ You struct{ Points int } }
	if c.must(http.StatusOK, &dashboard, customer("ann"), http.MethodGet, "/loyalty/ann", nil); dashboard.You.Points != 10 {
		t.Errorf("ann is shown %d points", dashboard.You.Points)
	}
	c.must(http.StatusCreated, &placed, webshop, http.MethodPost, till+"2", orderBody("ann", "30.00"))

	var rebuilt projections.Rebuilt
	if stderr, status := s.tool(&rebuilt, "rebuild", "ledger"); status == cli.ExitOK || !strings.Contains(stderr, "does not belong to this log") {
		t.Fatalf("without the flag it exits with %d: %s", status, stderr)
	}
	if stderr, status := s.tool(&rebuilt, "rebuild", "ledger", "--from-nothing"); status != cli.ExitOK || rebuilt.Customers != 1 {
		t.Fatalf("it exits with %d: %+v %s", status, rebuilt, stderr)
	}
	storetest.WaitFor(t, "the order of this log is shown, and no other", func() bool {
		c.must(http.StatusOK, &dashboard, customer("ann"), http.MethodGet, "/loyalty/ann", nil)
		return dashboard.You.Points == 3
	})
	storetest.WaitFor(t, "it is ready in all roles", func() bool { status, _ := p.operators("/readyz"); return status == http.StatusOK })
	s.verified()
}
