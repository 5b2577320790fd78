package leaderboardtest

import (
	"testing"

	"loyalty/domain"
)

var changeClauses = []clause{
	{"a customer enters with their first points", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.apply(change(bob, 20, 6))
		b.ranks(bob, ann)
	}},
	{"a customer may enter with a debt", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.apply(change(bob, -3, 6))
		b.ranks(ann, bob)
	}},
	{"points add up and move the minute", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 15, 6))
		b.apply(change(ann, 5, 7))
		b.ranks(bob, ann)
		b.apply(change(ann, 1, 8))
		b.ranks(ann, bob)
	}},
	{"a total that falls sinks in rank", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 9, 5), standing(cat, 8, 5))
		b.apply(change(ann, -2, 9))
		b.ranks(bob, cat, ann)
	}},
	{"somebody who falls back to zero stays on the board", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(bob, -1, 1))
		b.apply(change(ann, 10, 5))
		b.apply(change(ann, -10, 6))
		b.ranks(ann, bob)
	}},
	{"a debt is worked off like any total", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, -10, 5), standing(bob, -5, 5))
		b.apply(change(ann, 6, 7))
		b.ranks(ann, bob)
		b.apply(change(bob, 5, 8))
		b.ranks(bob, ann)
	}},
	{"a change of zero points enters nobody", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.apply(change(bob, 0, 6))
		b.ranks(ann)
	}},
	{"a change of zero points does not move the minute", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 10, 6))
		b.apply(change(ann, 0, 7))
		b.apply(change(bob, 0, 4))
		b.ranks(ann, bob)
	}},
	{"the minute follows the log, even back in time", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 9, 9))
		b.apply(change(bob, 1, 4))
		b.ranks(bob, ann)
	}},
	{"to come back to a total is to reach it anew", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 10, 6))
		b.apply(change(ann, 5, 7), change(ann, -5, 8))
		b.ranks(bob, ann)
	}},
	{"a batch is folded in its order", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 12, 6))
		b.apply(change(ann, 1, 9), change(bob, -1, 8), change(ann, 1, 6), change(cat, 12, 5), change(bob, 1, 7), change(ann, 0, 99))
		b.ranks(cat, ann, bob)
	}},
	{"one batch of changes ends as a batch of each does", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(dan, 3, 3))
		b.apply(change(ann, 5, 9), change(ann, -5, 2), change(bob, 1, 1), change(bob, 0, 0), change(dan, -3, 4), change(ann, 1, 8), change(bob, -1, 8))
		together := b.model.Ranking()
		b.load(b.state, standing(dan, 3, 3))
		for _, c := range []struct {
			key    domain.ProxyKey
			points domain.Points
			minute int64
		}{{ann, 5, 9}, {ann, -5, 2}, {bob, 1, 1}, {bob, 0, 0}, {dan, -3, 4}, {ann, 1, 8}, {bob, -1, 8}} {
			b.apply(change(c.key, c.points, c.minute))
		}
		for _, s := range together {
			b.shows(together, s.Key, 100, 50)
		}
	}},
	{"a total may reach the clamp exactly", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, domain.MaxRanked-1, 5), standing(bob, 1-domain.MaxRanked, 5))
		b.apply(change(ann, 1, 6), change(bob, -1, 6), change(cat, domain.MaxRanked, 5), change(dan, -domain.MaxRanked, 5))
		b.ranks(cat, ann, dan, bob)
	}},
	{"totals beyond the clamp rank by minute and key, and show as they are", func(t *testing.T, adapter Adapter) {
		const limit = domain.MaxRanked
		b := given(t, adapter, standing(ann, limit, 7), standing(bob, -limit, 7), standing(cat, 20*limit, 8))
		b.ranks(ann, cat, bob)
		b.apply(change(ann, limit, 9), change(bob, -limit, 6), change(dan, limit, 9), change(eve, -limit, 5))
		b.ranks(cat, ann, dan, eve, bob)
		b.apply(change(dan, limit, 9), change(dan, limit, 9), change(eve, -limit, 6))
		b.ranks(cat, ann, dan, bob, eve)
	}},
	{"a total beyond the clamp comes back exactly", func(t *testing.T, adapter Adapter) {
		const limit = domain.MaxRanked
		b := given(t, adapter, standing(ann, 3*limit+5, 5), standing(bob, 10, 5), standing(cat, -2*limit-7, 5))
		b.apply(change(ann, -limit, 6), change(cat, limit, 6))
		b.ranks(ann, bob, cat)
		b.apply(change(ann, -limit, 7), change(ann, -limit, 7), change(cat, limit, 7))
		b.ranks(bob, ann, cat)
		b.apply(change(bob, limit, 8), change(bob, limit, 8), change(bob, -limit, 8), change(bob, -limit, 9))
		b.ranks(bob, ann, cat)
		// Beyond again, and out of the leaderboard
		b.apply(change(ann, limit, 9), change(ann, limit, 9))
		b.ranks(ann, bob, cat)
		b.apply(retires(ann), change(cat, limit, 9), change(cat, limit, 9))
		b.ranks(cat, bob)
	}},
	{"a load keeps none of the totals of before", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 3*domain.MaxRanked, 5), standing(bob, 2*domain.MaxRanked, 5))
		b.load(b.state, standing(ann, domain.MaxRanked, 5), standing(bob, 4*domain.MaxRanked, 6))
		b.ranks(ann, bob)
		b.apply(change(ann, 1, 7))
		b.ranks(bob, ann)
	}},
	{"a change of more points than one event holds is refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 1, 5), standing(bob, -2, 5))
		for _, points := range []domain.Points{domain.MaxChange + 1, -domain.MaxChange - 1, 1<<53 + 1, 1<<63 - 1, -1 << 63} {
			b.refuses(b.next(change(ann, points, 6)), domain.ErrInvalid)
			b.refuses(b.next(change(cat, points, 6)), domain.ErrInvalid)
		}
	}},
	{"a batch that fails leaves no trace", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10*domain.MaxRanked, 5), standing(bob, 7, 5))
		b.refuses(b.next(change(bob, 1, 6), change(ann, 1, 6), change(cat, 3, 6), change(ann, domain.MaxChange+1, 6), change(dan, 4, 6)), domain.ErrInvalid)
		b.apply(change(bob, 1, 8), change(cat, 3, 8))
		b.ranks(ann, bob, cat)
	}},
}
