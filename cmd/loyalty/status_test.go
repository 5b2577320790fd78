package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"loyalty/api/admin"
	"loyalty/internal/proxytest"
)

// operator asks for a status. It takes two seconds at most, and here ten times that is waited for.
var operator = &http.Client{Timeout: 20 * time.Second}

// storePassword is part of a store's address in these tests. No status may hold it.
const storePassword = "hush-7731"

// status asks the process how it fares.
func (p *process) status() (s admin.Status) {
	p.t.Helper()
	response, err := operator.Get(p.admin + "/status.json")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	for _, secret := range []string{storePassword, siteTokenSecret, siteProxySecret, "://"} {
		if strings.Contains(string(body), secret) {
			p.t.Fatalf("the status holds %q: %s", secret, body)
		}
	}
	return s
}

// down is what is wrong with each store that is not up, by name.
func down(s admin.Status) map[string]string {
	all := map[string]string{}
	for _, store := range s.Stores {
		if !store.Up {
			all[store.Name] = store.Why
		}
	}
	return all
}

// Given a process on three stores
// When one of them is stopped, and then started again
// Then the status says which, and that the others are there; and then that all are.
func TestTheStatusSaysWhichStoreIsDown(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := openSite(t)
	p := s.role("command,query,project")
	got := p.status()
	if kinds := fmt.Sprint(got.Stores[0].Kind, " ", got.Stores[1].Kind, " ", got.Stores[2].Kind); kinds != "esdb postgres redis" || len(down(got)) != 0 || len(got.Projections) != 2 {
		t.Fatalf("at first the status is %+v", got)
	}
	if strings.Join(got.Roles, " ") != "command query project" || got.Started.IsZero() || got.NotReady != "" {
		t.Errorf("it is %+v", got)
	}
	s.redis.Stop()
	waitFor(t, "the leaderboard to be down", func() bool {
		is := down(p.status())
		return len(is) == 1 && is["leaderboard"] != ""
	})
	s.redis.Start()
	s.postgres.Stop()
	waitFor(t, "the ledger to be down and not the leaderboard", func() bool {
		is := down(p.status())
		return len(is) == 1 && is["ledger"] != ""
	})
	s.postgres.Start()
	waitFor(t, "all to be up", func() bool { return len(down(p.status())) == 0 })
}

// A store may neither answer nor refuse: its machine is gone, or a firewall swallows what is sent.
//
// Given a process on three stores
// When one of them falls silent
// Then every status says so in time, and how the others fare; and all is well as soon as it answers.
func TestAStoreThatIsSilentHidesNoOther(t *testing.T) {
	s := openSite(t)
	wires := map[string]*proxytest.Proxy{
		"event store": s.wired("LOYALTY_EVENTSTORE", ""), "ledger": s.wired("LOYALTY_LEDGER", storePassword), "leaderboard": s.wired("LOYALTY_LEADERBOARD", ""),
	}
	p := s.role("command,query,project")
	for _, silent := range slices.Sorted(maps.Keys(wires)) {
		fallSilent(wires[silent])
		var got admin.Status
		waitFor(t, silent+" to be down", func() bool { got = p.status(); return down(got)[silent] != "" })
		for range 2 {
			last := got.Now
			waitFor(t, "another look", func() bool { got = p.status(); return got.Now.After(last) })
			if is := down(got); len(is) != 1 || is[silent] == "" {
				t.Errorf("while the %s is silent, down are %v", silent, is)
			}
			for _, projection := range got.Projections {
				if known := projection.LagEvents != nil; known != (silent != "event store") {
					t.Errorf("while the %s is silent, the lag in events is %+v", silent, projection)
				}
			}
		}
		wires[silent].Set(proxytest.Healthy)
		waitFor(t, "all to be up", func() bool { got := p.status(); return len(down(got)) == 0 && got.NotReady == "" })
	}
}

// The client of the event store would connect to a silent one for most of a minute, whatever the context of the call that has it connect.
//
// Given a process for everything, whose event store falls silent
// When it is asked whether it is ready, for its metrics, to take an order, for a dashboard, and to stop
// Then each is answered within a fraction of that, the dashboard as if nothing were the matter.
func TestASilentEventStoreHoldsNothingUp(t *testing.T) {
	s := openSite(t)
	w := s.wired("LOYALTY_EVENTSTORE", "")
	p := s.role("command,query,project")
	c := s.client(p)
	c.http.Timeout = operator.Timeout
	var placed placedAnswer
	c.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/first", orderBody("c-0", "10.00"))
	c.must(http.StatusOK, nil, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil, "Loyalty-Min-Position: "+placed.Position)
	fallSilent(w)
	waitFor(t, "the loss is noticed", func() bool { return strings.Contains(p.err.String(), "lost the event store") })

	for path, want := range map[string]string{"/readyz": "the event store: ", "/metrics": `loyalty_projection_position{projection="ledger"}`} {
		response, err := operator.Get(p.admin + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s is answered with %s: %s, %v", path, response.Status, body, err)
		}
	}
	got, err := c.call(webshop, http.MethodPost, "/order/late", orderBody("c-0", "10.00"))
	if err != nil || got.status != http.StatusServiceUnavailable {
		t.Errorf("an order is answered with %d: %s, %v", got.status, got.body, err)
	}
	var screen dashboardAnswer
	if c.must(http.StatusOK, &screen, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil); screen.You == nil || screen.You.Points != 1 {
		t.Errorf("the dashboard is %+v", screen)
	}
	stopping := time.AfterFunc(operator.Timeout, func() { w.Set(proxytest.Healthy) })
	p.stop(syscall.SIGTERM)
	if !stopping.Stop() {
		t.Error("it stopped only when the event store spoke again")
	}
}

// Given a leaderboard in Redis that those who project keep
// When Redis loses it, and nobody projects
// Then the status says that Redis is up, and what is wrong with it.
func TestAStoreThatHasLostWhatItHeldIsUp(t *testing.T) {
	s := openSite(t)
	projecting := s.role("project")
	p := s.role("query")
	projecting.kill()
	s.redis.Do("FLUSHALL")
	var got admin.Status
	waitFor(t, "the leaderboard to be missed", func() bool { got = p.status(); return got.Stores[2].Why != "" })
	if board := got.Stores[2]; board.Name != "leaderboard" || !board.Up || !strings.Contains(board.Why, "not loaded") || len(down(got)) != 0 {
		t.Errorf("the status is %+v", got)
	}
	if strings.Join(got.Roles, " ") != "query" || len(got.Projections) != 0 {
		t.Errorf("a process that only answers is %+v", got)
	}
}

// Given a ledger that can't be written to
// When orders go on coming
// Then the status says by how much the ledger is behind, as far as it counts, and that the leaderboard is not; and that it is not any more once
// it can.
func TestTheStatusSaysHowFarAProjectionIsBehind(t *testing.T) {
	const countUpTo = 10_000 // the most events that are counted
	s := openSite(t)
	ledger := s.wired("LOYALTY_LEDGER", storePassword)
	p := s.role("command,query,project")
	lag := func(name string) (is admin.ProjectionStatus) {
		for _, projection := range p.status().Projections {
			if projection.Name == name {
				is = projection
			}
		}
		if is.LagEvents == nil {
			is.LagEvents = new(int64(-1))
		}
		return is
	}
	fallSilent(ledger)
	p.batchOf(t, []byte(siteTokenSecret), "a", 3, func([]byte) {})
	waitFor(t, "the leaderboard to have the orders", func() bool { is := lag("leaderboard"); return is.Applied == 3 && *is.LagEvents == 0 })
	if is := lag("ledger"); *is.LagEvents != 3 || is.More || is.Applied != 0 {
		t.Errorf("after three orders the ledger's projection is %+v, behind by %d", is, *is.LagEvents)
	}
	if got := p.status(); got.Counts.Orders != 3 {
		t.Errorf("three orders are counted as %+v", got.Counts)
	}
	p.batchOf(t, []byte(siteTokenSecret), "b", countUpTo, func([]byte) {})
	waitFor(t, "the leaderboard to have all orders", func() bool { is := lag("leaderboard"); return is.Applied == countUpTo+3 && *is.LagEvents == 0 })
	// A machine that is busy may not have counted them all in time.
	if is := lag("ledger"); *is.LagEvents <= 3 || *is.LagEvents > countUpTo || !is.More {
		t.Errorf("after %d orders the ledger's projection is %+v, behind by %d", countUpTo+3, is, *is.LagEvents)
	}
	ledger.Set(proxytest.Healthy)
	waitFor(t, "the ledger to have all orders", func() bool {
		is := lag("ledger")
		return *is.LagEvents == 0 && !is.More && is.Live && is.Applied == countUpTo+3
	})
}
