package leaderboardtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var concurrencyClauses = []clause{
	{"every dashboard is one snapshot, while batches go on", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(120)...)
		past := remember(b, history(b, 150))
		readWhile(t, b, past, func(read func()) error {
			for _, batch := range past.batches {
				if err := b.Apply(b.ctx, batch); err != nil {
					return err
				}
				read()
			}
			return nil
		})
	}},
	{"every dashboard is one snapshot, while loads go on", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(60)...)
		past := remember(b, history(b, 20))
		readWhile(t, b, past, func(read func()) error {
			for _, batch := range past.batches {
				state := leaderboard.State{Position: batch.To.Position, AsOf: batch.AsOf}
				if err := b.Load(b.ctx, source(state, past.standings[batch.To.Position]...)); err != nil {
					return err
				}
				read()
			}
			return nil
		})
	}},
}

// past is the ranking at each position of a history.
type past struct {
	batches   []leaderboard.Batch
	rankings  map[domain.Position]Ranking
	standings map[domain.Position][]leaderboard.Standing
	states    map[domain.Position]leaderboard.State
}

// remember computes the history with the model.
func remember(b *board, batches []leaderboard.Batch) past {
	p := past{
		batches:   batches,
		rankings:  map[domain.Position]Ranking{b.state.Position: b.model.Ranking()},
		standings: map[domain.Position][]leaderboard.Standing{b.state.Position: b.model.Standings()},
		states:    map[domain.Position]leaderboard.State{b.state.Position: b.state},
	}
	for _, batch := range batches {
		if err := b.model.Apply(batch.Changes...); err != nil {
			b.Fatalf("the test's own history: %v", err)
		}
		p.rankings[batch.To.Position] = b.model.Ranking()
		p.standings[batch.To.Position] = b.model.Standings()
		p.states[batch.To.Position] = leaderboard.State{Position: batch.To.Position, AsOf: batch.AsOf}
	}
	return p
}

// readWhile runs four readers of the board while write changes it. write calls read after each change, which waits until a reader has read
// since, so that every position is read.
func readWhile(t *testing.T, b *board, p past, write func(read func()) error) {
	var reads atomic.Int64
	var done atomic.Bool
	failed := make(chan error, 4)
	var readers sync.WaitGroup
	for i := range cap(failed) {
		readers.Go(func() {
			if err := keepReading(b, p, rand.New(rand.NewPCG(1, uint64(i))), &reads, &done); err != nil {
				failed <- err
			}
		})
	}
	err := write(func() {
		for before := reads.Load(); reads.Load() < before+2 && len(failed) == 0; {
			if _, err := b.Checkpoint(b.ctx); err != nil {
				return
			}
		}
	})
	done.Store(true)
	readers.Wait()
	close(failed)
	for reader := range failed {
		err = errors.Join(err, reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	last := p.batches[len(p.batches)-1].To
	b.state = p.states[last.Position]
	b.agrees()
}

// keepReading reads random dashboards, and returns an error if one is inconsistent, or not that of its position, or older than the one before.
func keepReading(b *board, p past, random *rand.Rand, reads *atomic.Int64, done *atomic.Bool) error {
	anybody := p.rankings[p.batches[0].From.Position]
	var d leaderboard.Dashboard
	var reached domain.Position
	for !done.Load() {
		key, top, around := anybody[random.IntN(len(anybody))].Key, 1+random.IntN(leaderboard.MaxTop), random.IntN(leaderboard.MaxAround+1)
		if err := b.Dashboard(b.ctx, key, top, around, &d); err != nil {
			return err
		}
		if d.Position.Before(reached) {
			return fmt.Errorf("read position %s after %s", d.Position, reached)
		}
		reached = d.Position
		if err := consistent(&d); err != nil {
			return fmt.Errorf("at %s, customer %s: %w", d.Position, key, err)
		}
		want := p.rankings[d.Position].Dashboard(key, top, around)
		want.State = p.states[d.Position]
		if diff := difference(want, d); diff != "" {
			return fmt.Errorf("at %s, customer %s, top %d, around %d (-want +got):\n%s", d.Position, key, top, around, diff)
		}
		reads.Add(1)
	}
	return nil
}

// consistent returns an error for a dashboard that contradicts itself.
func consistent(d *leaderboard.Dashboard) error {
	rows := make(map[int64]leaderboard.Row)
	for _, list := range [][]leaderboard.Row{d.Top, d.Around} {
		for i, row := range list {
			if i > 0 && (row.Rank != list[i-1].Rank+1 || row.Points.Ranked() > list[i-1].Points.Ranked()) {
				return fmt.Errorf("%+v follows %+v", row, list[i-1])
			}
			if other, twice := rows[row.Rank]; twice && other != row {
				return fmt.Errorf("rank %d is %+v in the top and %+v around", row.Rank, other, row)
			}
			rows[row.Rank] = row
		}
	}
	if len(d.Top) > 0 && d.Top[0].Rank != 1 {
		return fmt.Errorf("the top starts at rank %d", d.Top[0].Rank)
	}
	if d.Ranked && !slices.Contains(d.Around, d.You) {
		return fmt.Errorf("%+v is not in %+v", d.You, d.Around)
	}
	if n := int64(len(d.Top)); n > d.Customers || d.You.Rank > d.Customers {
		return fmt.Errorf("rank %d and a top of %d among %d customers", d.You.Rank, n, d.Customers)
	}
	return nil
}
