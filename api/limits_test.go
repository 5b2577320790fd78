package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/readmodels/history"
)

// clock is a time that only moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// oneByOne is every route but that of batches, with a caller of each.
func oneByOne(t *testing.T) (writes, reads []exchange) {
	return []exchange{
			{method: "POST", path: "/order/o-1", as: till, body: orderOf(`1`, "ann"), status: 201},
			{method: "POST", path: "/order/o-1/returns/r-1", as: till, body: `{"amount": "1.00"}`, status: 201},
			{method: "POST", path: "/loyalty/ann", as: support, body: `{"loyalty-points": 1, "reason": "goodwill"}`, status: 201},
			{method: "POST", path: approvalPath, as: support, status: 201},
			{method: "POST", path: declinePath, as: support, body: `{"reason": "no receipt"}`, status: 201},
			revealing(t, "ann"),
		}, append(lookingUp(),
			exchange{method: "GET", path: "/loyalty/ann", as: ann, status: 200},
			exchange{method: "GET", path: "/loyalty/ann/trail", as: ann, status: 200},
			exchange{method: "GET", path: "/seasons", as: ann, status: 200},
			exchange{method: "GET", path: "/session", as: ann, status: 200},
			whatIf,
		)
}

// runLimits has every route reject what is too often or too much.
func runLimits(t *testing.T, doc *document) {
	t.Run("a client that asks more often than its rate is told when to come again", func(t *testing.T) { runRates(t, doc) })
	t.Run("writes beyond what may be under way are rejected, and reads are not", func(t *testing.T) { runOverload(t, doc) })
	t.Run("so are questions about the past, and nothing else", func(t *testing.T) { runPastOverload(t, doc) })
	t.Run("and a second what-if", func(t *testing.T) { runSecondWhatIf(t, doc) })
}

func runRates(t *testing.T, doc *document) {
	writes, reads := oneByOne(t)
	for _, x := range append(writes, reads...) {
		t.Run(x.method+" "+x.path, func(t *testing.T) {
			clock := &clock{now: time.Now()}
			s := serve(t, doc, func(c *api.Config) {
				fixed{}.all(c)
				c.Now = clock.Now
				rates := map[string]float64{"store": 0.25, "customer": 0.25, "support": 0.25, "analyst": 0.25}
				c.Limits = admission.Limits{WriteRates: rates, ReadRates: rates}
			})
			rejected := x
			rejected.status, rejected.code = 429, "rate_limited"
			s.do(t, x)
			for _, waited := range []struct {
				time.Duration
				retryAfter string
			}{{0, "4"}, {time.Second / 2, "4"}, {3 * time.Second, "1"}} {
				clock.advance(waited.Duration)
				if got := s.do(t, rejected).header.Get("Retry-After"); got != waited.retryAfter {
					t.Errorf("%s later Retry-After is %q, want %q", waited.Duration, got, waited.retryAfter)
				}
			}
			clock.advance(time.Second / 2)
			s.do(t, x)
			s.do(t, rejected)
		})
	}
}

func TestARateIsOfOneClientAndOneKind(t *testing.T) {
	clock := &clock{now: time.Now()}
	s := serve(t, loadDocument(t), func(c *api.Config) {
		fixed{}.all(c)
		c.Now = clock.Now
		c.Limits = admission.Limits{WriteRates: map[string]float64{"store": 3, "customer": 1, "mobile": 0}}
	})
	post := func(as auth.Claims) string {
		t.Helper()
		return s.send(t, exchange{as: as, method: "POST", path: "/order/o-1", body: orderOf(`1`, "")}).problem.Code
	}
	named := func(subject string) auth.Claims { c := till; c.Subject = subject; return c }
	for _, c := range []struct {
		who  string
		as   auth.Claims
		want string
	}{
		{"a till at once makes as many as in a second: 1", till, "customer_id_missing"},
		{"a till at once makes as many as in a second: 2", till, "customer_id_missing"},
		{"a till at once makes as many as in a second: 3", till, "customer_id_missing"},
		{"and no more", till, "rate_limited"},
		{"another till has a rate of its own", named("till-8"), "customer_id_missing"},
		{"a customer has another", customerWithOrder("ann"), ""},
		{"and no more", customerWithOrder("ann"), "rate_limited"},
		{"a customer with the name of a till is not that till", customerWithOrder("till-7"), ""},
		{"a rate of 0 is none", awarder, "customer_id_missing"},
		{"a rate of 0 is none", awarder, "customer_id_missing"},
	} {
		if got := post(c.as); got != c.want {
			t.Errorf("%s: got %q, want %q", c.who, got, c.want)
		}
	}
	for range 5 {
		s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann", status: 200})
	}
	if s.send(t, exchange{as: analyst, method: "POST", path: "/order/o-1", body: orderOf(`1`, "")}).problem.Code != "forbidden" {
		t.Error("who has no rate and no rights is forbidden")
	}
}

// held are commands that wait until they are let go.
type held struct {
	fixed
	begun, release chan struct{}
}

func newHeld() held { return held{begun: make(chan struct{}, 1000), release: make(chan struct{})} }

func (h held) PlaceOrder(ctx context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	h.begun <- struct{}{}
	select {
	case <-h.release:
		return h.fixed.PlaceOrder(ctx, c)
	case <-ctx.Done():
		return commands.Placed{}, ctx.Err()
	}
}

func runOverload(t *testing.T, doc *document) {
	behind := newHeld()
	s := serve(t, doc, func(c *api.Config) {
		fixed{}.all(c)
		c.Commands, c.Limits.Writes = behind, 2
	})
	writes, reads := oneByOne(t)
	first := writes[0]
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { s.send(t, first) })
	}
	for range 2 {
		<-behind.begun
	}
	// As many again wait, for a second, and are rejected then; or at once where two wait already.
	for _, x := range writes {
		x.status, x.code = 503, "overloaded"
		for range 3 {
			all.Go(func() {
				if got := s.do(t, x).header.Get("Retry-After"); got != "1" {
					t.Errorf("Retry-After is %q", got)
				}
			})
		}
	}
	for _, x := range reads {
		s.do(t, x)
	}
	s.waitForMetric(t, fmt.Sprintf("loyalty_writes_refused_total %d", 3*len(writes)))
	s.waitForMetric(t, "loyalty_writes_in_flight 2")
	close(behind.release)
	all.Wait()
	s.waitForMetric(t, "loyalty_writes_in_flight 0")
	s.waitForMetric(t, "loyalty_writes_waiting 0")
	s.do(t, first)
}

// heldHistory is a history that waits until it is let go.
type heldHistory struct {
	fixed
	begun, release chan struct{}
}

func (h heldHistory) Changes(ctx context.Context, _ string, _ history.Moment, _ domain.ProxyKey) (history.Changes, error) {
	h.begun <- struct{}{}
	select {
	case <-h.release:
		return history.Changes{}, nil
	case <-ctx.Done():
		return history.Changes{}, ctx.Err()
	}
}

func runPastOverload(t *testing.T, doc *document) {
	behind := heldHistory{begun: make(chan struct{}, 1000), release: make(chan struct{})}
	s := serve(t, doc, func(c *api.Config) {
		fixed{}.all(c)
		c.History, c.Limits.History = behind, 1
	})
	past := lookingBack()
	var all sync.WaitGroup
	all.Go(func() { s.do(t, past[0]) })
	<-behind.begun
	// Eight times as many wait for as long as they may, here until the first lets go.
	for range 4 {
		all.Go(func() { s.do(t, past[0]) })
		all.Go(func() { s.do(t, past[1]) })
	}
	s.waitForMetric(t, "loyalty_history_reads_waiting 8")
	for _, x := range past {
		x.status, x.code = 503, "overloaded"
		if got := s.do(t, x).header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After is %q", got)
		}
	}
	writes, reads := oneByOne(t)
	for _, x := range append(writes, reads...) {
		if !slices.ContainsFunc(past, func(p exchange) bool { return p.path == x.path }) {
			s.do(t, x)
		}
	}
	s.waitForMetric(t, fmt.Sprintf("loyalty_history_reads_refused_total %d", len(past)))
	s.waitForMetric(t, "loyalty_history_reads_in_flight 1")
	close(behind.release)
	all.Wait()
	s.waitForMetric(t, "loyalty_history_reads_in_flight 0")
	s.waitForMetric(t, "loyalty_history_reads_waiting 0")
}

// waitForMetric waits until the metrics hold a line.
func (s *site) waitForMetric(t *testing.T, line string) {
	t.Helper()
	admin := *s
	admin.url = s.admin
	eventually(t, line, func() bool {
		got := admin.do(t, exchange{method: "GET", path: "/metrics", status: 200})
		return strings.Contains(string(got.body), "\n"+line+"\n")
	})
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestAWriteThatWaitsGetsItsTurn(t *testing.T) {
	behind := newHeld()
	s := serve(t, loadDocument(t), func(c *api.Config) {
		c.Commands = behind
		c.Limits.Writes = 1
	})
	writes, _ := oneByOne(t)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { s.do(t, writes[0]) })
	}
	<-behind.begun
	s.waitForMetric(t, "loyalty_writes_waiting 1")
	close(behind.release)
	all.Wait()
}

func TestLimitsThatMakeNoSenseAreErrors(t *testing.T) {
	for name, limits := range map[string]admission.Limits{
		"writes below 0":                  {Writes: -1},
		"batches below 0":                 {Batches: -1},
		"questions of the past below 0":   {History: -1},
		"a rate below 0":                  {WriteRates: map[string]float64{"store": -1}},
		"an unknown client":               {ReadRates: map[string]float64{"shop": 1}},
		"a role that adjusts nothing":     {Adjustments: map[auth.Role]domain.Points{auth.RoleCustomer: 1}},
		"a limit of points below 0":       {Adjustments: map[auth.Role]domain.Points{auth.RoleSupport: -1}},
		"more than anybody may ever have": {Adjustments: map[auth.Role]domain.Points{auth.RoleSupport: domain.MaxChange + 1}},
	} {
		c := config(t, new(lockedBuffer))
		c.Limits = limits
		if _, err := api.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
