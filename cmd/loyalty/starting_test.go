package main

import (
	"net/http"
	"strings"
	"testing"

	"loyalty/internal/proxytest"
)

// Given stores that are away, each in its own way
// When a process for everything is started, and one that shows a leaderboard in its memory
// Then each lives from the first moment, says what it waits for, and answers what needs a store with 503.
// When the stores come, one after the other
// Then they do what they were started for.
func TestAProcessStartsWhileItsStoresAreAway(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := openSite(t)
	away := map[string]*proxytest.Proxy{}
	for _, setting := range []string{theEventStore, theLedger, theLeaderboard} {
		away[setting] = s.wired(setting, "")
	}
	away[theEventStore].Set(proxytest.Hung)
	away[theLedger].Set(proxytest.Refusing)
	away[theLeaderboard].Set(proxytest.Hung)
	all := launch(t, s.settings, "serve", "--roles", "command,query,project", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	local := launch(t, append(s.settings, "LOYALTY_LEADERBOARD=memory:"), "serve", "--roles", "query", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	for _, p := range []*process{all, local} {
		if status, body := p.operators("/healthz"); status != http.StatusOK {
			t.Errorf("/healthz is %d: %s", status, body)
		}
	}
	all.wantReady("without stores", map[string]string{"command": "the event store", "query": "the leaderboard", "project": "has not caught up"})
	local.wantReady("without stores", map[string]string{"query": "has not caught up"})
	for _, store := range []string{`store="event store"`, "store=ledger", "store=leaderboard"} {
		waitFor(t, store+" is said to be waited for", func() bool {
			for line := range strings.Lines(all.err.String()) {
				if strings.Contains(line, "waiting for a store") && strings.Contains(line, store) {
					return true
				}
			}
			return false
		})
	}
	ordering, screen, localScreen := s.client(all), s.client(all), s.client(local)
	for what, ask := range map[string]func() (answer, error){
		"an order": func() (answer, error) {
			return ordering.call(webshop, http.MethodPost, "/order/o-1", orderBody("c-0", "10.00"))
		},
		"a dashboard":           func() (answer, error) { return screen.call(customer("c-0"), http.MethodGet, "/loyalty/c-0", nil) },
		"a dashboard in memory": func() (answer, error) { return localScreen.call(customer("c-0"), http.MethodGet, "/loyalty/c-0", nil) },
		"a trail":               func() (answer, error) { return screen.call(customer("c-0"), http.MethodGet, "/loyalty/c-0/trail", nil) },
	} {
		if got, err := ask(); err != nil || got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("%s is answered with %d: %s, %v", what, got.status, got.body, err)
		}
	}
	away[theEventStore].Set(proxytest.Healthy)
	var placed placedAnswer
	waitFor(t, "an order without Postgres and Redis", func() bool {
		got, err := ordering.call(webshop, http.MethodPost, "/order/o-1", orderBody("c-0", "10.00"))
		return err == nil && (got.status == http.StatusCreated || got.status == http.StatusOK)
	})
	away[theLedger].Set(proxytest.Healthy)
	ordering.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/o-2", orderBody("c-0", "10.00"))
	shows := func(c *client, path string) {
		t.Helper()
		waitFor(t, path, func() bool {
			got, err := c.call(customer("c-0"), http.MethodGet, path, nil, "Loyalty-Min-Position: "+placed.Position)
			return err == nil && got.status == http.StatusOK && strings.Contains(string(got.body), `"points":2`)
		})
	}
	shows(localScreen, "/loyalty/c-0")
	away[theLeaderboard].Set(proxytest.Healthy)
	shows(screen, "/loyalty/c-0")
	for _, p := range []*process{all, local} {
		waitFor(t, "readiness", func() bool { status, _ := p.operators("/readyz"); return status == http.StatusOK })
	}
}

// Given a leaderboard in Redis, an event store that hangs and a ledger that refuses
// When a process that answers is started
// Then it is ready and shows dashboards.
func TestAProcessThatReadsRedisNeedsNoOtherStoreToStart(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := openSite(t)
	events, ledger := s.wired(theEventStore, ""), s.wired(theLedger, "")
	all := s.client(s.role("command,query,project"))
	var placed placedAnswer
	all.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/o-1", orderBody("c-0", "10.00"))
	all.must(http.StatusOK, nil, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil, "Loyalty-Min-Position: "+placed.Position)
	fallSilent(events)
	ledger.Set(proxytest.Refusing)
	ledger.CutAll()
	screen := s.client(s.role("query"))
	var shown dashboardAnswer
	if screen.must(http.StatusOK, &shown, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil); shown.You == nil || shown.You.Points != 1 {
		t.Errorf("the dashboard is %+v", shown)
	}
}
