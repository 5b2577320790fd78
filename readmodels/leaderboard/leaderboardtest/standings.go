package leaderboardtest

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var standingsClauses = []clause{
	{"standings come in the order of the keys, with those who are absent", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, -3, 6), standing(cat, 0, 7))
		b.apply(change(dan, 4, 8))
		b.standingsAgree(dan, absent, bob, ann, absent, cat)
	}},
	{"somebody asked for twice is there twice", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 20, 6))
		b.standingsAgree(ann, ann, bob, absent, absent, ann)
	}},
	{"asking for nobody still tells how many there are, and the state", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.standingsAgree()
		b.load(leaderboard.State{})
		b.standingsAgree()
	}},
	{"standings at the ends of their ranges are exact", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter,
			standing(ann, domain.MaxRanked, leaderboard.MaxMinute), standing(bob, domain.MaxRanked, 0), standing(cat, -domain.MaxRanked, leaderboard.MaxMinute),
			standing(dan, -domain.MaxRanked, 0), standing(eve, 0, 0))
		b.standingsAgree(ann, bob, cat, dan, eve)
		b.load(b.state, standing(ann, domain.MaxRanked+1, 0), standing(bob, 1<<61, 0), standing(cat, -1<<61, 0), standing(dan, domain.MaxRanked, 0), retired(eve))
		b.standingsAgree(ann, bob, cat, dan, eve, absent)
	}},
	{"as many as may be asked for at once are read, one more is refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(leaderboard.MaxStandings)...)
		var keys []domain.ProxyKey
		for _, s := range b.model.Ranking() {
			keys = append(keys, s.Key)
		}
		b.standingsAgree(keys...)
		if _, err := b.Standings(b.ctx, append(keys, absent)); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("got error %v, want %v", err, domain.ErrInvalid)
		}
	}},
	{"standings are one snapshot, while batches go on", func(t *testing.T, adapter Adapter) {
		// Every customer gets a point in each batch, so that all totals equal the number of batches.
		keys := make([]domain.ProxyKey, 50)
		var changes []leaderboard.Change
		for i := range keys {
			binary.BigEndian.PutUint64(keys[i][:], uint64(i))
			changes = append(changes, change(keys[i], 1, 5))
		}
		b := given(t, adapter)
		b.apply(changes...)
		var done atomic.Bool
		result := make(chan error)
		go func() {
			result <- func() error {
				for !done.Load() {
					s, err := b.Standings(b.ctx, keys)
					if err != nil {
						return err
					}
					for i := range keys {
						if want := domain.Points(s.Position.Commit-100) / 10; !s.Found[i] || s.Standings[i].Points != want || s.Customers != 50 {
							t.Errorf("at %s: got %+v among %d", s.Position, s.Standings[i], s.Customers)
						}
					}
				}
				return nil
			}()
		}()
		for range 100 {
			b.apply(changes...)
		}
		done.Store(true)
		if err := <-result; err != nil {
			t.Error(err)
		}
	}},
}

// standingsAgree compares the standings of some customers with the model's.
func (b *board) standingsAgree(keys ...domain.ProxyKey) {
	b.Helper()
	s, err := b.Standings(b.ctx, keys)
	if err != nil || len(s.Standings) != len(keys) || len(s.Found) != len(keys) {
		b.Fatalf("Standings of %d: got %d and %d, %v", len(keys), len(s.Standings), len(s.Found), err)
	}
	if n := int64(len(b.model.Ranking())); s.Customers != n || s.Position != b.state.Position || !s.AsOf.Equal(b.state.AsOf) {
		b.Fatalf("Standings of %d customers at %+v, want %d at %+v", s.Customers, s.State, n, b.state)
	}
	for i, key := range keys {
		want, found := b.model.Standing(key)
		if s.Standings[i] != want || s.Found[i] != found {
			b.Fatalf("standing %d, of %s: got %+v, %v; want %+v, %v", i, key, s.Standings[i], s.Found[i], want, found)
		}
	}
}
