package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"loyalty/analytics/replay"
	"loyalty/api"
	"loyalty/api/past"
	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/internal/problem"
)

// double is a policy.
const double = `{"id": "double", "spendPerPoint": {"GBP": 500, "EUR": 575}}`

// whatIf is one that is answered.
var whatIf = exchange{as: analyst, method: "POST", path: "/what-if", body: `{"policy": ` + double + `}`, status: 200}

// replays folds a log as package replay does.
type replays struct {
	store   *eventstore.Store
	proxies domain.Proxies
}

func (r replays) Replay(ctx context.Context, o replay.Options, top int) (replay.Report, error) {
	h, err := replay.FromLog(ctx, r.store, o)
	if err != nil {
		return replay.Report{}, err
	}
	return h.Report(h.Board(r.proxies), top)
}

type whatIfLine struct {
	Progress *struct {
		Doing       string
		Done, Total uint64
	}
	Report  *replay.Report
	Problem *problem.Problem
}

func linesOf(t *testing.T, body []byte) (lines []whatIfLine) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	for decoder.More() {
		var line whatIfLine
		if err := decoder.Decode(&line); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		lines = append(lines, line)
	}
	return lines
}

// wouldHaveBeen compares reports with those of a replay that is made directly.
func (s *stack) wouldHaveBeen(t *testing.T, moments []domain.Position) {
	end, half := s.end(), moments[len(moments)/2].String()
	mobile := `{
		"id": "caf\u00e9",
		"spendPerPoint": {"GBP": 700},
		"rounding": "half-even", "minimum": {"GBP": 500}, "pointValue": 2,
		"multipliers": [{"channel": "website", "from": "2026-07-15", "until": "2026-09-01T12:00Z", "factor": "1.5"}, {"channel": null, "factor": "4/3"}]
	}`
	for _, c := range []struct {
		policy, more string
		by           replay.By
		until        string
		top          int
	}{
		{double, ``, "", "", 10},
		{double, `, "by": "channel", "top": 3`, replay.ByChannel, "", 3},
		{double, `, "by": "month", "until": "` + half + `", "top": 100`, replay.ByMonth, half, 100},
		{mobile, `, "by": "currency"`, replay.ByCurrency, "", 10},
		{mobile, `, "by": null, "until": null, "top": null`, "", "", 10},
	} {
		x := whatIf
		x.body = `{"policy": ` + c.policy + c.more + `}`
		lines := linesOf(t, s.do(t, x).body)
		policy, err := replay.ParsePolicy("policy", []byte(c.policy))
		if err != nil {
			t.Fatal(err)
		}
		until, err := replay.ParseUntil("until", c.until)
		if err != nil {
			t.Fatal(err)
		}
		want, err := replays{s.store, config(t, io.Discard).Proxies}.Replay(t.Context(), replay.Options{Policy: policy, By: c.by, Until: until}, c.top)
		if err != nil {
			t.Fatal(err)
		}
		got := lines[len(lines)-1].Report
		if got == nil || got.Customers == 0 || got.Policy.Difference == 0 || (c.by != "") != (len(got.Parts) > 0) {
			t.Fatalf("%s: the last line is %+v", c.more, got)
		}
		if diff := gocmp.Diff(want, *got); diff != "" {
			t.Errorf("%s (-replay +what-if):\n%s", c.more, diff)
		}
	}
	if got := s.end(); got != end {
		t.Errorf("the log grew from %s to %s", end, got)
	}
}

// heldReplays are replays that the test leads: they say how far they are when told so, and end when let go or when their context
// does.
type heldReplays struct {
	begun    chan struct{}
	progress chan uint64
	release  chan error
	ended    chan error
}

func newHeldReplays() heldReplays {
	return heldReplays{begun: make(chan struct{}, 100), progress: make(chan uint64), release: make(chan error), ended: make(chan error, 100)}
}

func (h heldReplays) Replay(ctx context.Context, o replay.Options, top int) (_ replay.Report, err error) {
	h.begun <- struct{}{}
	defer func() { h.ended <- err }()
	for {
		select {
		case done := <-h.progress:
			o.Progress("replaying", done, 1000)
		case err := <-h.release:
			if errors.Is(err, errPanic) {
				panic("the secret is 12345")
			}
			return replay.Report{Events: uint64(top), Top: []replay.Place{}, Policy: &replay.WhatIf{Top: []replay.Place{}}}, err
		case <-ctx.Done():
			return replay.Report{}, ctx.Err()
		}
	}
}

// openWhatIf is a what-if under way.
type openWhatIf struct {
	leave  context.CancelFunc
	lines  *bufio.Scanner
	answer chan error
	status int
}

func (s *site) ask(t testing.TB) *openWhatIf {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	request, err := http.NewRequestWithContext(ctx, whatIf.method, s.url+whatIf.path, strings.NewReader(whatIf.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+mint(t, analyst))
	request.Header.Set("Content-Type", "application/json")
	w := &openWhatIf{leave: cancel, answer: make(chan error, 1)}
	var body io.Closer
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			w.status, w.lines, body = response.StatusCode, bufio.NewScanner(response.Body), response.Body
		}
		w.answer <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-w.answer; err == nil {
			body.Close()
		}
	})
	return w
}

// next is the next line; it fails the test where the answer ends.
func (w *openWhatIf) next(t testing.TB) (line whatIfLine) {
	t.Helper()
	err := <-w.answer
	w.answer <- err
	if err != nil {
		t.Fatal(err)
	}
	if !w.lines.Scan() {
		t.Fatalf("the answer ends: %v", w.lines.Err())
	}
	if err := json.Unmarshal(w.lines.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, w.lines.Bytes())
	}
	return line
}

// last expects the end of the answer.
func (w *openWhatIf) last(t testing.TB) {
	t.Helper()
	if w.lines.Scan() || w.lines.Err() != nil {
		t.Errorf("one more line: %s, %v", w.lines.Bytes(), w.lines.Err())
	}
}

// Given a replay that takes its time
// Then its caller is told how far it is while it goes on, also when it does not get on, and in the end what came of it.
func TestAWhatIfTellsHowFarItIs(t *testing.T) {
	behind := newHeldReplays()
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Replays = behind })
	w := s.ask(t)
	<-behind.begun
	if p := w.next(t).Progress; p == nil || p.Doing != "starting" || p.Done != 0 || p.Total != 0 {
		t.Errorf("at first: %+v", p)
	}
	for _, done := range []uint64{1, 500} {
		behind.progress <- done
		if p := w.next(t).Progress; p == nil || p.Doing != "replaying" || p.Done != done || p.Total != 1000 {
			t.Errorf("after %d: %+v", done, p)
		}
	}
	began := time.Now()
	var lines int
	for done := uint64(501); time.Since(began) < 600*time.Millisecond; done++ {
		behind.progress <- done
	}
	behind.release <- nil
	for {
		line := w.next(t)
		if line.Report != nil {
			if line.Report.Events != 10 {
				t.Errorf("the report is %+v", line.Report)
			}
			break
		}
		if lines++; line.Progress == nil {
			t.Fatalf("got %+v", line)
		}
	}
	w.last(t)
	if most := 1 + int(time.Since(began)/(250*time.Millisecond)); lines > most {
		t.Errorf("%d lines, at most %d", lines, most)
	}
}

// Given a what-if of which some lines were sent
// When it fails, of itself or because the server stops
// Then the last line says why, and no more than anybody may know.
func TestAWhatIfThatFailsLateSaysSoInItsLastLine(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"unavailable", fmt.Errorf("deep inside: %w", domain.ErrUnavailable), 503, "unavailable"},
		{"too many points", fmt.Errorf("deep inside: %w", domain.ErrOrderPoints), 422, "order_points_limit"},
		{"something else", errors.New("deep inside: the secret is 12345"), 500, "internal"},
		{"a panic", errPanic, 500, "internal"},
		{"the server stops", nil, 503, "unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			behind := newHeldReplays()
			s, server := serveTimed(t, behind, 0)
			w := s.ask(t)
			behind.progress <- 7
			if p := w.next(t).Progress; p == nil || p.Done != 7 {
				t.Fatalf("at first: %+v", p)
			}
			if c.err == nil {
				server.Stop()
			} else {
				behind.release <- c.err
			}
			p := w.next(t).Problem
			if p == nil || p.Status != c.status || p.Code != c.code || p.ID == "" || strings.Contains(fmt.Sprint(p), "12345") || strings.Contains(fmt.Sprint(p), "deep inside") {
				t.Errorf("the last line is %+v", p)
			}
			w.last(t)
			eventually(t, "the log to know the cause of a fault here", func() bool {
				return strings.Contains(s.log.String(), `"id":"`+p.ID+`","error":"`) == (c.status >= 500)
			})
			s.waitForMetric(t, "loyalty_what_ifs_in_flight 0")
		})
	}
}

func TestAStoppingServerRejectsAWhatIfThatHasNotBegun(t *testing.T) {
	s, server := serveTimed(t, newHeldReplays(), 0)
	server.Stop()
	x := whatIf
	x.status, x.code = 503, "unavailable"
	s.do(t, x)
}

// serveTimed serves replays over HTTP with a bound on each request's reading and on each answer's writing, 0 for none.
func serveTimed(t *testing.T, behind past.Replays, bound time.Duration) (*site, *api.Server) {
	t.Helper()
	s := &site{t: t, doc: loadDocument(t), log: new(lockedBuffer)}
	c := config(t, s.log)
	c.Replays, s.metrics = behind, c.Metrics
	server, err := api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	public := httptest.NewUnstartedServer(server)
	public.Config.ReadTimeout, public.Config.WriteTimeout = bound, bound
	public.Start()
	admin := httptest.NewServer(server.Admin())
	t.Cleanup(func() { server.Stop(); public.Close(); admin.Close() })
	s.url, s.admin = public.URL, admin.URL
	return s, server
}

// Given an HTTP server that gives each request and each answer a tenth of a second
// When a what-if takes longer
// Then it goes on.
func TestAWhatIfOutlivesTheTimeoutsOfOtherRequests(t *testing.T) {
	behind := newHeldReplays()
	s, _ := serveTimed(t, behind, 100*time.Millisecond)
	w := s.ask(t)
	for done := range uint64(3) {
		behind.progress <- done
		if p := w.next(t).Progress; p == nil || p.Done != done {
			t.Fatalf("got %+v", p)
		}
	}
	behind.release <- nil
	if w.next(t).Report == nil {
		t.Error("no report")
	}
}

// Given callers who go away, before the first line and after it
// Then their replays end, and nothing is left of them.
func TestACallerWhoGoesEndsTheirWhatIf(t *testing.T) {
	behind := newHeldReplays()
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Replays = behind })
	s.waitForMetric(t, "loyalty_what_ifs_in_flight 0")
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	for i := range 10 {
		w := s.ask(t)
		<-behind.begun
		if i%2 == 0 {
			behind.progress <- 1
			w.next(t)
		}
		w.leave()
		if err := <-behind.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		s.waitForMetric(t, "loyalty_what_ifs_in_flight 0")
	}
	eventually(t, "the goroutines to end", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine() <= before
	})
	x := whatIf
	var asking sync.WaitGroup
	asking.Go(func() { s.do(t, x) })
	behind.release <- nil
	asking.Wait()
}

func runSecondWhatIf(t *testing.T, doc *document) {
	behind, clock := newHeldReplays(), &clock{now: time.Now()}
	s := serve(t, doc, func(c *api.Config) {
		fixed{}.all(c)
		c.Replays, c.Now = behind, clock.Now
	})
	var first sync.WaitGroup
	first.Go(func() { s.do(t, whatIf) })
	<-behind.begun
	s.waitForMetric(t, "loyalty_what_ifs_in_flight 1")
	second := refused(whatIf, 503, "overloaded")
	s.comesBack(t, second, "60")
	clock.advance(10 * time.Minute)
	behind.progress <- 0
	s.comesBack(t, second, "60")
	for _, told := range []struct {
		done uint64
		want string
	}{{250, "1800"}, {800, "150"}, {999, "1"}, {1000, "60"}} {
		behind.progress <- told.done
		behind.progress <- told.done // once this is taken, the one before has been told
		s.comesBack(t, second, told.want)
	}
	// What is wrong with a question does not wait for its turn.
	s.do(t, bad(whatIf, "no policy", `{}`, "policy_missing", "policy"))
	_, reads := oneByOne(t)
	for _, x := range reads {
		if x.path != whatIf.path {
			s.do(t, x)
		}
	}
	s.waitForMetric(t, "loyalty_what_ifs_refused_total 6")
	behind.release <- nil
	first.Wait()
	s.waitForMetric(t, "loyalty_what_ifs_in_flight 0")
	var third sync.WaitGroup
	third.Go(func() { s.do(t, whatIf) })
	behind.release <- nil
	third.Wait()
}
