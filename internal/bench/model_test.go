package bench

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
)

// answered is the JSON of a dashboard, as far as the model looks at it.
func answered(t *testing.T, d *leaderboard.Dashboard, key domain.ProxyKey) []byte {
	t.Helper()
	rows := func(from []leaderboard.Row) (all []answeredRow) {
		for _, r := range from {
			all = append(all, answeredRow{int(r.Rank), r.Key.Name(), r.Points, r.Key == key})
		}
		return all
	}
	a := answeredDashboard{Top: rows(d.Top), Around: rows(d.Around), Customers: int(d.Customers), Position: d.Position}
	a.You = &answeredRow{int(d.You.Rank), d.You.Key.Name(), d.You.Points, true}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheModelOfTheBenchAgreesWithALeaderboardAndWithNothingElse(t *testing.T) {
	proxies, err := domain.NewProxies([]byte("a secret of this test"))
	if err != nil {
		t.Fatal(err)
	}
	people := population{500, proxies}
	board := memory.New()
	if err := board.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		for i := range people.customers {
			if err := yield(people.standing(i)); err != nil {
				return leaderboard.Snapshot{}, err
			}
		}
		return leaderboard.Snapshot{}, nil
	}); err != nil {
		t.Fatal(err)
	}
	model := newBoardModel(people, func(uint64, uint64) {})
	var at domain.Position
	for n := uint64(1); n <= 2000; n++ {
		_, change := people.change(n)
		to := domain.Position{Commit: n, Prepare: n}
		if err := board.Apply(t.Context(), leaderboard.Batch{From: domain.CheckpointAt(at), To: domain.CheckpointAt(to), AsOf: time.Now(), Changes: []leaderboard.Change{change}}); err != nil {
			t.Fatal(err)
		}
		at = to
		if n%20 != 0 {
			continue
		}
		customer := int(n*7) % people.customers
		key := proxies.Key(people.id(customer))
		var d leaderboard.Dashboard
		if err := board.Dashboard(t.Context(), key, 10, 2, &d); err != nil {
			t.Fatal(err)
		}
		right := sample{customer, 10, 2, answered(t, &d, key)}
		if err := model.check(right); err != nil {
			t.Fatal(err)
		}
		for what, spoil := range map[string]func(*leaderboard.Dashboard){
			"a rank":            func(d *leaderboard.Dashboard) { d.You.Rank++ },
			"points":            func(d *leaderboard.Dashboard) { d.Top[9].Points++ },
			"the order of two":  func(d *leaderboard.Dashboard) { d.Around[0], d.Around[1] = d.Around[1], d.Around[0] },
			"a name":            func(d *leaderboard.Dashboard) { d.Top[3].Key[0]++ },
			"a number":          func(d *leaderboard.Dashboard) { d.Customers-- },
			"a missing one":     func(d *leaderboard.Dashboard) { d.Top = d.Top[:9] },
			"another's ranking": func(d *leaderboard.Dashboard) { d.You = d.Top[0]; d.You.Key = key },
		} {
			wrong := leaderboard.Dashboard{Ranked: d.Ranked, You: d.You, Top: append([]leaderboard.Row(nil), d.Top...), Around: append([]leaderboard.Row(nil), d.Around...), Customers: d.Customers, State: d.State}
			spoil(&wrong)
			if text := answered(t, &wrong, key); !bytes.Equal(text, right.body) {
				if err := model.check(sample{customer, 10, 2, text}); err == nil {
					t.Fatalf("at %d, it takes %s for right", n, what)
				}
			}
		}
	}
}
