package replay_test

import (
	"cmp"
	"math/big"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"loyalty/analytics/replay"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/readmodels/leaderboard"
)

const autumn = `id: autumn
spendPerPoint: {GBP: 500, EUR: 600}
minimum: {GBP: 300, EUR: 1000}
multipliers:
  - {channel: mobile, from: 2026-10-01, until: 2026-10-20, factor: "1.5"}
  - {from: 2026-10-10, until: 2026-10-15, factor: 4/3}
pointValue: 2
`

// earned is what autumn says that an order earns, by the book.
func earned(m domain.Money, through domain.Channel, at time.Time) int64 {
	within := func(from, until string) bool {
		day := at.UTC().Format(time.DateOnly)
		return from <= day && day < until
	}
	spend, minimum := int64(500), int64(300)
	if m.Currency == domain.EUR {
		spend, minimum = 600, 1000
	}
	if m.Minor < minimum {
		return 0
	}
	points := big.NewRat(m.Minor, spend)
	switch {
	case through == domain.Mobile && within("2026-10-01", "2026-10-20"):
		points.Mul(points, big.NewRat(3, 2))
	case within("2026-10-10", "2026-10-15"):
		points.Mul(points, big.NewRat(4, 3))
	}
	points.Add(points, big.NewRat(1, 2))
	return new(big.Int).Div(points.Num(), points.Denom()).Int64()
}

// book is a history kept in the plainest way.
type book struct {
	totals  map[domain.CustomerID]*[2]int64
	reached map[domain.CustomerID]*[2]int64
	gone    map[domain.CustomerID]bool
	sums    [2]replay.Sums
	parts   map[replay.By]map[string]*[2]replay.Sums
}

func keepBook(t *testing.T, s *shop) *book {
	t.Helper()
	b := &book{totals: map[domain.CustomerID]*[2]int64{}, reached: map[domain.CustomerID]*[2]int64{}, gone: map[domain.CustomerID]bool{}, parts: map[replay.By]map[string]*[2]replay.Sums{}}
	placed := map[domain.OrderID]eventstore.Recorded{}
	everything := []string{order.TypePointsAwarded, order.TypePointsReversed, account.TypePointsAdjusted, account.TypeCustomerForgotten}
	_, err := s.store.Between(bounded(t), domain.Checkpoint{}, s.last, everything, func(r eventstore.Recorded) error {
		customer := r.Event.Customer()
		if b.totals[customer] == nil {
			b.totals[customer], b.reached[customer] = &[2]int64{}, &[2]int64{-1, -1}
		}
		var points [2]int64
		var currency domain.Currency
		count := func(*replay.Sums, int64) {}
		switch e := r.Event.(type) {
		case account.CustomerForgotten:
			b.gone[customer] = true
			return nil
		case order.PointsAwarded:
			placed[e.OrderID], currency = r, e.Paid.Currency
			points = [2]int64{int64(e.Points), earned(e.Paid, r.Metadata.Channel, e.OccurredAt)}
			count = func(s *replay.Sums, n int64) { s.Orders++; s.Awarded += n; s.Net += n }
		case order.PointsReversed:
			o := placed[e.OrderID]
			currency = e.NetBefore.Currency
			of := func(m domain.Money) int64 { return earned(m, o.Metadata.Channel, o.Event.Occurred()) }
			points = [2]int64{-int64(e.Points), of(e.NetAfter) - of(e.NetBefore)}
			count = func(s *replay.Sums, n int64) { s.Returns++; s.Reversed -= n; s.Net += n }
		case account.PointsAdjusted:
			points = [2]int64{int64(e.Points), int64(e.Points)}
			count = func(s *replay.Sums, n int64) { s.Adjustments++; s.Adjusted += n; s.Net += n }
		}
		for way, n := range points {
			b.totals[customer][way] += n
			if n != 0 {
				b.reached[customer][way] = leaderboard.Minute(r.Event.Occurred())
			}
			count(&b.sums[way], n)
			for by, name := range map[replay.By]string{replay.ByChannel: string(r.Metadata.Channel), replay.ByCurrency: string(currency), replay.ByMonth: r.Event.Occurred().Format("2006-01")} {
				if b.parts[by] == nil {
					b.parts[by] = map[string]*[2]replay.Sums{}
				}
				if b.parts[by][name] == nil {
					b.parts[by][name] = &[2]replay.Sums{}
				}
				count(&b.parts[by][name][way], n)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ranked are the customers on the leaderboard in one of the ways, the best first.
func (b *book) ranked(t *testing.T, way int) []domain.CustomerID {
	var all []domain.CustomerID
	for id := range b.totals {
		if !b.gone[id] && b.reached[id][way] >= 0 {
			all = append(all, id)
		}
	}
	names := proxies(t)
	slices.SortFunc(all, func(x, y domain.CustomerID) int {
		return cmp.Or(cmp.Compare(b.totals[y][way], b.totals[x][way]), cmp.Compare(b.reached[x][way], b.reached[y][way]), names.Key(x).Compare(names.Key(y)))
	})
	return all
}

func TestAWhatIfIsWhatTheOtherPolicyWouldHaveGiven(t *testing.T) {
	s := openShop(t)
	s.busy(700)
	b := keepBook(t, s)
	for _, by := range []replay.By{replay.ByChannel, replay.ByCurrency, replay.ByMonth} {
		h := fold(t, s, replay.Options{Policy: policy(t, autumn), By: by})
		r := report(t, h, 10)
		w := r.Policy
		if r.Totals != b.sums[0] || w.Totals != b.sums[1] || w.Difference != b.sums[1].Net-b.sums[0].Net || w.Difference == 0 {
			t.Errorf("%+v and %+v, want %+v", r.Totals, w, b.sums)
		}
		if want := (replay.Liability{2, 2 * b.sums[0].Net, 2 * b.sums[1].Net, 2 * w.Difference}); *w.Liability != want {
			t.Errorf("the liability is %+v, want %+v", *w.Liability, want)
		}
		var up, down, same int64
		for _, total := range b.totals {
			switch {
			case total[1] > total[0]:
				up++
			case total[1] < total[0]:
				down++
			default:
				same++
			}
		}
		if w.Up != up || w.Down != down || w.Same != same || up == 0 || r.Customers != up+down+same {
			t.Errorf("%d up, %d down, %d same; want %d, %d, %d", w.Up, w.Down, w.Same, up, down, same)
		}
		got := map[string]*[2]replay.Sums{}
		for _, p := range r.Parts {
			got[p.Name] = &[2]replay.Sums{p.Totals, *p.Other}
		}
		if diff := gocmp.Diff(b.parts[by], got); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", by, diff)
		}
		b.ranks(t, h, r)
	}
}

// ranks compares the board, the tops and the moves.
func (b *book) ranks(t *testing.T, h *replay.History, r replay.Report) {
	t.Helper()
	names := proxies(t)
	places := map[domain.ProxyKey]*[2]int64{}
	byKey := map[domain.ProxyKey]domain.CustomerID{}
	for way := range 2 {
		for i, id := range b.ranked(t, way) {
			key := names.Key(id)
			byKey[key] = id
			if places[key] == nil {
				places[key] = &[2]int64{}
			}
			places[key][way] = int64(i + 1)
		}
	}
	board := h.Board(names)
	if len(board) != len(places) {
		t.Fatalf("%d on the board, want %d", len(board), len(places))
	}
	var far []int64
	want := replay.Moves{}
	for _, row := range board {
		p, total := places[row.Key], b.totals[byKey[row.Key]]
		if row.Rank != p[0] || row.OtherRank != p[1] || row.Points != total[0] || row.OtherPoints != total[1] {
			t.Errorf("%+v, want places %v and points %v", row, p, total)
		}
		switch {
		case p[0] == 0:
			want.Joined++
		case p[1] == 0:
			want.Left++
		default:
			far = append(far, max(p[0]-p[1], p[1]-p[0]))
			want.Up, want.Down = max(want.Up, p[0]-p[1]), max(want.Down, p[1]-p[0])
		}
	}
	slices.Sort(far)
	at := func(part float64) int64 { // the smallest that so many are not above
		for _, n := range far {
			if i, _ := slices.BinarySearch(far, n+1); float64(i) >= part*float64(len(far)) {
				return n
			}
		}
		return 0
	}
	want.Customers, want.Median, want.P90, want.P99 = int64(len(far)), at(0.5), at(0.9), at(0.99)
	if r.Policy.Moves != want {
		t.Errorf("the moves are %+v, want %+v", r.Policy.Moves, want)
	}
	for i, place := range r.Top {
		if place.Rank != int64(i+1) || place.ProxyName != board[i].Name() || *place.OtherPoints != board[i].OtherPoints {
			t.Errorf("top %d: %+v", i, place)
		}
	}
	for i, place := range r.Policy.Top {
		if place.OtherRank != int64(i+1) || places[names.Key(b.ranked(t, 1)[i])][0] != place.Rank {
			t.Errorf("top %d under the policy: %+v", i, place)
		}
	}
}

func TestReversalsSumToTheAwardWhateverThePolicy(t *testing.T) {
	s := openShop(t)
	s.turn("2026-10-19T23:59:00Z")
	for _, through := range []domain.Channel{domain.Mobile, domain.Store} {
		for _, pence := range []int64{1000, 1249, 1250, 9999} {
			s.turn("2026-10-19T23:59:00Z")
			id := s.order("alice", pence, domain.GBP, through)
			s.turn("2026-10-20T00:01:00Z") // when the multiplier is over
			for left := pence; left > 0; left -= min(left, 333) {
				s.giveBack(id, min(left, 333), domain.Website)
			}
		}
	}
	for _, rounding := range []string{"nearest", "down", "up", "half-even"} {
		r := report(t, fold(t, s, replay.Options{Policy: policy(t, autumn+"rounding: "+rounding)}), 1)
		if got := r.Policy.Totals; got.Net != 0 || got.Awarded == 0 || got.Awarded != got.Reversed {
			t.Errorf("rounding %s: %+v", rounding, got)
		}
	}
}

func TestWhatAPolicyDoesNotPriceEarnsNothingAndIsCounted(t *testing.T) {
	s := openShop(t)
	s.order("alice", 2000, domain.EUR, domain.Store)
	s.order("alice", 2000, domain.GBP, domain.Store)
	s.order("bob", 2000, domain.EUR, domain.Store)
	r := report(t, fold(t, s, replay.Options{Policy: policy(t, "id: pounds\nspendPerPoint: {GBP: 1000}")}), 5)
	if w := r.Policy; w.Unpriced != 2 || w.Totals.Net != 2 || w.Liability != nil || w.Moves.Left != 1 || len(w.Top) != 1 || len(r.Top) != 2 {
		t.Errorf("%+v", w)
	}
}
