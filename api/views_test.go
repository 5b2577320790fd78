package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// auditingSupport is support who may read the audit log.
var auditingSupport = auth.Claims{Subject: "staff-9", Role: auth.RoleSupport, Rights: "audit"}

// Given support who looks at a customer by each route there is, a search among them
// Then each look is in the audit log: who, when, whom and by which route; and of a customer who looks at themselves there is none.
func TestWhateverStaffAreShownOfACustomerIsInTheAuditLog(t *testing.T) {
	s := startStack(t, loadDocument(t))
	placed := decode[placed](t, s.do(t, exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf(`20`, "ann"), status: 201}))
	entry := get[trail](t, s, ann, "/loyalty/ann/trail").Entries[0].EntryID
	get[dashboard](t, s, ann, "/loyalty/ann")
	if got := s.viewed(t, "ann"); len(got) != 0 {
		t.Fatalf("of a customer who looks at themselves there is %+v", got)
	}
	looks := []struct{ path, route string }{
		{"/loyalty/ann", "/loyalty/:userId"},
		{"/loyalty/ann?asOf=" + placed.Position.String(), "/loyalty/:userId"},
		{"/loyalty/ann?season=ever", "/loyalty/:userId"},
		{"/loyalty/ann/trail", "/loyalty/:userId/trail"},
		{"/loyalty/ann/changes?since=" + placed.Position.String(), "/loyalty/:userId/changes"},
		{"/loyalty/ann/entries/" + entry, "/loyalty/:userId/entries/:entryId"},
		{"/search?q=o-1", "/search"},
		{"/search?q=ann", "/search"},
	}
	want := []string{"/acts", "/acts"} // what viewed asks, then and now
	for _, look := range looks {
		s.do(t, exchange{as: support, method: "GET", path: look.path, header: after(placed.Position), status: 200})
		want = append(want, look.route)
	}
	live := openPage(t, s.site, support, "/loyalty/ann/live", "")
	live.next(t)
	live.close()
	want = append(want, "/loyalty/:userId/live")

	var routes []string
	for _, got := range s.viewed(t, "ann") {
		routes = append(routes, got.Route)
		if got.CustomerID != "ann" || got.OccurredAt.IsZero() || got.EventID == "" || (got.Actor == auditingSupport.Subject) != (got.Route == "/acts") {
			t.Errorf("got %+v", got)
		}
	}
	slices.Sort(routes)
	want = want[1:] // the look that reads them is recorded after it was read
	if slices.Sort(want); !slices.Equal(routes, want) {
		t.Errorf("the audit log has %v, want %v", routes, want)
	}
}

// viewed are the looks at a customer, as soon as the ledger has all that happened.
func (s *stack) viewed(t *testing.T, customer string) []act {
	t.Helper()
	return get[acts](t, s, auditingSupport, "/acts?kind=viewed&limit=100&customer="+customer).Acts
}

// finding is fixed, with an order of ann's to find.
type finding struct{ fixed }

func (f finding) Search(context.Context, string) (ledger.Found, error) {
	return ledger.Found{Matches: []ledger.Match{{By: ledger.ByOrder, Customer: "ann", Order: "store.o-1"}}}, nil
}

// Given an event store that can't record anything
// Then staff are shown nothing of a customer, and customers all that is theirs.
func TestWhatCanNotBeRecordedIsNotShownToStaff(t *testing.T) {
	s := serve(t, loadDocument(t), func(c *api.Config) {
		fixed{}.all(c)
		c.Views = fixed{domain.ErrUnavailable}
	})
	for _, path := range []string{"/loyalty/ann", "/loyalty/ann?asOf=2026-10-01", "/loyalty/ann/trail", "/loyalty/ann/entries/" + entryID, "/acts?customer=ann"} {
		s.do(t, exchange{as: auditingSupport, method: "GET", path: path, status: 503, code: "unavailable"})
	}
	seek := serve(t, loadDocument(t), func(c *api.Config) {
		finding{}.all(c)
		c.Finder, c.Views = finding{}, fixed{domain.ErrUnavailable}
	})
	seek.do(t, exchange{as: support, method: "GET", path: "/search?q=o-1", status: 503, code: "unavailable"})
	for _, path := range []string{"/loyalty/ann", "/loyalty/ann/trail"} {
		s.do(t, exchange{as: ann, method: "GET", path: path, status: 200})
	}
}

// Given support without the right to reveal, and analysts
// When they look wherever there may be a proxy name
// Then who asks by a customer's id sees no name, and who sees names can't ask by an id.
func TestNobodyLearnsWhoIsBehindANameWithoutTheRightToReveal(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.do(t, exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf(`20`, "ann"), status: 201})
	last := decode[placed](t, s.do(t, exchange{as: till, method: "POST", path: "/order/o-2", body: orderOf(`90`, "bob"), status: 201})).Position
	names := []string{nameOf(t, "ann"), nameOf(t, "bob")}
	answered := func(as auth.Claims, path string) string {
		return string(s.do(t, exchange{as: as, method: "GET", path: path, header: after(last), status: 200}).body)
	}
	holds := func(answer string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(answer, name) })
	}
	past := "asOf=" + last.String()
	for _, path := range []string{"/loyalty/ann", "/loyalty/ann?" + past, "/leaderboard?" + past, "/loyalty/ann/trail", "/loyalty/ann/changes?since=" + last.String(), "/search?q=ann"} {
		if answer := answered(support, path); holds(answer) {
			t.Errorf("support sees a name by %s: %s", path, answer)
		}
	}
	for _, path := range []string{"/loyalty/ann", "/loyalty/ann?" + past, "/leaderboard?" + past} {
		if !holds(answered(revealer, path)) {
			t.Errorf("who may reveal sees no name by %s", path)
		}
	}
	live := openPage(t, s.site, support, "/loyalty/ann/live", "")
	if got := live.next(t); holds(got.data) || !strings.Contains(got.data, `"you":{"rank":2,"points":2,"you":true}`) {
		t.Errorf("support sees live %s", got.data)
	}
	live.close()
	if !holds(answered(analyst, "/leaderboard?"+past)) {
		t.Error("an analyst sees no names")
	}
	for _, path := range []string{"/loyalty/ann?" + past, "/loyalty/ann", "/loyalty/ann/trail", "/loyalty/ann/changes?since=" + last.String(), "/search?q=ann", "/loyalty/ann/live"} {
		s.do(t, exchange{as: analyst, method: "GET", path: path, status: http.StatusForbidden, code: "forbidden"})
	}
}

// Given somebody who watches the leaderboards of all time and of a season
// Then the season's has no name that one of all time could be linked with.
func TestASeasonHasNoNamesToLinkWithThoseOfAllTime(t *testing.T) {
	s := startStack(t, loadDocument(t))
	last := decode[placed](t, s.do(t, exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf(`20`, "ann"), status: 201})).Position
	for _, as := range []auth.Claims{ann, support, revealer} {
		answer := s.do(t, exchange{as: as, method: "GET", path: "/loyalty/ann?season=ever", header: after(last), status: 200})
		if got := decode[ofSeason](t, answer); got.You == nil || got.You.Points != 2 || got.You.ProxyName != "" || len(got.Top) != 1 || got.Top[0].ProxyName != "" {
			t.Errorf("%s sees %s", as.Subject, answer.body)
		}
	}
	live := openPage(t, s.site, ann, "/loyalty/ann/live?season=ever", "")
	if got := live.next(t); strings.Contains(got.data, "proxyName") {
		t.Errorf("live it is %s", got.data)
	}
	live.close()
}
