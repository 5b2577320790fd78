package api_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/commands"
	"loyalty/domain"
)

type best struct {
	Rank      int64
	ProxyName string
	Points    int64
}

type leaderboardOf struct {
	Top       []best
	Customers int64
	Begins    time.Time
	Position  domain.Position
	AsOf      *time.Time
}

type earning struct {
	At                    time.Time
	Channel               *string
	Awards, Awarded       int64
	Reversals, Reversed   int64
	Adjustments, Adjusted int64
}

type earnings struct {
	By          string
	From, Until *time.Time
	Earnings    []earning
	Position    domain.Position
	AsOf        *time.Time
}

// runAnalyses has a shop go through a hundred days, and asks what analysts ask.
func runAnalyses(t *testing.T, doc *document) {
	s := startStack(t, doc)
	t.Run("that there is nothing yet", func(t *testing.T) {
		got := get[earnings](t, s, analyst, "/earnings")
		if got.By != "day" || got.From != nil || got.Until != nil || got.Earnings == nil || len(got.Earnings) != 0 {
			t.Errorf("the earnings are %+v", got)
		}
		empty := whatIf
		empty.body, empty.status, empty.code, empty.field = `{"policy": `+double+`, "until": "2026-10-01"}`, 400, "until_empty", "until"
		s.do(t, empty)
	})
	moments := s.hundredDays(t, doc)
	t.Run("what was earned when", func(t *testing.T) { s.earned(t) })
	t.Run("who led at a moment", func(t *testing.T) { s.led(t, moments) })
	t.Run("what would have been", func(t *testing.T) { s.wouldHaveBeen(t, moments) })
}

const shoppers = 12

func shopper(i int) string { return fmt.Sprintf("shopper-%d", i) }

// hundredDays has customers buy and bring back, and staff give and take, all over HTTP but at times that the test sets. It returns
// some positions on the way.
func (s *stack) hundredDays(t *testing.T, doc *document) (moments []domain.Position) {
	t.Helper()
	began := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	var now atomic.Int64
	now.Store(began.UnixMicro())
	behind, err := commands.New(s.store, commands.Options{
		Policy: domain.DefaultPolicy(), NewID: uuid.New, Now: func() time.Time { return time.UnixMicro(now.Load()).UTC() },
	})
	if err != nil {
		t.Fatal(err)
	}
	shop := serve(t, doc, func(c *api.Config) { c.Commands = behind })
	random := rand.New(rand.NewPCG(9, 23))
	left := make(map[string]int64)
	var orders []string
	for i := range 150 {
		now.Add(random.Int64N(2 * 16 * time.Hour.Microseconds()))
		who := shopper(random.IntN(shoppers))
		x := exchange{method: "POST", status: 201}
		switch what := random.IntN(10); {
		case what < 6 || len(orders) == 0:
			pence := random.Int64N(20_000) + 100
			order := fmt.Sprintf("o-%d", i)
			x.path = "/order/" + order
			x.as, x.body = till, orderOf(domain.FormatMinor(pence), who)
			if what < 3 {
				x.as, x.body = customerWithOrder(who), orderOf(domain.FormatMinor(pence), "")
			}
			order = domain.FullID(x.as.Issuer(), order)
			orders, left[order] = append(orders, order), pence
		case what < 8:
			order := orders[random.IntN(len(orders))]
			if left[order] == 0 {
				continue
			}
			back := random.Int64N(left[order]) + 1
			left[order] -= back
			x.as = []auth.Claims{till, support}[random.IntN(2)]
			x.path, x.body = fmt.Sprintf("/order/%s/returns/r-%d", order, i), fmt.Sprintf(`{"amount": %s}`, domain.FormatMinor(back))
		default:
			x.as = []auth.Claims{awarder, support}[random.IntN(2)]
			x.path, x.body = "/loyalty/"+who, fmt.Sprintf(`{"loyalty-points": %d, "reason": "goodwill"}`, random.IntN(60)-31|1)
		}
		shop.do(t, x)
		if i%25 == 24 {
			moments = append(moments, s.end())
		}
	}
	return moments
}

// earned compares what is told with a plain sum of all trails.
func (s *stack) earned(t *testing.T) {
	var entries []entry
	for i := range shoppers {
		for next := ""; ; {
			page := get[trail](t, s, support, "/loyalty/"+shopper(i)+"/trail?limit=200&cursor="+next)
			entries = append(entries, page.Entries...)
			if next = page.Next; next == "" {
				break
			}
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.OccurredAt.Compare(b.OccurredAt) })
	first, last := entries[0].OccurredAt, entries[len(entries)-1].OccurredAt
	for _, c := range []struct {
		query       string
		length      time.Duration
		from, until time.Time
	}{
		{"", 24 * time.Hour, first, last.Add(1)},
		{"?by=day&from=2026-07-20&until=2026-08-01", 24 * time.Hour, time.Date(2026, 7, 20, 0, 0, 0, 0, time.UTC), time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)},
		{"?by=hour&from=2026-07-20T10:20Z&until=2026-08-01T09:59:59.5Z", time.Hour, time.Date(2026, 7, 20, 10, 0, 0, 0, time.UTC), time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)},
		{"?by=hour&until=2026-07-25", time.Hour, first, time.Date(2026, 7, 25, 0, 0, 0, 0, time.UTC)},
		{"?from=2020-01-01&until=2020-12-31", 24 * time.Hour, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 12, 31, 0, 0, 0, 0, time.UTC)},
	} {
		for _, as := range []auth.Claims{analyst, revealer} {
			got := get[earnings](t, s, as, "/earnings"+c.query)
			if diff := gocmp.Diff(sumOf(entries, c.length, c.from, c.until), got.Earnings); diff != "" {
				t.Errorf("%s: (-plain sum +told):\n%s", c.query, diff)
			}
			if got.From.After(c.from) || got.Until.Before(c.until) || got.Position != s.end() || got.AsOf == nil {
				t.Errorf("%s covers %s to %s, as of %s", c.query, got.From, got.Until, got.Position)
			}
		}
	}
}

// sumOf adds entries up by when they occurred and through which channel.
func sumOf(entries []entry, length time.Duration, from, until time.Time) []earning {
	sums := []earning{}
	for _, e := range entries {
		if e.OccurredAt.Before(from) || !e.OccurredAt.Before(until) {
			continue
		}
		at := e.OccurredAt.Truncate(length)
		i := slices.IndexFunc(sums, func(s earning) bool { return s.At.Equal(at) && name(s) == e.Channel })
		if i < 0 {
			i = len(sums)
			sums = append(sums, earning{At: at})
			if e.Channel != "" {
				sums[i].Channel = &e.Channel
			}
		}
		switch sum := &sums[i]; e.Kind {
		case "award":
			sum.Awards, sum.Awarded = sum.Awards+1, sum.Awarded+e.Points
		case "reversal":
			sum.Reversals, sum.Reversed = sum.Reversals+1, sum.Reversed+e.Points
		default:
			sum.Adjustments, sum.Adjusted = sum.Adjustments+1, sum.Adjusted+e.Points
		}
	}
	slices.SortFunc(sums, func(a, b earning) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(name(a), name(b))) })
	return sums
}

func name(e earning) string {
	if e.Channel == nil {
		return ""
	}
	return *e.Channel
}

// led compares leaderboards with the top of a dashboard of the same moment, also once somebody was forgotten.
func (s *stack) led(t *testing.T, moments []domain.Position) {
	var begins time.Time
	look := func(t *testing.T) (forgotten bool) {
		end := s.end() // looks are recorded, and move the end of the log, without anything that a history waits for
		for _, moment := range moments {
			for _, query := range []string{"", "&top=3", "&top=100"} {
				query = "?asOf=" + moment.String() + query
				of := getAfter[dashboard](t, s, revealer, "/loyalty/nobody"+query, end)
				want := leaderboardOf{Top: []best{}, Customers: of.Customers, Position: of.Position, AsOf: of.AsOf}
				for _, row := range of.Top {
					want.Top = append(want.Top, best{row.Rank, row.ProxyName, row.Points})
					forgotten = forgotten || row.ProxyName == "Forgotten"
				}
				for _, as := range []auth.Claims{analyst, revealer} {
					got := getAfter[leaderboardOf](t, s, as, "/leaderboard"+query, end)
					begins, got.Begins = got.Begins, time.Time{}
					if diff := gocmp.Diff(want, got); diff != "" {
						t.Errorf("%s (-dashboard +leaderboard):\n%s", query, diff)
					}
				}
			}
		}
		return forgotten
	}
	if look(t) {
		t.Error("somebody is forgotten already")
	}
	asOf := func(at time.Time) string { return "/leaderboard?asOf=" + at.Format(time.RFC3339Nano) }
	if first := get[leaderboardOf](t, s, analyst, asOf(begins)); first.Customers < 1 {
		t.Errorf("at its beginning the leaderboard is %+v", first)
	}
	s.do(t, exchange{as: analyst, method: "GET", path: asOf(begins.Add(-time.Microsecond)), status: 400, code: "moment_too_early"})
	for i := range shoppers / 2 {
		if _, err := s.commands.ForgetCustomer(t.Context(), commands.ForgetCustomer{
			Customer: domain.CustomerID(shopper(i)), Reason: "asked to be", Caller: commands.Caller{Actor: "staff-9", Issuer: domain.Staff},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if !look(t) {
		t.Error("nobody is forgotten")
	}
}

// invalidAnalyses is what analysts are not told, after ann has placed order o-1.
func invalidAnalyses() []exchange {
	at := func(path string) exchange { return exchange{as: analyst, method: "GET", path: path} }
	impossible := bad(at("/earnings?from=2026-13-01"), "a month that is none", "", "time_malformed", "from")
	noSuchDay := bad(at("/leaderboard?asOf=2026-02-31"), "a day that is none", "", "moment_malformed", "asOf")
	// To a pattern, a month has any two digits.
	impossible.wordy, noSuchDay.wordy = true, true
	return append(invalidWhatIfs(),
		bad(at("/leaderboard"), "no moment", "", "moment_missing", "asOf"),
		bad(at("/leaderboard?asOf="), "no moment", "", "moment_missing", "asOf"),
		bad(at("/leaderboard?asOf=yesterday"), "a moment that is none", "", "moment_malformed", "asOf"), noSuchDay,
		bad(at("/leaderboard?asOf=2001-01-01"), "a moment before all", "", "moment_too_early", "asOf"),
		bad(at("/leaderboard?asOf=9000000000000"), "a moment after all", "", "moment_too_late", "asOf"),
		bad(at("/leaderboard?asOf=1&top=0"), "none", "", "top_out_of_range", "top"),
		bad(at("/leaderboard?asOf=1&top=101"), "too many", "", "top_out_of_range", "top"),
		bad(at("/leaderboard?asOf=1&top=%zz"), "a malformed query", "", "query_malformed", "query"),
		waitingWrongly(at("/leaderboard?asOf=1")), doublyWrong(at("/leaderboard?asOf=1&top=x")),

		bad(at("/earnings?by=week"), "another span", "", "span_unknown", "by"),
		bad(at("/earnings?from=yesterday"), "a time that is none", "", "time_malformed", "from"),
		bad(at("/earnings?until=1"), "a position for a time", "", "time_malformed", "until"), impossible,
		bad(at("/earnings?from=2026-10-01&until=2026-10-01"), "nothing at all", "", "until_before_from", "until"),
		bad(at("/earnings?from=2026-10-02&until=2026-10-01"), "the end before the beginning", "", "until_before_from", "until"),
		bad(at("/earnings?by=hour&from=2026-10-01&until=2026-11-02"), "32 days by the hour", "", "span_too_long", "from"),
		bad(at("/earnings?by=hour&from=2000-01-01"), "from long ago until now", "", "span_too_long", "from"),
		bad(at("/earnings?from=2000-01-01&until=2026-01-01"), "26 years by the day", "", "span_too_long", "from"),
		bad(at("/earnings?by=%zz"), "a malformed query", "", "query_malformed", "query"),
		waitingWrongly(at("/earnings")), doublyWrong(at("/earnings?by=week")),
	)
}
