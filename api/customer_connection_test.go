package api_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/browsertest"
)

// gateway lets browsers through to a server, until it is shut.
type gateway struct {
	t *testing.T
	// to is the server's host and port, at the gateway's own.
	to, at string
	shut   func()
}

// throughGateway is a site that is reached through a gateway, which the test's end shuts.
func throughGateway(t *testing.T, s *site) (*site, *gateway) {
	t.Helper()
	g := &gateway{t: t, to: s.url[len("http://"):], at: "127.0.0.1:0"}
	g.open()
	t.Cleanup(func() { g.shut() })
	through := *s
	through.url = "http://" + g.at
	return &through, g
}

// open opens the gateway, at the same address as before.
func (g *gateway) open() {
	g.t.Helper()
	listener, err := net.Listen("tcp", g.at)
	if err != nil {
		g.t.Fatal(err)
	}
	g.at = listener.Addr().String()
	to := g.to
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { pass(ctx, from, to) })
		}
	})
	g.shut = sync.OnceFunc(func() {
		cancel()
		listener.Close()
		serving.Wait()
	})
}

// pass passes on what comes over a connection, both ways, until either side ends it or ctx does.
func pass(ctx context.Context, from net.Conn, address string) {
	defer from.Close()
	to, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	ended, end := context.WithCancel(ctx)
	defer end()
	var passing sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		passing.Go(func() {
			defer end()
			// How a connection ended does not matter.
			_, _ = io.Copy(way[0], way[1])
		})
	}
	<-ended.Done()
	from.Close()
	to.Close()
	passing.Wait()
}

// Given a customer who looks at their dashboard
// When the connection is lost
// Then the last figures stay, with how old they are, and what happened meanwhile shows once there is a connection again.
func TestALostConnectionLeavesTheFiguresWithTheirAge(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := startBoard(t, true, nil)
	through, g := throughGateway(t, s.site)
	tab := visit(t, through, ann, "/")
	tab.Wait(live)
	tab.Allow("ERR_")
	do(tab, `window.same = true; window.problems = []; document.addEventListener("loyalty-problem", (e) => window.problems.push(e.detail.code));
		window.asked = []; const fetch = window.fetch; window.fetch = (url, how) => { window.asked.push(how.headers["Last-Event-ID"] ?? ""); return fetch(url, how); };`)
	g.shut()
	s.give(t, "ann", 100)
	tab.Wait(`/^Connection lost · as of [0-9]+ s ago$/.test(` + shown(".status") + `)`)
	if got := evaluate[string](tab, shown(".own-points .figure")); got != "30" {
		t.Errorf("the figures are %s points, want the last", got)
	}
	tab.Wait(shown("[role=status]") + `.startsWith("Connection lost")`)
	tab.Wait(`window.problems.includes("offline")`)
	accessible(tab)
	g.open()
	tab.Wait(live)
	tab.Wait(shown(".own-points .figure") + ` === "130"`)
	if asked := evaluate[[]string](tab, "window.asked"); len(asked) == 0 || slices.ContainsFunc(asked, func(id string) bool { return id != "1" }) {
		t.Errorf("came back with the ids %q, want that of the last event, 1", asked)
	}
	tab.Wait(shown("[role=status]") + ` === "Connected again. You are at rank 1, with 130 points."`)
	if !evaluate[bool](tab, "window.same === true") {
		t.Error("the page was loaded again")
	}
}

// Given a customer who looks at their dashboard
// When their device goes offline, and online again
// Then the page says so, and comes back without being asked.
func TestADeviceThatGoesOfflineComesBack(t *testing.T) {
	s := startBoard(t, true, nil)
	tab := visit(t, s.site, ann, "/")
	tab.Wait(live)
	tab.Offline(true)
	tab.Wait(`/^You are offline · as of [0-9]+ s ago$/.test(` + shown(".status") + `)`)
	tab.Offline(false)
	tab.Wait(live)
}

// Given a customer who looks at their dashboard
// When the server is replaced by another, which has no leaderboard yet
// Then the last figures stay until there are new ones.
func TestARestartedServerIsFoundAgain(t *testing.T) {
	t.Parallel() // it waits more than it works
	first := startBoard(t, true, nil)
	through, g := throughGateway(t, first.site)
	tab := visit(t, through, ann, "/")
	tab.Wait(live)
	tab.Allow("ERR_")
	second := startBoard(t, false, nil)
	first.server.Stop()
	g.shut()
	g.to = second.url[len("http://"):]
	g.open()
	tab.Wait(`/^Catching up · as of [0-9]+ s ago$/.test(` + shown(".status") + `)`)
	if got := evaluate[string](tab, shown(".own-points .figure")); got != "30" {
		t.Errorf("the figures are %s points, want the last", got)
	}
	second.load(t)
	second.give(t, "ann", 7)
	tab.Wait(live)
	tab.Wait(shown(".own-points .figure") + ` === "37"`)
}

// Given a customer who looks at their dashboard
// When their token expires
// Then they are asked to sign in, and come back to the page.
func TestAnExpiredTokenEndsAtTheSignIn(t *testing.T) {
	later := func() time.Time { return time.Now().Add(time.Hour - 3*time.Second) }
	s := startBoard(t, true, func(c *api.Config, _ *http.Server) { c.Now, c.Development = later, minted })
	tab := visit(t, s.site, ann, "/")
	tab.Wait(live)
	tab.Wait(atSignIn)
}

func minted(claims auth.Claims, ttl time.Duration) (string, error) {
	return auth.Mint(tokenSecret, claims, ttl, time.Now())
}

// atSignIn is true on the page for signing in that leads back to the dashboard.
const atSignIn = `location.pathname === "/sign-in" && new URLSearchParams(location.search).get("to") === "/"`

// Given a customer who looks at their dashboard
// When they have signed out elsewhere, and their connection begins anew
// Then they are asked to sign in.
func TestWhoSignedOutElsewhereIsAskedToSignIn(t *testing.T) {
	s := startBoard(t, true, func(c *api.Config, _ *http.Server) { c.Development = minted })
	through, g := throughGateway(t, s.site)
	tab := visit(t, through, ann, "/")
	tab.Wait(live)
	tab.Allow("ERR_", "401")
	if status := evaluate[int](tab, `fetch("/session", {method: "DELETE"}).then((r) => r.status)`); status != http.StatusNoContent {
		t.Fatalf("signing out was answered with %d", status)
	}
	g.shut()
	g.open()
	tab.Wait(atSignIn)
}

// Given a page that shows figures
// When it has been out of sight for longer than it keeps a connection, and is looked at again
// Then the server had one page less, and has it again.
func TestAPageThatNobodyLooksAtLetsGoOfItsConnection(t *testing.T) {
	s := startBoard(t, true, nil)
	tab := visit(t, s.site, ann, "/")
	tab.Wait(live)
	s.waitForMetric(t, "loyalty_live_pages_in_flight 1")
	do(tab, `customElements.get("loyalty-dashboard").hiddenFor = 1; Object.defineProperty(document, "visibilityState", {value: "hidden", configurable: true});
		document.dispatchEvent(new Event("visibilitychange"));`)
	s.waitForMetric(t, "loyalty_live_pages_in_flight 0")
	s.give(t, "ann", 5)
	do(tab, `Object.defineProperty(document, "visibilityState", {value: "visible", configurable: true}); document.dispatchEvent(new Event("visibilitychange"));`)
	tab.Wait(live)
	tab.Wait(shown(".own-points .figure") + ` === "35"`)
	s.waitForMetric(t, "loyalty_live_pages_in_flight 1")
}

// Given as many pages as a server takes
// When one more is opened
// Then it shows its figures as they are, says that they are not live, and is live once there is room.
func TestAPageTooManyWaitsForItsTurn(t *testing.T) {
	t.Parallel() // it waits more than it works
	for name, limits := range map[string]admission.Limits{
		"503": {LiveStreams: 1, LiveStreamsOfSubject: 1}, "429": {LiveStreams: 2, LiveStreamsOfSubject: 1},
	} {
		t.Run(name, func(t *testing.T) { waitForTurn(t, name, limits) })
	}
}

func waitForTurn(t *testing.T, status string, limits admission.Limits) {
	s := startBoard(t, true, func(c *api.Config, _ *http.Server) { c.Limits = limits })
	other := openPage(t, s.site, ann, "/loyalty/ann/live", "")
	other.next(t)
	tab := browsertest.Open(t)
	tab.Allow(status)
	tab.Cookie(s.url, "loyalty_session", mint(t, ann))
	tab.Go(s.url + "/")
	tab.Wait(shown(".own-rank .figure") + ` === "2"`)
	tab.Wait(shown(".status") + `.startsWith("No news just now")`)
	accessible(tab)
	again := `window.dispatchEvent(new Event("online"));`
	s.give(t, "ann", 100)
	do(tab, again)
	tab.Wait(shown(".own-rank .figure") + ` === "1"`)
	other.close()
	s.waitForMetric(t, "loyalty_live_pages_in_flight 0")
	do(tab, again)
	tab.Wait(live)
}
