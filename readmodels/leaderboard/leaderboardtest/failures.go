package leaderboardtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Endure tests a leaderboard whose store fails while a writer and readers use it. The writer does what the projection does: after
// domain.ErrNotCaughtUp it loads the leaderboard, after any other failure it reads the checkpoint and goes on from there. fail is called
// five times, with 0 to 4, one after the other, and makes the store fail.
//
// Readers must get a dashboard that is right for its position, or domain.ErrUnavailable or domain.ErrNotCaughtUp. At the end the
// leaderboard must be exactly that of the log.
func Endure(t *testing.T, adapter Adapter, fail func(time int)) {
	const batches, each = 400, 80
	b := given(t, adapter, crowd(40)...)
	e := endurance{board: b, past: remember(b, history(b, batches))}
	ctx, stop := context.WithCancel(b.ctx)
	var readers, troubles sync.WaitGroup
	due := make(chan int, batches/each)
	calm := sync.OnceFunc(func() { close(due); troubles.Wait() })
	defer func() { calm(); stop(); readers.Wait() }()
	troubles.Go(func() {
		for i := range due {
			fail(i)
		}
	})
	served := make([]int, 4)
	for i := range served {
		readers.Go(func() {
			n, err := e.keepReading(ctx, rand.New(rand.NewPCG(3, uint64(i))))
			if served[i] = n; err != nil {
				t.Error(err)
			}
		})
	}
	for i := range cap(due) {
		e.writeUntil(t, e.past.batches[i*each].To.Position)
		due <- i
	}
	last := e.past.batches[batches-1].To
	e.writeUntil(t, last.Position)
	calm()
	e.writeUntil(t, last.Position) // what the last failure may have lost
	stop()
	readers.Wait()
	if slices.Max(served) == 0 {
		t.Error("nobody was served at any time")
	}
	b.model, b.state = NewModel(e.past.standings[last.Position]...), e.past.states[last.Position]
	b.agrees()
}

type endurance struct {
	board *board
	past  past
}

// writeUntil does what the projection does until it has found the checkpoint at a position twice.
func (e endurance) writeUntil(t *testing.T, position domain.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(e.board.ctx, timeout)
	defer cancel()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	for {
		reached, err := e.step(ctx, position)
		if reached {
			return
		}
		if err == nil || errors.Is(err, domain.ErrCheckpointMoved) {
			continue
		}
		if !errors.Is(err, domain.ErrUnavailable) && !errors.Is(err, domain.ErrNotCaughtUp) {
			t.Fatalf("on the way to %s: %v", position, err)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			t.Fatalf("on the way to %s: %v", position, err)
		}
	}
}

// step reads the checkpoint and applies batches from there up to a position, or loads the leaderboard if it must.
func (e endurance) step(ctx context.Context, position domain.Position) (reached bool, err error) {
	at, err := e.board.Checkpoint(ctx)
	if errors.Is(err, domain.ErrNotCaughtUp) {
		return false, e.board.Load(ctx, source(e.past.states[position], e.past.standings[position]...))
	}
	if err != nil {
		return false, err
	}
	for _, batch := range e.past.batches {
		if batch.From.Position.Before(at.Position) || !batch.From.Position.Before(position) {
			continue
		}
		if err := e.board.Apply(ctx, batch); err != nil {
			return false, err
		}
		at = batch.To
	}
	return !at.Position.Before(position), nil
}

// keepReading reads dashboards of all customers until ctx ends, and counts those it got.
func (e endurance) keepReading(ctx context.Context, random *rand.Rand) (served int, err error) {
	anybody := e.past.rankings[e.past.batches[0].From.Position]
	var d leaderboard.Dashboard
	for ctx.Err() == nil {
		key, top, around := anybody[random.IntN(len(anybody))].Key, 1+random.IntN(leaderboard.MaxTop), random.IntN(leaderboard.MaxAround+1)
		err := e.board.Dashboard(ctx, key, top, around, &d)
		if errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrNotCaughtUp) || ctx.Err() != nil {
			continue
		}
		if err != nil {
			return served, err
		}
		served++
		want := e.past.rankings[d.Position].Dashboard(key, top, around)
		want.State = e.past.states[d.Position]
		if diff := difference(want, d); diff != "" {
			return served, fmt.Errorf("at %s, customer %s, top %d, around %d (-want +got):\n%s", d.Position, key, top, around, diff)
		}
	}
	return served, nil
}
