package projections_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"loyalty/domain"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/memory"
)

func openHistory(t *testing.T, dir string) *history.History {
	t.Helper()
	h, err := history.Open(dir, history.Options{SnapshotEvery: 40})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// TestTheHistoryShowsWhatTheLeaderboardShowed follows a log into a leaderboard and a history, and asks the leaderboard now and then,
// and the history about all those moments at the end, once it was opened again.
func TestTheHistoryShowsWhatTheLeaderboardShowed(t *testing.T) {
	store, proxies, board, dir := storetest.Open(t), testProxies(t), memory.New(), t.TempDir()
	storetest.Begin(t, store)
	l, past := openLedger(t), openHistory(t, dir)
	told := &story{random: rand.New(rand.NewPCG(8, 22)), model: leaderboardtest.NewModel(), gone: map[domain.CustomerID]bool{}}
	run(t, projections.Ledger{Writer: l}, store, projections.Options{})
	run(t, projections.Leaderboard{Writer: board, Accounts: l, Proxies: proxies}, store, projections.Options{})
	_, stop := run(t, projections.History{Writer: past, Proxies: proxies}, store, projections.Options{BatchSize: 7})
	shown := map[domain.Position]map[domain.CustomerID]leaderboard.Dashboard{}
	var last domain.Position
	for range 25 {
		last = happen(t, store, told.next(proxies, 10)...)
		if err := errors.Join(board.Wait(bounded(t), last), past.Wait(bounded(t), last)); err != nil {
			t.Fatal(err)
		}
		shown[last] = map[domain.CustomerID]leaderboard.Dashboard{}
		for _, i := range []int{0, 7, people - 1, people} {
			var d leaderboard.Dashboard
			customer := domain.CustomerID(fmt.Sprintf("c-%02d", i))
			if err := board.Dashboard(bounded(t), proxies.Key(customer), 10, 2, &d); err != nil {
				t.Fatal(err)
			}
			shown[last][customer] = d
		}
	}
	if err := errors.Join(stop(), past.Close()); err != nil {
		t.Fatal(err)
	}
	past = openHistory(t, dir)
	forgotten := map[domain.ProxyKey]bool{}
	for customer := range told.gone {
		if forgotten[proxies.Key(customer)] = true; !past.Retired(proxies.Key(customer)) {
			t.Errorf("%s is not retired", customer)
		}
	}
	if len(forgotten) == 0 {
		t.Error("nobody was forgotten, which tests little")
	}
	unnamed := cmp.Transformer("unnamed", func(row leaderboard.Row) leaderboard.Row {
		if forgotten[row.Key] {
			row.Key = domain.ProxyKey{}
		}
		return row
	})
	for at, dashboards := range shown {
		for customer, want := range dashboards {
			var got leaderboard.Dashboard
			if err := past.AsOf(bounded(t), "asOf", history.Moment{Position: at}, proxies.Key(customer), 10, 2, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, unnamed, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(leaderboard.State{}, "AsOf")); diff != "" {
				t.Errorf("%s, as of %s (-leaderboard +history):\n%s", customer, at, diff)
			}
		}
	}
}

// TestTheHistoryTellsKindsApart: an award, a reversal, an adjustment and an erasure come out as what they are.
func TestTheHistoryTellsKindsApart(t *testing.T) {
	store, proxies, past := storetest.Open(t), testProxies(t), openHistory(t, t.TempDir())
	storetest.Begin(t, store)
	begin := adjust(t, store, "bob", 0, 1)
	appendOrder(t, store, "alice", "o-1")
	adjust(t, store, "alice", 0, 25)
	end := happen(t, store, forgotten("bob"))
	run(t, projections.History{Writer: past, Proxies: proxies}, store, projections.Options{})
	if err := past.Wait(bounded(t), end); err != nil {
		t.Fatal(err)
	}
	got, err := past.Changes(bounded(t), "since", history.Moment{Position: begin}, proxies.Key("alice"))
	want := history.Changes{
		Then:    history.Place{Customers: 1, State: leaderboard.State{Position: begin}},
		Now:     history.Place{Ranked: true, Rank: 1, Points: 34, Customers: 1, State: leaderboard.State{Position: end}},
		Awarded: 13, Reversed: -4, Adjusted: 25,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(leaderboard.State{}, "AsOf")); diff != "" || err != nil || got.Then.AsOf.IsZero() || !got.Now.AsOf.After(got.Then.AsOf) {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
