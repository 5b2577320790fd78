package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/api/auth/signin/signintest"
	"loyalty/api/browsertest"
	"loyalty/internal/cli"
)

// operators asks for a path of the address for operators.
func (p *process) operators(path string) (status int, body string) {
	p.t.Helper()
	response, err := operator.Get(p.admin + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// wantReady compares what the process says of each role with what is expected: nothing where it is ready, else a part of the reason.
func (p *process) wantReady(when string, want map[string]string) {
	p.t.Helper()
	for role, reason := range want {
		path, status := "/readyz?role="+role, http.StatusOK
		if role == "" {
			path = "/readyz"
		}
		if reason != "" {
			status = http.StatusServiceUnavailable
		}
		if got, body := p.operators(path); got != status || !strings.Contains(body, reason) {
			p.t.Errorf("%s, %s: %d %s; want %d and %q", when, path, got, body, status, reason)
		}
	}
}

// Given processes with all roles and with a leaderboard of their own
// When an event stops the projections, and then Redis, Postgres and the event store go away, one after the other
// Then each role says whether it can work, those who look at dashboards go on, and the projection that stopped is an alarm.
func TestEachRoleIsReadyByWhatItNeeds(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := openSite(t)
	p := s.role("command,query,project")
	own := s.role("query", "LOYALTY_LEADERBOARD=memory:")
	screen := s.client(own)
	var placed placedAnswer
	s.client(p).must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/o-1", orderBody("c-0", "10.00"))
	screen.must(http.StatusOK, nil, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil, "Loyalty-Min-Position: "+placed.Position)

	p.wantReady("at first", map[string]string{"": "", "command": "", "query": "", "project": ""})
	if status, body := own.operators("/readyz?role=project"); status != http.StatusNotFound || !strings.Contains(body, "it has: query") {
		t.Errorf("a role that the process does not have: %d %s", status, body)
	}
	if status, body := own.operators("/readyz?role=barista"); status != http.StatusBadRequest || !strings.Contains(body, "role_unknown") {
		t.Errorf("a role that is none: %d %s", status, body)
	}
	tab := browsertest.Open(t)
	tab.Go(own.admin + "/status")
	shows(tab, "#verdict", "Ready")

	appendUndecodable(t, "esdb://"+s.events.Addr()+"?tls=false")
	alarm := func(p *process, projection, value string) func() bool {
		return func() bool {
			_, metrics := p.operators("/metrics")
			return strings.Contains(metrics, `loyalty_projection_stopped{projection="`+projection+`"} `+value+"\n")
		}
	}
	for _, of := range []struct {
		p          *process
		projection string
	}{{p, "ledger"}, {p, "leaderboard"}, {own, "leaderboard"}} {
		waitFor(t, "the alarm of the "+of.projection, alarm(of.p, of.projection, "1"))
	}
	stopped := map[string]string{"": "has stopped", "command": "", "query": "", "project": "has stopped"}
	p.wantReady("after an event that nobody can decode", stopped)
	own.wantReady("after an event that nobody can decode", map[string]string{"": "", "query": ""})
	shows(tab, "#verdict", "Stopped")
	shows(tab, "#why", "Stopped, until somebody acts: leaderboard.")
	tab.Wait(`document.querySelector(".verdict").classList.contains("bad") && document.querySelectorAll("#projections .chip.bad").length === 1`)
	lookedAt(tab)
	// A process that starts now has the ledger's leaderboard to show.
	var late dashboardAnswer
	s.client(s.role("query", "LOYALTY_LEADERBOARD=memory:")).must(http.StatusOK, &late, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil)
	if late.You == nil || late.You.Points != 1 {
		t.Errorf("a process that started afterwards shows %+v", late)
	}

	s.redis.Stop()
	p.wantReady("without Redis", stopped)
	s.postgres.Stop()
	p.wantReady("without Postgres", stopped)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.events.Close(ctx); err != nil {
		t.Fatal(err)
	}
	p.wantReady("without any store", map[string]string{"": "the event store", "command": "the event store", "query": "", "project": "has stopped"})
	screen.must(http.StatusOK, nil, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil)
	for role, want := range map[string]int{"query": cli.ExitOK, "command": cli.ExitFailed} {
		if _, stderr, status := runProgram(t, "health", "--admin", p.admin, "--role", role); status != want {
			t.Errorf("loyalty health --role %s exits with %d: %s", role, status, stderr)
		}
	}
}

// Given a process that projects, and orders that keep it at work
// When a second one is started as its spare
// Then that is ready, although the first is always faster, and takes over when the first is killed.
func TestASpareThatProjectsIsReadyUnderLoad(t *testing.T) {
	s := openSite(t)
	first := s.role("project")
	channel := s.client(s.role("command"))
	ordering, stop := context.WithCancel(t.Context())
	defer stop()
	var orders sync.WaitGroup
	var placed atomic.Int64
	for range 4 {
		orders.Go(func() {
			for ordering.Err() == nil {
				got, err := channel.call(webshop, http.MethodPost, fmt.Sprintf("/order/o-%d", placed.Add(1)), orderBody("c-0", "10.00"))
				if err != nil || got.status != http.StatusCreated {
					t.Errorf("an order is answered with %d, %v: %s", got.status, err, got.body)
					return
				}
			}
		})
	}
	waitFor(t, "load", func() bool { return placed.Load() > 50 })
	// The stores are far away for the spare, so that it always loses.
	for _, setting := range []string{"LOYALTY_LEDGER", "LOYALTY_LEADERBOARD"} {
		s.wired(setting, "").Delay(20 * time.Millisecond)
	}
	spare := s.role("project") // which waits until it is ready
	first.wantReady("beside a spare", map[string]string{"project": ""})
	before := placed.Load()
	waitFor(t, "the load to go on", func() bool { return placed.Load() > before+50 })
	spare.wantReady("beside the first", map[string]string{"project": ""})
	first.kill()
	stop()
	orders.Wait()
	screen := s.client(s.role("query"))
	last := channel.barrier()
	var shown dashboardAnswer
	screen.must(http.StatusOK, &shown, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil, "Loyalty-Min-Position: "+last)
	if shown.You == nil || shown.You.Points != placed.Load() {
		t.Errorf("after %d orders of one point each the dashboard is %+v", placed.Load(), shown.You)
	}
}

// Given a process whose identity provider is away when it starts
// Then it runs, says that it has no keys, and is ready a few seconds after the provider is back; and metrics say how old the keys are.
func TestAProcessWithoutKeysIsNotReady(t *testing.T) {
	provider := signintest.Start(t, signintest.Client{ID: "loyalty-pages"})
	provider.Stop()
	data := t.TempDir()
	p := launch(t, []string{
		"LOYALTY_EVENTSTORE=embedded:" + filepath.Join(data, "events"), "LOYALTY_LEDGER=sqlite:" + filepath.Join(data, "ledger.db"), "LOYALTY_LEADERBOARD=memory:",
		"LOYALTY_PROXY_SECRET=" + siteProxySecret, "LOYALTY_JWKS_URL=" + provider.KeysURL(), "LOYALTY_JWT_AUDIENCE=" + signintest.Audience,
	}, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	const never = "the keys that tokens are signed with were never read"
	p.wantReady("without keys", map[string]string{"command": never, "query": never})
	if _, metrics := p.operators("/metrics"); !strings.Contains(metrics, "loyalty_token_keys 0") || strings.Contains(metrics, "loyalty_token_keys_age_seconds ") {
		t.Error("the metrics don't say that there are no keys")
	}
	provider.Resume()
	waitFor(t, "readiness", func() bool { status, _ := p.operators("/readyz"); return status == http.StatusOK })
	if _, metrics := p.operators("/metrics"); !strings.Contains(metrics, "loyalty_token_keys 1") || !strings.Contains(metrics, "loyalty_token_keys_age_seconds ") {
		t.Error("the metrics don't say how old the keys are")
	}
}
