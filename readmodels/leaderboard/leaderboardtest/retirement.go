package leaderboardtest

import (
	"errors"
	"math/rand/v2"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var retirementClauses = []clause{
	{"somebody retired is off the board, and those below move up", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), standing(bob, 20, 5), standing(cat, 10, 5))
		b.apply(retires(bob))
		b.ranks(ann, cat)
		if d := b.dashboard(cat, 10, 2); d.Customers != 2 || d.You.Rank != 2 {
			t.Errorf("cat is at rank %d of %d", d.You.Rank, d.Customers)
		}
		if d := b.dashboard(bob, 10, 2); d.Ranked || len(d.Around) != 0 || len(d.Top) != 2 {
			t.Errorf("bob sees %+v", d)
		}
	}},
	{"the last one on the board may be retired", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.apply(retires(ann))
		b.ranks()
		b.apply(change(bob, 1, 6))
		b.ranks(bob)
	}},
	{"later changes of a retired key have no effect", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), standing(bob, 20, 5))
		b.apply(retires(ann))
		b.apply(change(ann, 5, 6), change(bob, 1, 6))
		b.ranks(bob)
		b.apply(change(ann, -40, 7), change(ann, 99, 8))
		b.ranks(bob)
	}},
	{"later changes in the same batch have none either", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), standing(bob, 20, 5))
		b.apply(change(ann, 1, 6), retires(ann), change(ann, 5, 6), change(bob, 1, 6))
		b.ranks(bob)
	}},
	{"somebody who comes and is retired in one batch never was there", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(bob, 20, 5))
		b.apply(change(ann, 5, 6), retires(ann), change(ann, 7, 7), change(bob, 1, 6))
		b.ranks(bob)
	}},
	{"somebody who isn't there is retired all the same", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(bob, 20, 5))
		b.apply(retires(ann))
		b.ranks(bob)
		b.apply(change(ann, 5, 6))
		b.ranks(bob)
	}},
	{"to be retired again changes nothing", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), standing(bob, 20, 5))
		b.apply(retires(ann), retires(ann), retires(cat))
		b.apply(retires(cat), retires(ann))
		b.ranks(bob)
		b.apply(change(ann, 5, 6), change(cat, 5, 6))
		b.ranks(bob)
	}},
	{"the points of a change that retires count for nothing", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), standing(bob, 20, 5))
		for key, points := range map[domain.ProxyKey]domain.Points{ann: 7, cat: 1<<63 - 1} {
			c := retires(key)
			c.Points, c.Minute = points, 9
			b.apply(c)
		}
		b.ranks(bob)
	}},
	{"nothing is left of a total beyond the clamp", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 5*domain.MaxRanked, 5), standing(bob, 20, 5))
		b.apply(change(ann, domain.MaxChange, 6), retires(ann), change(ann, domain.MaxChange, 6))
		b.apply(change(ann, domain.MaxChange, 7))
		b.ranks(bob)
	}},
	{"a batch that fails retires nobody", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), standing(bob, domain.MaxRanked, 5))
		b.refuses(b.next(retires(ann), retires(cat), change(bob, domain.MaxChange+1, 6)), domain.ErrInvalid)
		b.apply(change(ann, 1, 6), change(cat, 1, 6))
		b.ranks(bob, ann, cat)
	}},
	{"a retirement that comes again is refused, and once is enough", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), standing(bob, 20, 5))
		batch := b.next(retires(ann))
		b.apply(batch.Changes...)
		b.refuses(batch, domain.ErrCheckpointMoved)
		b.apply(change(ann, 5, 6))
		b.refuses(batch, domain.ErrCheckpointMoved)
	}},
	{"a retirement that would not move the checkpoint is refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5))
		b.refuses(leaderboard.Batch{From: domain.CheckpointAt(at(100)), To: domain.CheckpointAt(at(100)), AsOf: start, Changes: []leaderboard.Change{retires(ann)}}, domain.ErrInvalid)
	}},
	{"a load may say who is retired", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), retired(bob), standing(cat, 10, 5), leaderboard.Standing{Key: dan, Points: 1<<63 - 1, Minute: 3, Retired: true})
		b.ranks(ann, cat)
		b.apply(change(bob, 99, 6), change(dan, 99, 6), change(eve, 20, 6))
		b.ranks(ann, eve, cat)
	}},
	{"a load of retired keys only is a board of nobody", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, retired(ann), retired(bob))
		b.ranks()
		b.apply(change(ann, 1, 6), change(cat, 1, 6))
		b.ranks(cat)
	}},
	{"a load replaces who is retired too", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), retired(bob))
		b.apply(retires(ann))
		b.load(leaderboard.State{Position: at(50), AsOf: start}, standing(ann, 3, 3), retired(cat))
		b.ranks(ann)
		b.apply(change(ann, 1, 6), change(bob, 2, 6), change(cat, 9, 6))
		b.ranks(ann, bob)
	}},
	{"a load that breaks off leaves who is retired", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), retired(bob))
		err := b.Load(b.ctx, func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
			return snapshotOf(leaderboard.State{Position: at(900)}), errors.Join(yield(retired(ann)), yield(standing(bob, 1, 1)), errLedger)
		})
		if !errors.Is(err, errLedger) {
			t.Fatalf("got error %v, want %v", err, errLedger)
		}
		b.apply(change(ann, 1, 6), change(bob, 1, 6))
		b.ranks(ann)
	}},
	{"somebody loaded twice, if only once as retired, is refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5))
		for _, standings := range [][]leaderboard.Standing{
			{retired(bob), retired(bob)}, {retired(bob), standing(bob, 1, 1)}, {standing(bob, 1, 1), standing(cat, 1, 1), retired(bob)},
		} {
			if err := b.Load(b.ctx, source(leaderboard.State{Position: at(900)}, standings...)); !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("%+v: got error %v, want %v", standings, err, domain.ErrInvalid)
			}
			b.agrees()
		}
	}},
	{"standings tell who is retired", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 30, 5), standing(bob, 20, 5), retired(cat))
		b.standingsAgree(ann, bob, cat, absent)
		b.apply(retires(ann), retires(dan), change(cat, 1, 6))
		b.standingsAgree(dan, ann, bob, absent, cat, ann)
		s, err := b.Standings(b.ctx, []domain.ProxyKey{ann, bob, absent})
		if err != nil || !s.Standings[0].Retired || s.Found[0] || s.Standings[1].Retired || s.Standings[2].Retired {
			t.Errorf("got %+v, %v", s, err)
		}
	}},
	{"a thousand of ten thousand are retired, and those who stay close the ranks", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(10_000)...)
		anybody := b.model.Ranking()
		random := rand.New(rand.NewPCG(5, 6))
		going := random.Perm(len(anybody))[:1000]
		for len(going) > 0 { // among others' points and their own, before and after
			var changes []leaderboard.Change
			for _, who := range going[:50] {
				for range 3 {
					changes = append(changes, change(anybody[random.IntN(len(anybody))].Key, domain.Points(random.IntN(9)-3), int64(random.IntN(4))))
				}
				changes = append(changes, change(anybody[who].Key, 3000, 1), retires(anybody[who].Key), change(anybody[who].Key, 3000, 1))
			}
			b.apply(changes...)
			going = going[50:]
		}
		ranking, gone := b.model.Ranking(), b.model.Retired()
		if len(ranking) != 9000 || len(gone) != 1000 {
			t.Fatalf("%d are on the board and %d are gone", len(ranking), len(gone))
		}
		for i := 0; i < len(ranking); i += 61 {
			b.shows(ranking, ranking[i].Key, 10, 2)
			b.stands(ranking[i].Key)
		}
		for i := 0; i < len(gone); i += 31 {
			b.shows(ranking, gone[i].Key, 10, 2)
		}
		var keys []domain.ProxyKey
		for _, s := range b.model.Standings() {
			keys = append(keys, s.Key)
		}
		for i := 0; i < len(keys); i += leaderboard.MaxStandings {
			b.standingsAgree(keys[i : i+leaderboard.MaxStandings]...)
		}
	}},
}
