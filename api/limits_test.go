package api_test

import (
	"cmp"
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
	"loyalty/readmodels/leaderboard"
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
	t.Run("one subject has half of the turns at most", func(t *testing.T) { runTooMuchAtOnce(t, doc) })
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
	for _, c := range []struct {
		who  string
		as   auth.Claims
		want string
	}{
		{"a till at once makes as many as in a second: 1", till, "customer_id_missing"},
		{"a till at once makes as many as in a second: 2", till, "customer_id_missing"},
		{"a till at once makes as many as in a second: 3", till, "customer_id_missing"},
		{"and no more", till, "rate_limited"},
		{"another till has a rate of its own", named(till, "till-8"), "customer_id_missing"},
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

// Given a server without any setting of rates
// Then a loop of one client is soon told to wait, and a website, which is a whole shop, is not.
func TestALoopIsStoppedByDefault(t *testing.T) {
	clock := &clock{now: time.Now()}
	s := serve(t, loadDocument(t), func(c *api.Config) {
		fixed{}.all(c)
		c.Now, c.Limits = clock.Now, admission.Limits{}
	})
	website := named(till, "shop")
	website.Channel = domain.Website
	order := exchange{method: "POST", path: "/order/o-1", body: orderOf(`1`, "ann"), status: 201}
	adjusting := exchange{method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 1, "reason": "goodwill"}`, status: 201}
	for _, c := range []struct {
		as   auth.Claims
		x    exchange
		many int
	}{
		{customerWithOrder("ann"), order, 2}, {till, order, 50}, {website, order, 0}, {awarder, order, 0}, {support, adjusting, 10}, {analyst, whatIf, 2},
		{ann, exchange{method: "GET", path: "/loyalty/ann", status: 200}, 20},
		{support, exchange{method: "GET", path: "/loyalty/ann", status: 200}, 50},
		{analyst, exchange{method: "GET", path: "/earnings", status: 200}, 20},
		{website, exchange{method: "GET", path: "/session", status: 200}, 0},
	} {
		c.x.as = c.as
		for range cmp.Or(c.many, 200) {
			s.do(t, c.x)
		}
		if c.many > 0 {
			s.comesBack(t, refused(c.x, 429, "rate_limited"), "1")
		}
	}
}

// held are commands that wait until they are let go.
type held struct {
	fixed
	begun, release chan struct{}
}

func newHeld() held { return held{begun: make(chan struct{}, 1000), release: make(chan struct{})} }

func (h held) hold(ctx context.Context) error {
	h.begun <- struct{}{}
	select {
	case <-h.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h held) PlaceOrder(ctx context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	if err := h.hold(ctx); err != nil {
		return commands.Placed{}, err
	}
	return h.fixed.PlaceOrder(ctx, c)
}

func (h held) ReturnItems(ctx context.Context, c commands.ReturnItems) (commands.Returned, error) {
	if err := h.hold(ctx); err != nil {
		return commands.Returned{}, err
	}
	return h.fixed.ReturnItems(ctx, c)
}

func (h held) AdjustPoints(ctx context.Context, c commands.AdjustPoints) (commands.Adjusted, error) {
	if err := h.hold(ctx); err != nil {
		return commands.Adjusted{}, err
	}
	return h.fixed.AdjustPoints(ctx, c)
}

func (h held) ApproveAdjustment(ctx context.Context, c commands.ApproveAdjustment) (commands.Adjusted, error) {
	if err := h.hold(ctx); err != nil {
		return commands.Adjusted{}, err
	}
	return h.fixed.ApproveAdjustment(ctx, c)
}

func (h held) DeclineAdjustment(ctx context.Context, c commands.DeclineAdjustment) (commands.Adjusted, error) {
	if err := h.hold(ctx); err != nil {
		return commands.Adjusted{}, err
	}
	return h.fixed.DeclineAdjustment(ctx, c)
}

func (h held) RevealProxyName(ctx context.Context, c commands.RevealProxyName) (commands.Revealed, error) {
	if err := h.hold(ctx); err != nil {
		return commands.Revealed{}, err
	}
	return h.fixed.RevealProxyName(ctx, c)
}

// named is another subject of the same kind.
func named(as auth.Claims, subject string) auth.Claims {
	as.Subject = subject
	return as
}

// refused is an exchange as it is answered while it is too much.
func refused(x exchange, status int, code string) exchange {
	x.status, x.code = status, code
	return x
}

// comesBack checks when whoever is refused is told to come back.
func (s *site) comesBack(t *testing.T, x exchange, want string) {
	t.Helper()
	if got := s.do(t, x).header.Get("Retry-After"); got != want {
		t.Errorf("%s %s: Retry-After is %q, want %q", x.method, x.path, got, want)
	}
}

// Given two tills that hold all turns
// Then other writes wait for a second and are refused, or at once where as many wait already as may; and all is well once the turns are free.
func runOverload(t *testing.T, doc *document) {
	behind := newHeld()
	s := serve(t, doc, func(c *api.Config) {
		fixed{}.all(c)
		c.Commands, c.Limits.Writes = behind, 4
	})
	writes, reads := oneByOne(t)
	first := writes[0]
	var all sync.WaitGroup
	for i := range 4 {
		x := first
		x.as = named(till, fmt.Sprintf("till-%d", i%2))
		all.Go(func() { s.do(t, x) })
		<-behind.begun
	}
	for _, x := range writes {
		for range 3 {
			all.Go(func() { s.comesBack(t, refused(x, 503, "overloaded"), "1") })
		}
	}
	for _, x := range reads {
		s.do(t, x)
	}
	s.waitForMetric(t, fmt.Sprintf("loyalty_writes_refused_total %d", 3*len(writes)))
	s.waitForMetric(t, "loyalty_writes_in_flight 4")
	close(behind.release)
	all.Wait()
	s.waitForMetric(t, "loyalty_writes_in_flight 0")
	s.waitForMetric(t, "loyalty_writes_waiting 0")
	s.do(t, first)
}

// Given one subject that asks for more than half of all turns
// Then what is more waits and is refused, as its own affair, and another of its kind gets through.
func runTooMuchAtOnce(t *testing.T, doc *document) {
	writes, _ := oneByOne(t)
	for _, x := range writes {
		t.Run(x.method+" "+x.path, func(t *testing.T) {
			behind := newHeld()
			s := serve(t, doc, func(c *api.Config) {
				fixed{}.all(c)
				c.Commands, c.Reveals, c.Limits.Writes = behind, behind, 2
			})
			var all sync.WaitGroup
			all.Go(func() { s.do(t, x) })
			<-behind.begun
			all.Go(func() { s.comesBack(t, refused(x, 429, "too_much_at_once"), "1") })
			s.waitForMetric(t, "loyalty_writes_waiting 1")
			s.comesBack(t, refused(x, 429, "too_much_at_once"), "1")
			other := x
			other.as = named(x.as, "another")
			all.Go(func() { s.do(t, other) })
			<-behind.begun
			s.waitForMetric(t, "loyalty_writes_refused_total 2")
			close(behind.release)
			all.Wait()
		})
	}
}

// heldHistory is a history that waits until it is let go.
type heldHistory struct {
	fixed
	begun, release chan struct{}
}

func newHeldHistory() heldHistory {
	return heldHistory{begun: make(chan struct{}, 1000), release: make(chan struct{})}
}

func (h heldHistory) hold(ctx context.Context) error {
	h.begun <- struct{}{}
	select {
	case <-h.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h heldHistory) Changes(ctx context.Context, _ string, _ history.Moment, _ domain.ProxyKey) (history.Changes, error) {
	return history.Changes{}, h.hold(ctx)
}

func (h heldHistory) AsOf(ctx context.Context, _ string, _ history.Moment, _ domain.ProxyKey, _, _ int, _ *leaderboard.Dashboard) error {
	return h.hold(ctx)
}

// Given a member of staff with a question about the past, and one who asks many
// Then each has one at work, as many wait as may, what is more is refused, and the other role has turns of its own.
func runPastOverload(t *testing.T, doc *document) {
	for _, x := range lookingBack() {
		t.Run(x.path, func(t *testing.T) {
			behind := newHeldHistory()
			s := serve(t, doc, func(c *api.Config) {
				fixed{}.all(c)
				c.History = behind
			})
			busy, other, third := x, x, x
			other.as, third.as = named(x.as, "another"), named(x.as, "a-third")
			var all sync.WaitGroup
			all.Go(func() { s.do(t, busy) })
			<-behind.begun
			metric := fmt.Sprintf(`loyalty_history_reads_%%s{role=%q} %%d`, x.as.Role)
			for range 8 {
				all.Go(func() { s.do(t, busy) })
			}
			s.waitForMetric(t, fmt.Sprintf(metric, "waiting", 8))
			s.comesBack(t, refused(busy, 429, "too_much_at_once"), "10")
			for range 9 {
				all.Go(func() { s.do(t, other) })
			}
			<-behind.begun
			s.waitForMetric(t, fmt.Sprintf(metric, "waiting", 16))
			s.comesBack(t, refused(third, 503, "overloaded"), "10")
			writes, reads := oneByOne(t)
			for _, x := range append(writes, reads...) {
				if !slices.ContainsFunc(lookingBack(), func(p exchange) bool { return p.path == x.path }) {
					s.do(t, x)
				}
			}
			for _, elsewhere := range lookingBack() {
				if elsewhere.as.Role != x.as.Role {
					all.Go(func() { s.do(t, elsewhere) })
					<-behind.begun
					break
				}
			}
			s.waitForMetric(t, fmt.Sprintf(metric, "refused_total", 2))
			s.waitForMetric(t, fmt.Sprintf(metric, "in_flight", 2))
			close(behind.release)
			all.Wait()
			s.waitForMetric(t, fmt.Sprintf(metric, "in_flight", 0))
			s.waitForMetric(t, fmt.Sprintf(metric, "waiting", 0))
		})
	}
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
		c.Limits.Writes = 2
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
		"writes below 0":                    {Writes: -1},
		"batches below 0":                   {Batches: -1},
		"batches of a subject below 0":      {BatchesOfSubject: -1},
		"questions of the past below 0":     {History: -1},
		"a rate below 0":                    {WriteRates: map[string]float64{"store": -1}},
		"an unknown client":                 {ReadRates: map[string]float64{"shop": 1}},
		"a role that adjusts nothing":       {Adjustments: map[auth.Role]domain.Points{auth.RoleCustomer: 1}},
		"a machine with a limit of the day": {AdjustmentsOfDay: map[auth.Role]domain.Points{auth.RoleChannel: 1}},
		"a limit of the day below 0":        {AdjustmentsOfDay: map[auth.Role]domain.Points{auth.RoleSupport: -1}},
		"a limit of points below 0":         {Adjustments: map[auth.Role]domain.Points{auth.RoleSupport: -1}},
		"more than anybody may ever have":   {Adjustments: map[auth.Role]domain.Points{auth.RoleSupport: domain.MaxChange + 1}},
	} {
		c := config(t, new(lockedBuffer))
		c.Limits = limits
		if _, err := api.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
