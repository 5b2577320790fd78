package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/eventstore/embedded"
	"loyalty/internal/cli"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// site is the production shape: three stores in processes of their own, and the settings that every role is given. The event
// store is the embedded one, reached over TCP as a cluster would be.
type site struct {
	t        *testing.T
	events   *embedded.Server
	postgres *postgrestest.Server
	redis    *redistest.Server
	settings []string
}

const (
	siteTokenSecret = "3b1e6a0c9d27f84512cd7be09a6f3418e57d02cb96a1f4387be0c5d219684fa3"
	siteProxySecret = "kR2vX9mQ4tLs7ZbN0cYpW3hJ8dFgU6eAoT1iVxSqBnM" // base64, which is the key as it stands
)

// openEvents serves an event store of the test's own.
func openEvents(t *testing.T) *embedded.Server {
	t.Helper()
	events, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := events.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return events
}

func openSite(t *testing.T) *site {
	t.Helper()
	events := openEvents(t)
	s := &site{t: t, events: events, postgres: postgrestest.Start(t), redis: redistest.Start(t)}
	s.settings = []string{
		"LOYALTY_EVENTSTORE=esdb://" + events.Addr() + "?tls=false", "LOYALTY_LEDGER=" + s.postgres.URL(),
		"LOYALTY_LEADERBOARD=" + s.redis.URL(), "LOYALTY_TOKEN_SECRET=" + siteTokenSecret, "LOYALTY_PROXY_SECRET=" + siteProxySecret,
	}
	return s
}

// role starts a process with some roles; more settings win over the site's.
func (s *site) role(roles string, settings ...string) *process {
	s.t.Helper()
	return start(s.t, append(s.settings, settings...), "serve", "--roles", roles, "--addr", "127.0.0.1:0")
}

func (s *site) client(p *process) *client {
	s.t.Helper()
	return clientWith(s.t, p, []byte(siteTokenSecret))
}

// tool runs a command on the site, with --json, and reads what it prints.
func (s *site) tool(result any, args ...string) (stderr string, status int) {
	s.t.Helper()
	stdout, stderr, status := runIn(s.t, s.settings, append(args, "--json")...)
	if status == cli.ExitOK || stdout != "" {
		if err := json.Unmarshal([]byte(stdout), result); err != nil {
			s.t.Fatalf("%v prints %q, %q: %v", args, stdout, stderr, err)
		}
	}
	return stderr, status
}

func (s *site) verified() cli.VerifyReport {
	s.t.Helper()
	var report cli.VerifyReport
	if stderr, status := s.tool(&report, "verify"); status != cli.ExitOK || len(report.Findings) != 2 {
		s.t.Fatalf("verify exits with %d: %+v %s", status, report, stderr)
	}
	return report
}

func TestThreeRolesKeepEveryOrderWhileTheirStoresComeAndGo(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := openSite(t)
	projecting, querying := s.role("project"), s.role("query")
	channel, screen := s.client(s.role("command")), s.client(querying)
	local := s.client(s.role("query", "LOYALTY_LEADERBOARD=memory:"))
	all := purchases(7)[:600]

	// Somebody looks at a dashboard all the while: it is there, or the answer says why not.
	looking, stopLooking := context.WithCancel(t.Context())
	var looked, missed atomic.Int64
	var screens sync.WaitGroup
	screens.Go(func() {
		for looking.Err() == nil {
			got, err := screen.call(customer("c-1"), http.MethodGet, "/loyalty/c-1", nil)
			switch {
			case err != nil:
				t.Error(err)
				return
			case got.status == http.StatusOK:
				looked.Add(1)
			case got.status == http.StatusServiceUnavailable && (strings.Contains(string(got.body), `"not_caught_up"`) || strings.Contains(string(got.body), `"unavailable"`)):
				missed.Add(1)
			default:
				t.Errorf("a dashboard was answered with %d: %s", got.status, got.body)
				return
			}
		}
	})
	third := len(all) / 3
	steps := []func(){
		func() { s.postgres.Restart() },
		func() { s.redis.Do("FLUSHALL") },
		func() { projecting.kill(); projecting = s.role("project") },
	}
	for i, step := range steps {
		if open := channel.postAll(all[i*third:(i+1)*third], step); len(open) > 0 {
			t.Fatalf("%d orders were not acknowledged while a read model was away, such as %+v", len(open), *open[0])
		}
	}
	last := channel.barrier()
	standings := screen.checkTrails(all, last)
	stopLooking()
	screens.Wait()
	t.Logf("%d dashboards, %d not available", looked.Load(), missed.Load())
	for _, c := range []*client{screen, local} {
		c.checkDashboards([]byte(siteProxySecret), standings, last)
	}
	before := s.verified()

	// Both read models fold to the same again, while the roles go on.
	for _, name := range []string{"ledger", "leaderboard"} {
		var rebuilt struct {
			Differs     bool
			NotCompared string
			Customers   int
			Digest      string
		}
		if stderr, status := s.tool(&rebuilt, "rebuild", name); status != cli.ExitOK || rebuilt.Differs || rebuilt.NotCompared != "" || rebuilt.Customers != len(standings) {
			t.Errorf("rebuild %s exits with %d: %+v %s", name, status, rebuilt, stderr)
		}
		for _, f := range before.Findings {
			if f.ReadModel == name && f.Digest.String() != rebuilt.Digest {
				t.Errorf("the %s has digest %s, rebuilt it has %s", name, f.Digest, rebuilt.Digest)
			}
		}
	}
	after := purchases(8)[:60]
	for _, p := range after {
		p.id = "after-" + p.id
	}
	if open := channel.postAll(after, nil); len(open) > 0 {
		t.Fatalf("%d orders are not acknowledged after the rebuild", len(open))
	}
	s.verified()
	screen.checkDashboards([]byte(siteProxySecret), screen.checkTrails(append(all, after...), last), last)
}

func TestDashboardsInMemoryOutliveEveryStore(t *testing.T) {
	s := openSite(t)
	channel := s.client(s.role("command,project"))
	querying := s.role("query", "LOYALTY_LEADERBOARD=memory:")
	screen := s.client(querying)
	if open := channel.postAll(purchases(3)[:120], nil); len(open) > 0 {
		t.Fatalf("%d orders are not acknowledged", len(open))
	}
	last := channel.barrier()
	var before, after dashboardAnswer
	screen.must(http.StatusOK, &before, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil, "Loyalty-Min-Position: "+last)

	// When all three stores are gone
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.events.Close(ctx); err != nil {
		t.Fatal(err)
	}
	s.postgres.Stop()
	s.redis.Stop()

	// Then dashboards are answered as before, with their age, and the process says that it can be asked
	waitFor(t, "the loss is noticed", func() bool { return strings.Contains(querying.err.String(), "lost the event store") })
	for range 200 {
		screen.must(http.StatusOK, &after, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil)
		if after.Customers != before.Customers || after.Position != before.Position || *after.You != *before.You || after.AsOf.IsZero() || after.AsOf.After(time.Now()) {
			t.Fatalf("before it was %+v, now it is %+v", before, after)
		}
	}
	if _, stderr, status := runProgram(t, "health", "--admin", querying.admin); status != cli.ExitOK {
		t.Errorf("it says that it is not ready: %s", stderr)
	}
	// What needs a store says so
	got, err := channel.call(webshop, http.MethodPost, "/order/late", orderBody("c-0", "10.00"))
	if err != nil || got.status != http.StatusServiceUnavailable {
		t.Errorf("an order is answered with %d: %s, %v", got.status, got.body, err)
	}
}

func TestAProcessStartsWithoutTheStoreThatItsRoleDoesNotNeed(t *testing.T) {
	s := openSite(t)
	s.postgres.Stop()
	var placed placedAnswer
	s.client(s.role("command")).must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/o-1", orderBody("alice", "50.00"))
	s.postgres.Start()
	s.redis.Stop()
	c := s.client(s.role("command,project,query", "LOYALTY_LEADERBOARD=memory:"))
	c.must(http.StatusOK, nil, customer("alice"), http.MethodGet, "/loyalty/alice", nil, "Loyalty-Min-Position: "+placed.Position)
}

func TestVerifyTellsDrift(t *testing.T) {
	s := openSite(t)
	p := s.role("command,query,project")
	c := s.client(p)
	var placed placedAnswer
	for id, pounds := range map[string]string{"alice": "50.00", "bob": "70.00"} {
		c.must(http.StatusCreated, &placed, buyer(id), http.MethodPost, "/order/o-"+id, orderBody(nil, pounds))
	}
	c.must(http.StatusOK, nil, customer("bob"), http.MethodGet, "/loyalty/bob", nil, "Loyalty-Min-Position: "+placed.Position)
	s.verified()
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Fatalf("it exits with %d", status)
	}
	// Given a leaderboard on which somebody has given alice points
	board, err := redis.Open(t.Context(), s.redis.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer board.Close()
	proxies, err := domain.NewProxies([]byte(siteProxySecret))
	if err != nil {
		t.Fatal(err)
	}
	at, err := board.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p = s.role("command")
	s.client(p).must(http.StatusCreated, &placed, buyer("bob"), http.MethodPost, "/order/o-next", orderBody(nil, "20.00"))
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Fatalf("it exits with %d", status)
	}
	to := at
	to.Position = domain.Position{Commit: at.Position.Commit + 1, Prepare: at.Position.Prepare + 1} // where that order-placed stands
	if err := board.Apply(t.Context(), leaderboard.Batch{From: at, To: to, Changes: []leaderboard.Change{{Key: proxies.Key("alice"), Points: 5, Minute: 1}}}); err != nil {
		t.Fatal(err)
	}
	p = s.role("command,query,project")
	c = s.client(p)
	c.must(http.StatusOK, nil, customer("bob"), http.MethodGet, "/loyalty/bob", nil, "Loyalty-Min-Position: "+placed.Position)
	var report cli.VerifyReport
	stderr, status := s.tool(&report, "verify")
	if status != cli.ExitFailed || !strings.Contains(stderr, "loyalty rebuild leaderboard") || len(report.Findings) != 2 ||
		report.Findings[0].Drifted != 0 || report.Findings[1].Drifted != 1 || len(report.Findings[1].Drifts) != 1 {
		t.Fatalf("verify exits with %d: %+v %s", status, report, stderr)
	}
	stdout, _, status := runIn(t, s.settings, "verify")
	if status != cli.ExitFailed || !strings.Contains(stdout, "CUSTOMER") || !strings.Contains(stdout, "alice") {
		t.Errorf("as a table it exits with %d and says %s", status, stdout)
	}
	// When it is rebuilt, it is put right
	if stdout, stderr, status := runIn(t, s.settings, "rebuild", "leaderboard"); status != cli.ExitOK || !strings.Contains(stdout, "differed") {
		t.Errorf("rebuild exits with %d: %s %s", status, stdout, stderr)
	}
	s.verified()
}

func TestServeSaysWhatIsMissing(t *testing.T) {
	s := openSite(t)
	for _, c := range []struct {
		without string
		args    []string
		says    string
	}{
		{"LOYALTY_EVENTSTORE", nil, "LOYALTY_EVENTSTORE"},
		{"LOYALTY_LEDGER", nil, "LOYALTY_LEDGER"},
		{"LOYALTY_LEADERBOARD", nil, "LOYALTY_LEADERBOARD"},
		{"LOYALTY_TOKEN_SECRET", nil, "LOYALTY_JWKS_URL"},
		{"LOYALTY_PROXY_SECRET", nil, "LOYALTY_PROXY_SECRET"},
		{"", []string{"--proxy-secret", "a passphrase"}, "text:"},
		{"", []string{"--token-secret", strings.Repeat("x", 64)}, "LOYALTY_TOKEN_SECRET is refused: it repeats itself"},
		{"", []string{"--roles", "king"}, "king"},
		{"", []string{"--proxy-secret", "correct-horse-battery-staple-and-what-else-I-know"}, "LOYALTY_PROXY_SECRET is refused: it looks like words"},
		{"", []string{"--jwks-url", "http://127.0.0.1:1/"}, "one of them"},
		{"", []string{"--ledger", "sqlite:"}, "sqlite: needs a file"},
		{"", []string{"--eventstore", "embedded:"}, "embedded: needs a folder"},
	} {
		var settings []string
		for _, setting := range s.settings {
			if c.without == "" || !strings.HasPrefix(setting, c.without+"=") {
				settings = append(settings, setting)
			}
		}
		_, stderr, status := runIn(t, settings, append([]string{"serve", "--addr", "127.0.0.1:0"}, c.args...)...)
		if status != cli.ExitUsage || !strings.Contains(stderr, c.says) {
			t.Errorf("without %q, with %v: exit status %d, says %q", c.without, c.args, status, stderr)
		}
		if strings.Contains(stderr, siteTokenSecret) || strings.Contains(stderr, siteProxySecret) {
			t.Errorf("a secret is printed: %s", stderr)
		}
	}
	for _, args := range [][]string{{"verify"}, {"rebuild", "ledger"}} {
		if _, stderr, status := runProgram(t, args...); status != cli.ExitUsage || !strings.Contains(stderr, "--data") {
			t.Errorf("%v without stores: exit status %d, says %q", args, status, stderr)
		}
	}
	if _, stderr, status := runProgram(t, "verify", "--data", t.TempDir()); status != cli.ExitFailed || !strings.Contains(stderr, "loyalty dev") {
		t.Errorf("verify on an empty folder: exit status %d, says %q", status, stderr)
	}
}

func TestVerifyAndRebuildJoinAProcessOnAFolder(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	c := newClient(t, p, data)
	if open := c.postAll(purchases(9)[:100], nil); len(open) > 0 {
		t.Fatal("orders are not acknowledged")
	}
	check := func() {
		t.Helper()
		stdout, stderr, status := runProgram(t, "verify", "--data", data)
		if status != cli.ExitOK || !strings.Contains(stdout, "ledger") || !strings.Contains(stdout, "memory") {
			t.Errorf("verify exits with %d: %s %s", status, stdout, stderr)
		}
		stdout, stderr, status = runProgram(t, "rebuild", "ledger", "--data", data)
		if status != cli.ExitOK || !strings.Contains(stdout, "was the same") {
			t.Errorf("rebuild exits with %d: %s %s", status, stdout, stderr)
		}
	}
	check() // while it runs
	if _, stderr, status := runProgram(t, "rebuild", "leaderboard", "--data", data); status != cli.ExitUsage || !strings.Contains(stderr, "restart") {
		t.Errorf("rebuilding a leaderboard in memory exits with %d: %s", status, stderr)
	}
	var placed placedAnswer
	c.must(http.StatusCreated, &placed, buyer("late"), http.MethodPost, "/order/late", orderBody(nil, "50.00"))
	c.must(http.StatusOK, nil, supportClaims, http.MethodGet, "/loyalty/late/trail", nil, "Loyalty-Min-Position: "+placed.Position)
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Fatalf("it exits with %d", status)
	}
	check() // and when it does not
}

func TestHealthAsksAProcess(t *testing.T) {
	p := startDev(t, t.TempDir())
	if _, stderr, status := runProgram(t, "health", "--admin", p.admin); status != cli.ExitOK {
		t.Errorf("a ready process: exit status %d, %s", status, stderr)
	}
	p.kill()
	if _, _, status := runProgram(t, "health", "--admin", p.admin); status != cli.ExitFailed {
		t.Errorf("a dead process: exit status %d", status)
	}
}
