package api_test

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/readmodels/leaderboard/memory"
)

type rank struct {
	Rank      int64
	ProxyName string
	Points    int64
	You       bool
}

type dashboard struct {
	You         *rank
	Top, Around []rank
	Customers   int64
	Position    domain.Position
	AsOf        *time.Time
}

type entry struct {
	EntryID, Kind, OrderID, ReturnID, LoyaltyID, Channel, Actor, Reason, CorrelationID, Stream string
	Points, Total                                                                              int64
	OccurredAt                                                                                 time.Time
	Amount                                                                                     *struct{ Amount, Currency string }
	Position                                                                                   domain.Position
	Revision                                                                                   uint64
}

type trail struct {
	CustomerID string
	Points     int64
	Entries    []entry
	Next       string
	Position   domain.Position
	AsOf       *time.Time
}

// Given forty customers with points of which many are equal
// When each of them, and one without points, reads dashboards of several sizes at the position of the last order
// Then they are what a plain sort of all customers gives.
func TestADashboardIsWhatAPlainSortGives(t *testing.T) {
	s := startStack(t, loadDocument(t))
	proxies := config(t, s.log).Proxies
	type shopper struct {
		id     string
		points int64
		key    domain.ProxyKey
	}
	var sorted []shopper
	var last domain.Position
	for i := range 40 {
		id, points := fmt.Sprintf("shopper-%d", i), int64(1+i%4)
		sorted = append(sorted, shopper{id, points, proxies.Key(domain.CustomerID(id))})
		last = decode[placed](t, s.do(t, exchange{
			as: till, method: "POST", path: fmt.Sprintf("/order/order-%d", i), body: orderOf(fmt.Sprint(10*points), id), status: 201,
		})).Position
	}
	// Who reached a total first, to the minute, comes first among equals; the trail knows when that was.
	minute := make(map[string]int64)
	for _, who := range sorted {
		got := decode[trail](t, s.do(t, exchange{as: customer(who.id), method: "GET", path: "/loyalty/" + who.id + "/trail", header: after(last), status: 200}))
		minute[who.id] = got.Entries[0].OccurredAt.Unix() / 60
	}
	slices.SortFunc(sorted, func(a, b shopper) int {
		return cmp.Or(cmp.Compare(b.points, a.points), cmp.Compare(minute[a.id], minute[b.id]), a.key.Compare(b.key))
	})
	rows := func(from, to int, you string) []rank {
		out := []rank{}
		for i := max(from, 0); i < min(to, len(sorted)); i++ {
			out = append(out, rank{int64(i + 1), sorted[i].key.Name(), sorted[i].points, sorted[i].id == you})
		}
		return out
	}
	check := func(t *testing.T, id string, place int, query string, top, around int) {
		t.Helper()
		got := decode[dashboard](t, s.do(t, exchange{as: customer(id), method: "GET", path: "/loyalty/" + id + query, header: after(last), status: 200}))
		want := rows(0, top, id)
		if !slices.Equal(got.Top, want) {
			t.Errorf("%s%s: the top is %v, want %v", id, query, got.Top, want)
		}
		want = []rank{}
		if place >= 0 {
			want = rows(place-around, place+around+1, id)
			if got.You == nil || *got.You != rows(place, place+1, id)[0] {
				t.Errorf("%s%s: their own row is %v", id, query, got.You)
			}
		} else if got.You != nil {
			t.Errorf("%s has no points and the row %v", id, got.You)
		}
		if !slices.Equal(got.Around, want) {
			t.Errorf("%s%s: around them are %v, want %v", id, query, got.Around, want)
		}
		if got.Customers != int64(len(sorted)) || got.Position.Before(last) {
			t.Errorf("%s%s: %d customers at %s, want %d at %s", id, query, got.Customers, got.Position, len(sorted), last)
		}
	}
	for place, who := range sorted {
		check(t, who.id, place, "", 10, 2)
	}
	for _, place := range []int{0, 1, 20, 38, 39} {
		check(t, sorted[place].id, place, "?top=100&around=50", 100, 50)
		check(t, sorted[place].id, place, "?top=1&around=0", 1, 0)
		check(t, sorted[place].id, place, "?around=3", 10, 3)
	}
	check(t, "newcomer", -1, "", 10, 2)
}

// Given a customer who bought, brought something back, and was given points by support
// When support and the customer read the trail, page by page
// Then its entries add up, newest first, and tell the customer everything but who of the staff it was, and why.
func TestATrailAddsUp(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.do(t, exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf(`"129.99"`, "ann"), status: 201})
	s.do(t, exchange{as: customerWithOrder("ann"), method: "POST", path: "/order/o-2", body: orderOf(`"50"`, ""), status: 201})
	s.do(t, exchange{as: support, method: "POST", path: "/order/store.o-1/returns/r-1", body: `{"amount": "40.00", "reason": "too small"}`, status: 201})
	last := decode[adjusted](t, s.do(t, exchange{
		as: support, method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 25, "reason": "goodwill"}`, status: 201,
	})).Position

	var all []entry
	next := ""
	for {
		page := decode[trail](t, s.do(t, exchange{as: support, method: "GET", path: "/loyalty/ann/trail?limit=1&cursor=" + next, header: after(last), status: 200}))
		if page.CustomerID != "ann" || page.Points != 39 || len(page.Entries) != 1 || page.Position.Before(last) {
			t.Fatalf("the page is %+v", page)
		}
		all = append(all, page.Entries...)
		if next = page.Next; next == "" {
			break
		}
	}
	type line struct {
		kind, order, amount, channel, actor, reason string
		points, total                               int64
	}
	want := []line{
		{"adjustment", "", "", "", "staff-3", "goodwill", 25, 39},
		{"reversal", "store.o-1", "40.00 GBP", "", "staff-3", "too small", -4, 14},
		{"award", "customer.ann.o-2", "50.00 GBP", "website", "ann", "", 5, 18},
		{"award", "store.o-1", "129.99 GBP", "store", "till-7", "", 13, 13},
	}
	for i, e := range all {
		got := line{e.Kind, e.OrderID, "", e.Channel, e.Actor, e.Reason, e.Points, e.Total}
		if e.Amount != nil {
			got.amount = e.Amount.Amount + " " + e.Amount.Currency
		}
		if i >= len(want) || got != want[i] {
			t.Errorf("entry %d is %+v", i, got)
		}
		if e.CorrelationID == "" || (e.LoyaltyID != "") != (e.Kind == "adjustment") {
			t.Errorf("entry %d has the loyalty id %q and the correlation %q", i, e.LoyaltyID, e.CorrelationID)
		}
	}
	if len(all) != len(want) {
		t.Errorf("there are %d entries, want %d", len(all), len(want))
	}

	own := decode[trail](t, s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann/trail", header: after(last), status: 200}))
	for i, e := range own.Entries {
		if e.Actor != "" || e.CorrelationID != "" {
			t.Errorf("the customer is told that %s did it, in %s", e.Actor, e.CorrelationID)
		}
		if e.EntryID != all[i].EntryID || e.Position != all[i].Position || e.Total != all[i].Total {
			t.Errorf("entry %d is %+v to the customer and %+v to support", i, e, all[i])
		}
	}
	points := decode[dashboard](t, s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann", header: after(last), status: 200})).You.Points
	if points != own.Points || len(own.Entries) != len(want) {
		t.Errorf("%d entries add up to %d points, the dashboard has %d", len(own.Entries), own.Points, points)
	}
	for query, want := range map[string]string{
		"kind=award":                        "customer.ann.o-2 store.o-1",
		"kind=award&kind=reversal":          "staff.r-1 customer.ann.o-2 store.o-1",
		"channel=website":                   "customer.ann.o-2",
		"order=o-1":                         "staff.r-1 store.o-1",
		"order=store.o-1":                   "staff.r-1 store.o-1",
		"order=o-2":                         "customer.ann.o-2",
		"order=customer.ann.o-2":            "customer.ann.o-2",
		"order=website.o-2":                 "",
		"after=" + all[2].Position.String(): all[0].LoyaltyID + " staff.r-1",
		"from=" + all[1].OccurredAt.Format(time.RFC3339Nano):  all[0].LoyaltyID + " staff.r-1",
		"until=" + all[2].OccurredAt.Format(time.RFC3339Nano): "store.o-1",
		"from=2020-01-01&until=2020-12-31":                    "",
		"until=2020-01-01T00:00Z":                             "",
	} {
		var ids []string
		for _, e := range decode[trail](t, s.do(t, exchange{as: support, method: "GET", path: "/loyalty/ann/trail?" + query, header: after(last), status: 200})).Entries {
			ids = append(ids, cmp.Or(e.LoyaltyID, e.ReturnID, e.OrderID))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}

// A trail doesn't tell who exists.
func TestTheTrailOfNobodyIsEmpty(t *testing.T) {
	s := startStack(t, loadDocument(t))
	for _, as := range []auth.Claims{support, customer("nobody")} {
		none := decode[trail](t, s.do(t, exchange{as: as, method: "GET", path: "/loyalty/nobody/trail", status: 200}))
		if none.CustomerID != "nobody" || none.Points != 0 || len(none.Entries) != 0 || none.Next != "" {
			t.Errorf("to a %s the trail of nobody is %+v", as.Role, none)
		}
	}
}

func TestAReadWaitsForItsPositionAndNotForEver(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := startStack(t, loadDocument(t))
	for _, path := range []string{"/loyalty/ann", "/loyalty/ann/trail"} {
		t.Run(path, func(t *testing.T) {
			got := s.do(t, exchange{as: ann, method: "GET", path: path, header: http.Header{"Loyalty-Min-Position": {"9000000000000"}}, status: 503, code: "not_caught_up"})
			if got.header.Get("Retry-After") == "" {
				t.Error("it does not say when to try again")
			}
		})
	}
}

func TestALeaderboardThatIsStillLoadingSaysSo(t *testing.T) {
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Leaderboard = memory.New() })
	s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann", status: 503, code: "not_caught_up"})
}
