package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/commands"
	"loyalty/domain"
)

type place struct {
	Rank      *int64
	Points    int64
	Customers int64
	Position  domain.Position
	AsOf      *time.Time
}

type changes struct {
	Then, Now                       place
	Awarded, Reversed, Adjusted     int64
	Overtaken, Overtook, Left, Fell int64
	Text                            []string
}

// runPast tells the story of a leaderboard: at first zoe has 20 points, ann 13, bob 5 and cleo 3, in this order. Then dan joins
// with 30, ann brings back what had earned her 9, cleo is given 50, and zoe is forgotten.
func runPast(t *testing.T, doc *document) {
	s := startStack(t, doc)
	buy := func(customer, pounds string) domain.Position {
		t.Helper()
		return decode[placed](t, s.do(t, exchange{as: till, method: "POST", path: "/order/" + customer + "-1", body: orderOf(pounds, customer), status: 201})).Position
	}
	for _, first := range []struct{ customer, pounds string }{{"zoe", "200"}, {"ann", "129.99"}, {"bob", "50"}} {
		buy(first.customer, first.pounds)
	}
	then := buy("cleo", "30")
	asItStood := get[dashboard](t, s, revealer, "/loyalty/ann")
	// What is stored from here on is later than noon.
	noon := time.Now().Add(time.Millisecond).Truncate(time.Microsecond)
	eventually(t, "the next moment", func() bool { return time.Since(noon) > time.Millisecond })
	buy("dan", "300")
	s.do(t, exchange{as: support, method: "POST", path: "/order/store.ann-1/returns/r-1", body: `{"amount": "90.00"}`, status: 201})
	s.do(t, exchange{as: support, method: "POST", path: "/loyalty/cleo", body: `{"loyalty-points": 50, "reason": "goodwill"}`, status: 201})

	// Looks are recorded, and so move the end of the log, without anything that a history waits for.
	end := s.end()
	ask := func(t *testing.T, as auth.Claims, path string) answer {
		t.Helper()
		return s.do(t, exchange{as: as, method: "GET", path: path, header: after(end), status: 200})
	}
	moments := []string{then.String(), noon.UTC().Format(time.RFC3339Nano), strings.ReplaceAll(noon.In(time.FixedZone("", -3600)).Format(time.RFC3339Nano), "+", "%2B")}

	t.Run("a dashboard as of a moment is what it was then", func(t *testing.T) {
		for _, moment := range moments {
			for _, as := range []auth.Claims{revealer} {
				got := decode[dashboard](t, ask(t, as, "/loyalty/ann?asOf="+moment))
				if diff := cmp.Diff(asItStood, got, ignoringAsOf); diff != "" || got.AsOf == nil {
					t.Errorf("as of %s (-then +asOf):\n%s", moment, diff)
				}
			}
		}
		small := decode[dashboard](t, ask(t, revealer, "/loyalty/ann?top=1&around=0&asOf="+then.String()))
		if len(small.Top) != 1 || len(small.Around) != 1 || small.Top[0].Points != 20 || small.Around[0].Points != 13 {
			t.Errorf("a small one is %+v", small)
		}
		now := decode[dashboard](t, ask(t, ann, "/loyalty/ann"))
		asOfNow := decode[dashboard](t, ask(t, revealer, "/loyalty/ann?asOf="+end.String()))
		now.Position = asOfNow.Position // where somebody's points changed last
		if diff := cmp.Diff(now, asOfNow, ignoringAsOf); diff != "" {
			t.Errorf("as of now (-now +asOf):\n%s", diff)
		}
	})
	t.Run("support learns why a customer's rank is another", func(t *testing.T) {
		for _, moment := range moments {
			s.changed(t, decode[changes](t, ask(t, support, "/loyalty/ann/changes?since="+moment)), then, changes{
				Then: place{Rank: new(int64(2)), Points: 13, Customers: 4}, Now: place{Rank: new(int64(5)), Points: 4, Customers: 5},
				Reversed: -9, Overtaken: 3,
				Text: []string{"Your rank went from 2 to 5.", "9 points were reversed.", "3 customers passed you."},
			})
		}
		s.changed(t, decode[changes](t, ask(t, support, "/loyalty/cleo/changes?since="+then.String())), then, changes{
			Then: place{Rank: new(int64(4)), Points: 3, Customers: 4}, Now: place{Rank: new(int64(1)), Points: 53, Customers: 5},
			Adjusted: 50, Overtook: 3, Fell: 1,
			Text: []string{"Your rank went from 4 to 1.", "50 points were given to you by hand.", "You passed 2 customers.", "1 customer above you lost points and fell below you."},
		})
		s.changed(t, decode[changes](t, ask(t, support, "/loyalty/dan/changes?since="+then.String())), then, changes{
			Then: place{Customers: 4}, Now: place{Rank: new(int64(2)), Points: 30, Customers: 5}, Awarded: 30,
			Text: []string{"You joined the leaderboard and have rank 2.", "You earned 30 points."},
		})
	})
	t.Run("who was forgotten keeps a place in the past, and no name", func(t *testing.T) {
		if _, err := s.commands.ForgetCustomer(t.Context(), commands.ForgetCustomer{Customer: "zoe", Reason: "asked to be", Caller: commands.Caller{Actor: "staff-9", Issuer: domain.Staff}}); err != nil {
			t.Fatal(err)
		}
		end = s.end()
		want := asItStood
		want.Top, want.Around = slices.Clone(want.Top), slices.Clone(want.Around)
		want.Top[0].ProxyName, want.Around[0].ProxyName = "Forgotten", "Forgotten"
		a := ask(t, revealer, "/loyalty/ann?asOf="+then.String())
		if diff := cmp.Diff(want, decode[dashboard](t, a), ignoringAsOf); diff != "" || strings.Contains(string(a.body), nameOf(t, "zoe")) {
			t.Errorf("(-want +got):\n%s", diff)
		}
		s.changed(t, decode[changes](t, ask(t, support, "/loyalty/ann/changes?since="+then.String())), then, changes{
			Then: place{Rank: new(int64(2)), Points: 13, Customers: 4}, Now: place{Rank: new(int64(4)), Points: 4, Customers: 4},
			Reversed: -9, Overtaken: 3, Left: 1,
			Text: []string{"Your rank went from 2 to 4.", "9 points were reversed.", "3 customers passed you.", "1 customer above you left the leaderboard."},
		})
	})
	t.Run("there is nothing before the first change and after what is known", func(t *testing.T) {
		for moment, code := range map[string]string{
			"0": "moment_too_early", "2001-01-01": "moment_too_early", "2001-01-01T12:00Z": "moment_too_early",
			"9000000000000": "moment_too_late", "2099-12-31": "moment_too_late",
		} {
			s.do(t, exchange{as: support, method: "GET", path: "/loyalty/ann/changes?since=" + moment, status: 400, code: code, field: "since"})
			s.do(t, exchange{as: revealer, method: "GET", path: "/loyalty/ann?asOf=" + moment, status: 400, code: code, field: "asOf"})
		}
	})
	s.do(t, exchange{as: support, method: "GET", path: "/loyalty/ann/changes?since=1", header: http.Header{"Loyalty-Min-Position": {"9000000000000"}}, status: 503, code: "not_caught_up"})
	without := serve(t, doc, func(c *api.Config) { c.Leaderboard = fixed{} })
	without.do(t, exchange{as: revealer, method: "GET", path: "/loyalty/ann?asOf=2026-10-01", status: 404, code: "history_not_kept"})
}

// ignoringAsOf compares dashboards but for when they were last known to be complete.
var ignoringAsOf = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".AsOf" }, cmp.Ignore())

// changed compares changes since a position until the end of the log.
func (s *stack) changed(t *testing.T, got changes, then domain.Position, want changes) {
	t.Helper()
	// What support asks is recorded, and so the log may have moved on.
	want.Then.Position, want.Now.Position = then, got.Now.Position
	if !then.Before(got.Now.Position) || s.end().Before(got.Now.Position) {
		t.Errorf("now is at %s of a log that ends at %s", got.Now.Position, s.end())
	}
	if diff := cmp.Diff(want, got, ignoringAsOf); diff != "" || got.Then.AsOf == nil || got.Now.AsOf == nil {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// invalidPasts is what of the past nobody is told.
func invalidPasts() []exchange {
	var all []exchange
	for _, question := range []struct {
		path string
		as   auth.Claims
	}{{"/loyalty/ann/changes?since=", support}, {"/loyalty/ann?asOf=", revealer}} {
		field := question.path[strings.Index(question.path, "?")+1 : len(question.path)-1]
		ask := func(as auth.Claims, moment string) exchange {
			return exchange{as: as, method: "GET", path: question.path + moment}
		}
		for _, moment := range []string{"yesterday", "2026-13-01", "01.10.2026", "-5", "2026-10-01T00:00", "2026-10-01T25:00Z", "1-2-3-4", "0x10"} {
			x := bad(ask(question.as, moment), moment+" for a moment", "", "moment_malformed", field)
			// To a pattern, a month has any two digits.
			x.wordy = strings.HasPrefix(moment, "2026-")
			all = append(all, x)
		}
		elsewhere := ask(question.as, "1")
		elsewhere.path = strings.Replace(elsewhere.path, "/ann", "/a.b", 1)
		all = append(all, waitingWrongly(ask(question.as, "1")), doublyWrong(ask(question.as, "yesterday")),
			bad(ask(question.as, "1&top=%zz"), "a malformed query", "", "query_malformed", "query"))
		elsewhere.as = support
		all = append(all, bad(elsewhere, "customer outside the alphabet", "", "id_malformed", "userId"))
		elsewhere.path = strings.Replace(elsewhere.path, "/a.b", "/"+long, 1)
		all = append(all, bad(elsewhere, "customer too long", "", "id_too_long", "userId"))
	}
	for _, q := range []string{"", "?since=", "?until=1"} {
		all = append(all, bad(exchange{as: support, method: "GET", path: "/loyalty/ann/changes" + q}, fmt.Sprintf("no moment in %q", q), "", "moment_missing", "since"))
	}
	return append(all,
		bad(exchange{as: revealer, method: "GET", path: "/loyalty/ann?asOf="}, "no moment", "", "moment_malformed", "asOf"),
		exchange{name: "a customer asks for the past", as: ann, method: "GET", path: "/loyalty/ann?asOf=2026-10-01", status: 403, code: "forbidden"},
		exchange{name: "a customer asks for it wrongly", as: ann, method: "GET", path: "/loyalty/ann?asOf=yesterday&top=0", status: 403, code: "forbidden"},
		exchange{name: "a channel asks for the past", as: till, method: "GET", path: "/loyalty/ann?asOf=2026-10-01", status: 403, code: "forbidden"},
	)
}
