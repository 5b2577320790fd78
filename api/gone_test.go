package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// endless is all that is behind the API, and answers nothing before its caller goes.
type endless struct {
	fixed
	begun chan struct{}
}

func (e endless) wait(ctx context.Context) error {
	e.begun <- struct{}{}
	<-ctx.Done()
	// As adapters do, which say no more than that they can't.
	return fmt.Errorf("%w: asked in vain", domain.ErrUnavailable)
}

func (e endless) PlaceOrder(ctx context.Context, _ commands.PlaceOrder) (commands.Placed, error) {
	return commands.Placed{}, e.wait(ctx)
}

func (e endless) Dashboard(ctx context.Context, _ domain.ProxyKey, _, _ int, _ *leaderboard.Dashboard) error {
	return e.wait(ctx)
}

// endlessTrail has a page after each page, as large as may be.
type endlessTrail struct {
	fixed
	pages *atomic.Int64
	fails bool
}

func (e endlessTrail) Trail(ctx context.Context, _ domain.CustomerID, _ ledger.Filter, _ string, limit int) (ledger.Trail, error) {
	if n := e.pages.Add(1); e.fails && n > 3 {
		return ledger.Trail{}, fmt.Errorf("%w: in the middle", domain.ErrUnavailable)
	}
	page := ledger.Trail{Next: "more", Entries: make([]ledger.Entry, limit)}
	for i := range page.Entries {
		page.Entries[i] = ledger.Entry{EventID: entryID, Kind: ledger.Award, Points: 1}
	}
	return page, ctx.Err()
}

// goes makes a request and goes away once it is being worked on.
func (s *site) goes(t *testing.T, as auth.Claims, method, path string, header http.Header, body io.Reader, once <-chan struct{}) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Authorization", "Bearer "+mint(t, as))
	go func() {
		<-once
		leave()
	}()
	response, err := http.DefaultClient.Do(r)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	if err == nil {
		t.Errorf("%s %s was answered", method, path)
	}
}

// Given clients that go away while they wait, or in the middle of their answer
// Then that counts as 499 and as no failure of ours, and nothing but debug is logged.
func TestWhoGoesAwayIsNobodysFailure(t *testing.T) {
	behind, pages := endless{begun: make(chan struct{}, 100)}, new(atomic.Int64)
	whatIfs := newHeldReplays()
	s := serve(t, loadDocument(t), func(c *api.Config) {
		fixed{}.all(c)
		c.Commands, c.Leaderboard, c.Ledger, c.Replays = behind, behind, endlessTrail{pages: pages}, whatIfs
	})
	order := func() io.Reader { return strings.NewReader(orderOf(`1`, "ann")) }
	s.goes(t, till, "POST", "/order/o-1", nil, order(), behind.begun)
	s.goes(t, ann, "GET", "/loyalty/ann/live", nil, nil, behind.begun)
	s.goes(t, analyst, "POST", "/what-if", nil, strings.NewReader(whatIf.body), whatIfs.begun)
	reading := make(chan struct{})
	go func() {
		eventually(t, "some pages", func() bool { return pages.Load() > 20 })
		close(reading)
	}()
	s.goes(t, ann, "GET", "/loyalty/ann/trail", http.Header{"Accept": {"text/csv"}}, nil, reading)
	for _, route := range []struct{ method, route string }{
		{"POST", "/order/:orderId"}, {"GET", "/loyalty/:userId/live"}, {"POST", "/what-if"}, {"GET", "/loyalty/:userId/trail"},
	} {
		s.waitForMetric(t, fmt.Sprintf(`loyalty_http_request_duration_seconds_count{method=%q,route=%q,status="499"} 1`, route.method, route.route))
	}
	log := s.log.String()
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"level":"DEBUG"`) {
			t.Errorf("logged: %s", line)
		}
	}
	if strings.Count(log, `"status":499`) != 4 {
		t.Errorf("the log says %s", log)
	}
	counts := statusOf(t, s.admin).Counts
	if counts.Failed != 0 || counts.ClientErrors != 0 {
		t.Errorf("counted as %+v", counts)
	}
}

// Given a batch whose client takes no answer and goes
// Then that is 499 too, and nothing is logged for those lines that could not wait.
func TestABatchWhoseClientGoesIsNobodysFailure(t *testing.T) {
	behind := newHeld()
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Commands = behind })
	for n := int64(1); ; n++ {
		batch := s.open(t)
		batch.send(t, lineOf("o-1", `1`, "ann")+"\n"+lineOf("o-2", `1`, "ann")+"\n")
		<-behind.begun
		<-behind.begun
		batch.to.CloseWithError(errors.New("the till is switched off"))
		behind.release <- struct{}{}
		behind.release <- struct{}{}
		s.waitForMetric(t, "loyalty_batches_in_flight 0")
		// An answer may be on its way before the connection is known to be broken.
		if strings.Contains(s.log.String(), `"status":499`) {
			break
		}
		if n > 20 {
			t.Fatalf("no batch counts as 499: %s", s.log)
		}
	}
	if log := s.log.String(); strings.Contains(log, `"level":"WARN"`) || strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the log says %s", log)
	}
}

// Given stores that answer too late, or fail in the middle of an answer
// Then that is our failure, and is logged with its cause.
func TestADeadlineOfOursIsOurFailure(t *testing.T) {
	t.Parallel() // it waits more than it works
	pages := new(atomic.Int64)
	s := serve(t, loadDocument(t), func(c *api.Config) {
		fixed{}.all(c)
		c.Commands, c.Ledger = endless{begun: make(chan struct{}, 1)}, endlessTrail{pages: pages, fails: true}
	})
	s.do(t, exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf(`1`, "ann"), status: 503, code: "unavailable"})
	s.waitForMetric(t, `loyalty_http_request_duration_seconds_count{method="POST",route="/order/:orderId",status="503"} 1`)
	never := make(chan struct{})
	s.goes(t, ann, "GET", "/loyalty/ann/trail", http.Header{"Accept": {"text/csv"}}, nil, never)
	s.waitForMetric(t, `loyalty_http_request_duration_seconds_count{method="GET",route="/loyalty/:userId/trail",status="503"} 1`)
	if log := s.log.String(); strings.Count(log, `"level":"WARN","msg":"Temporarily unavailable"`) != 2 || !strings.Contains(log, "in the middle") {
		t.Errorf("the log says %s", log)
	}
}

// Given callers of every kind, who are answered, refused and limited
// Then each line of the log says whose it is: by role and subject, and customers by their key alone.
func TestALineNamesItsCaller(t *testing.T) {
	var proxies domain.Proxies
	s := serve(t, loadDocument(t), func(c *api.Config) {
		fixed{}.all(c)
		proxies = c.Proxies
		c.Limits.WriteRates = map[string]float64{"store": 1}
		c.Now = (&clock{now: time.Now()}).Now
	})
	curious := customer("curious-7Q")
	order := exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf(`1`, "ann"), status: 201}
	s.do(t, order)
	s.do(t, refused(order, 429, "rate_limited"))
	s.do(t, exchange{as: support, method: "GET", path: "/acts", status: 403, code: "forbidden"})
	s.do(t, exchange{as: curious, method: "GET", path: "/loyalty/curious-7Q", status: 200})
	s.do(t, exchange{as: curious, method: "GET", path: "/loyalty/another", status: 403, code: "forbidden"})
	s.do(t, exchange{as: curious, method: "GET", path: "/session", status: 200})
	key := proxies.Key("curious-7Q").String()
	log := s.log.String()
	for part, want := range map[string]int{
		`"role":"channel","subject":"till-7"`: 2, `"role":"support","subject":"staff-3"`: 1, `"role":"customer","key":"` + key + `"`: 3, "curious-7Q": 0,
	} {
		if got := strings.Count(log, part); got != want {
			t.Errorf("%d lines with %s, want %d:\n%s", got, part, want, log)
		}
	}
	without := serve(t, loadDocument(t), func(c *api.Config) { c.Ledger, c.Proxies = fixed{}, domain.Proxies{} })
	without.do(t, exchange{as: curious, method: "GET", path: "/loyalty/curious-7Q/trail", status: 200})
	if log := without.log.String(); !strings.Contains(log, `"role":"customer"}`) || strings.Contains(log, "curious") {
		t.Errorf("without proxies the log says %s", log)
	}
}
