package leaderboardtest

import (
	"testing"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var propertyClauses = []clause{
	{"whatever happens, every rank and every window is that of a plain sort", func(t *testing.T, adapter Adapter) {
		rapid.Check(t, func(rt *rapid.T) {
			b := &board{reporter: rt, Adapter: adapter, ctx: t.Context()}
			customers := rapid.SliceOfNDistinct(keys(), 1, 40, rapid.ID).Draw(rt, "customers")
			b.load(leaderboard.State{Position: at(100), AsOf: start}, standings(rt, customers)...)
			var applied []leaderboard.Batch
			for range rapid.IntRange(0, 12).Draw(rt, "batches") {
				batch := b.next(rapid.SliceOfN(changes(customers), 0, 12).Draw(rt, "changes")...)
				if NewModel(b.model.Standings()...).Apply(batch.Changes...) != nil {
					b.refuses(batch, domain.ErrInvalid)
					continue
				}
				b.apply(batch.Changes...)
				applied = append(applied, batch)
				if rapid.Bool().Draw(rt, "redelivery") {
					b.refuses(rapid.SampledFrom(applied).Draw(rt, "again"), domain.ErrCheckpointMoved)
				}
			}
			b.agrees()
			ranking := b.model.Ranking()
			for _, key := range customers {
				b.shows(ranking, key, rapid.IntRange(1, len(customers)+2).Draw(rt, "top"), rapid.IntRange(0, len(customers)+2).Draw(rt, "around"))
			}
		})
	}},
	{"however the log is cut into batches, it ends the same", func(t *testing.T, adapter Adapter) {
		rapid.Check(t, func(rt *rapid.T) {
			b := &board{reporter: rt, Adapter: adapter, ctx: t.Context()}
			customers := rapid.SliceOfNDistinct(keys(), 1, 10, rapid.ID).Draw(rt, "customers")
			log := rapid.SliceOfN(largeAndSmallChanges(customers), 1, 60).Draw(rt, "log")
			b.load(leaderboard.State{Position: at(100), AsOf: start})
			for rest := log; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(rt, "cut")
				b.apply(rest[:n]...)
				rest = rest[n:]
			}
			b.model = NewModel()
			for _, c := range log {
				if err := b.model.Apply(c); err != nil {
					rt.Fatalf("the test's own log: %v", err)
				}
			}
			b.agrees()
		})
	}},
}

// keys are proxy keys that differ in one or two bytes, at any place, with values on both sides of 128.
func keys() *rapid.Generator[domain.ProxyKey] {
	return rapid.Custom(func(t *rapid.T) (key domain.ProxyKey) {
		for range 2 {
			key[rapid.IntRange(0, len(key)-1).Draw(t, "byte")] = rapid.SampledFrom([]byte{0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xff}).Draw(t, "value")
		}
		return key
	})
}

// minutes are few, so that they tie, and include the ends of the range and values beyond.
func minutes() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64Range(0, 3), rapid.SampledFrom([]int64{-1, leaderboard.MaxMinute - 1, leaderboard.MaxMinute, leaderboard.MaxMinute + 1, 1<<63 - 1, -1 << 63}))
}

// standings are of some of the customers; some are retired.
func standings(t *rapid.T, customers []domain.ProxyKey) []leaderboard.Standing {
	const limit = int64(domain.MaxRanked)
	points := rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64Range(limit-2, limit+2), rapid.Int64Range(-limit-2, 2-limit), rapid.SampledFrom([]int64{3 * limit, -3 * limit, 1 << 60, -1 << 60}))
	var all []leaderboard.Standing
	for _, key := range customers {
		if rapid.IntRange(0, 9).Draw(t, "retired") == 9 {
			all = append(all, retired(key))
		} else if rapid.Bool().Draw(t, "loaded") {
			all = append(all, standing(key, domain.Points(points.Draw(t, "points")), minutes().Draw(t, "minute")))
		}
	}
	return all
}

// changes are mostly small, so that totals tie; some are as large as an event holds, which takes totals beyond the clamp and back, few are
// larger, and some retire a key.
func changes(customers []domain.ProxyKey) *rapid.Generator[leaderboard.Change] {
	return rapid.Custom(func(t *rapid.T) leaderboard.Change {
		c := smallChanges(customers).Draw(t, "change")
		switch large := rapid.IntRange(0, 99).Draw(t, "large"); {
		case large == 99:
			c.Points = rapid.SampledFrom([]domain.Points{domain.MaxChange + 1, 1<<63 - 1, -1 << 63}).Draw(t, "too many points")
		case large >= 75:
			c.Points = rapid.SampledFrom([]domain.Points{domain.MaxChange, -domain.MaxChange}).Draw(t, "points")
		}
		return c
	})
}

// largeAndSmallChanges are those of changes that one event may hold.
func largeAndSmallChanges(customers []domain.ProxyKey) *rapid.Generator[leaderboard.Change] {
	return changes(customers).Filter(func(c leaderboard.Change) bool { return c.Points.Ranked() == c.Points })
}

func smallChanges(customers []domain.ProxyKey) *rapid.Generator[leaderboard.Change] {
	return rapid.Custom(func(t *rapid.T) leaderboard.Change {
		who := rapid.SampledFrom(customers).Draw(t, "who")
		if rapid.IntRange(0, 19).Draw(t, "retires") == 19 {
			return retires(who)
		}
		return change(who, domain.Points(rapid.Int64Range(-3, 3).Draw(t, "points")), minutes().Draw(t, "minute"))
	})
}
