package memory

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Crowds come and go, so that leaves and inner nodes split and merge, and pages split that hold places of those who left.
func TestAShrinkingRankingKeepsItsShape(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRanking(part{0, func(func(entry) bool) {}})
		defer r.release()
		if err := r.makeIndex(); err != nil {
			rt.Fatal(err)
		}
		var model []entry
		next, gone := 0, map[domain.ProxyKey]struct{}{}
		for range rapid.IntRange(1, 8).Draw(rt, "waves") {
			for range rapid.IntRange(0, 1500).Draw(rt, "coming") {
				e := newEntry(leaderboard.Standing{Key: customer(next), Points: domain.Points(next * 7919 % 97)})
				r.enter(e)
				model = append(model, e)
				next++
			}
			stride := rapid.IntRange(1, 9).Draw(rt, "stride")
			for range rapid.IntRange(0, len(model)).Draw(rt, "going") {
				at := stride * len(gone) % len(model)
				key := model[at].key()
				r.retire(&key)
				gone[key] = struct{}{}
				model[at] = model[len(model)-1]
				model = model[:len(model)-1]
			}
			agree(t, r, model)
		}
		for key := range gone {
			if s, ranked := r.standing(&key); ranked || s != (leaderboard.Standing{Key: key, Retired: true}) {
				rt.Fatalf("%s is retired; got %+v, %v", key, s, ranked)
			}
		}
		if !maps.Equal(r.retired, gone) {
			rt.Fatalf("%d are retired, want %d", len(r.retired), len(gone))
		}
	})
}

func TestPlacesOfThoseWhoLeftAreFreeAgainWhenTheirPageIsSplit(t *testing.T) {
	r := emptyRanking(t)
	for i := range 200_000 { // one comes, and the one before goes
		r.enter(newEntry(leaderboard.Standing{Key: customer(i)}))
		if i > 0 {
			before := customer(i - 1)
			r.retire(&before)
		}
	}
	check(t, r)
	if r.tree.count != 1 || len(r.retired) != 199_999 {
		t.Errorf("%d are there and %d are retired", r.tree.count, len(r.retired))
	}
	if pages, most := len(r.index.fills), 200_000/pageLimit; pages > most {
		t.Errorf("the index has %d pages, want at most %d", pages, most)
	}
}

func TestADashboardOfSomebodyRetiredAllocatesNothing(t *testing.T) {
	board := New()
	if err := board.Load(t.Context(), spread(5000)); err != nil {
		t.Fatal(err)
	}
	batch := leaderboard.Batch{From: domain.CheckpointAt(position(1)), To: domain.CheckpointAt(position(2))}
	for i := range 100 {
		batch.Changes = append(batch.Changes, leaderboard.Change{Key: customer(i * 7), Retires: true})
	}
	if err := board.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	d, ctx, who := roomy(), t.Context(), 0
	if allocations := testing.AllocsPerRun(99, func() {
		if err := board.Dashboard(ctx, customer(who), 10, 2, &d); err != nil || d.Ranked || d.Customers != 4900 {
			t.Error(err, d.Ranked, d.Customers)
		}
		who += 7
	}); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
	if slices.ContainsFunc(d.Top, func(row leaderboard.Row) bool { _, gone := board.ranking.retired[row.Key]; return gone }) {
		t.Error("somebody retired is in the top")
	}
}
