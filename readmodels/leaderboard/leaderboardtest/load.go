package leaderboardtest

import (
	"errors"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var errLedger = errors.New("the ledger broke off")

var loadClauses = []clause{
	{"before the first load there is nothing to read or to add to", func(t *testing.T, adapter Adapter) { needsLoad(t, adapter) }},
	{"a load of nobody at the start of the log is a load", func(t *testing.T, adapter Adapter) {
		b := &board{reporter: t, Adapter: adapter, ctx: t.Context()}
		b.load(leaderboard.State{AsOf: start})
		b.agrees()
		b.apply(change(ann, 1, 1))
		b.ranks(ann)
	}},
	{"a load brings standings, position and time", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 0, 6), standing(cat, -3, 7))
		b.ranks(ann, bob, cat)
	}},
	{"a load may not know a time", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter)
		b.load(leaderboard.State{Position: at(7)}, standing(ann, 10, 5))
		if asOf := b.dashboard(ann, 1, 0).AsOf; !asOf.IsZero() {
			t.Errorf("as of %s, want the zero time", asOf)
		}
		b.apply(change(ann, 1, 6))
		b.load(leaderboard.State{Position: at(7)})
		b.agrees()
		batch := b.next()
		batch.AsOf = start
		if err := b.Apply(b.ctx, batch); err != nil {
			t.Fatal(err)
		}
		b.state = leaderboard.State{Position: batch.To.Position, AsOf: start}
		b.agrees()
	}},
	{"a load replaces everything", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 20, 6))
		b.apply(change(cat, 30, 7))
		b.load(leaderboard.State{Position: at(5000), AsOf: start.Add(time.Hour)}, standing(bob, 1, 1), standing(dan, 2, 2))
		b.ranks(dan, bob)
		b.apply(change(ann, 4, 9), change(bob, 4, 9))
		b.ranks(bob, ann, dan)
	}},
	{"a load may go back in the log", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.load(leaderboard.State{Position: at(3), AsOf: start.Add(-time.Hour)}, standing(ann, 8, 1))
		b.ranks(ann)
		b.refuses(leaderboard.Batch{From: domain.CheckpointAt(at(100)), To: domain.CheckpointAt(at(110)), AsOf: start}, domain.ErrCheckpointMoved)
	}},
	{"totals beyond the clamp load, those that no log adds up to are refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 1<<61, 5), standing(bob, -1<<61, 5))
		b.ranks(ann, bob)
		for _, points := range []domain.Points{1<<63 - 1, -1 << 63} {
			if err := b.Load(b.ctx, source(b.state, standing(cat, 1, 1), standing(dan, points, 1))); !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("%d points: got error %v, want %v", points, err, domain.ErrInvalid)
			}
		}
		b.ranks(ann, bob)
	}},
	{"readers see the old leaderboard while a load goes on", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 9, 5))
		fresh := leaderboard.State{Position: at(200), AsOf: start.Add(time.Minute)}
		err := b.Load(b.ctx, func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
			if err := yield(standing(bob, 99, 9)); err != nil {
				return leaderboard.Snapshot{}, err
			}
			b.ranks(ann, bob)
			return snapshotOf(fresh), yield(standing(cat, 98, 9))
		})
		if err != nil {
			t.Fatal(err)
		}
		b.model, b.state = NewModel(standing(bob, 99, 9), standing(cat, 98, 9)), fresh
		b.ranks(bob, cat)
	}},
	{"what the standings of a load lack is changed before anybody sees them", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		fresh := leaderboard.State{Position: at(200), AsOf: start.Add(time.Minute)}
		standings := append(crowd(1500), standing(ann, 10, 5), standing(bob, 1<<40, 6), retired(cat))
		var lacking []leaderboard.Change
		for i := range 2500 { // so many that no adapter makes them in one step
			lacking = append(lacking, change(standings[i%1400].Key, domain.Points(1+i%7), int64(i)))
		}
		lacking = append(lacking, change(ann, 5, 9), change(ann, -20, 10), change(bob, -1<<26, 11), change(cat, 7, 12), change(dan, 8, 13),
			retires(standings[3].Key), change(standings[3].Key, 4, 14), retires(standings[1450].Key), change(dan, 0, 15))
		err := b.Load(b.ctx, func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
			for _, s := range standings {
				if err := yield(s); err != nil {
					return leaderboard.Snapshot{}, err
				}
			}
			b.ranks(ann)
			loaded := snapshotOf(fresh)
			loaded.Lacking = lacking
			return loaded, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.model, b.state = NewModel(standings...), fresh
		if err := b.model.Apply(lacking...); err != nil {
			t.Fatal(err)
		}
		b.agrees()
		ranking := b.model.Ranking()
		for i := 0; i < len(ranking); i += 41 {
			b.shows(ranking, ranking[i].Key, 10, 2)
			b.stands(ranking[i].Key)
		}
		b.apply(change(dan, 100, 16), change(bob, 1, 17), change(cat, 1, 18))
	}},
	{"a load that breaks off leaves the old leaderboard", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		if err := b.Load(b.ctx, breakingOff); !errors.Is(err, errLedger) {
			t.Errorf("got error %v, want %v", err, errLedger)
		}
		b.ranks(ann)
		b.apply(change(bob, 11, 6))
		b.ranks(bob, ann)
	}},
	{"a first load that breaks off leaves nothing", func(t *testing.T, adapter Adapter) {
		if err := adapter.Load(t.Context(), breakingOff); !errors.Is(err, errLedger) {
			t.Errorf("got error %v, want %v", err, errLedger)
		}
		needsLoad(t, adapter)
		b := given(t, adapter, standing(ann, 10, 5))
		b.ranks(ann)
	}},
	{"what yield refuses fails the load, even where the function overlooks it", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		err := b.Load(b.ctx, func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
			if yield(standing(bob, 1<<63-1, 1)) == nil {
				t.Error("yield should refuse what no log adds up to")
			}
			if yield(standing(cat, 1, 1)) == nil {
				t.Error("yield should refuse all that follows")
			}
			return snapshotOf(leaderboard.State{Position: at(900), AsOf: start}), nil
		})
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("got error %v, want %v", err, domain.ErrInvalid)
		}
		b.ranks(ann)
	}},
	{"thousands load, in any order", func(t *testing.T, adapter Adapter) {
		standings := crowd(5000)
		for i := range standings {
			standings[i].Points = domain.Points(i * 7919 % 41)
		}
		b := given(t, adapter, standings...)
		ranking := b.model.Ranking()
		for i := 0; i < len(ranking); i += 97 {
			b.shows(ranking, ranking[i].Key, 10, 2)
			b.stands(ranking[i].Key)
		}
	}},
}

// breakingOff yields one customer and then fails.
func breakingOff(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
	return snapshotOf(leaderboard.State{Position: at(900), AsOf: start}), errors.Join(yield(standing(cat, 77, 7)), errLedger)
}

// needsLoad expects that a leaderboard has no Load yet.
func needsLoad(t *testing.T, adapter Adapter) {
	t.Helper()
	_, checkpoint := adapter.Checkpoint(t.Context())
	_, _, _, standing := adapter.Standing(t.Context(), ann)
	_, standings := adapter.Standings(t.Context(), []domain.ProxyKey{ann})
	for what, err := range map[string]error{
		"Checkpoint": checkpoint,
		"Standing":   standing,
		"Standings":  standings,
		"Dashboard":  adapter.Dashboard(t.Context(), ann, 10, 2, new(leaderboard.Dashboard)),
		"Apply":      adapter.Apply(t.Context(), leaderboard.Batch{To: domain.CheckpointAt(at(1)), AsOf: start, Changes: []leaderboard.Change{change(ann, 1, 1)}}),
	} {
		if !errors.Is(err, domain.ErrNotCaughtUp) {
			t.Errorf("%s: got error %v, want %v", what, err, domain.ErrNotCaughtUp)
		}
	}
}
