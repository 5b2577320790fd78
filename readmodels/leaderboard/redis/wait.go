package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"loyalty/domain"
)

// pollEvery is how often a board looks for what other processes have applied, while somebody waits for it.
const pollEvery = 5 * time.Millisecond

// waiters are those who wait for the board to reach a position. One task looks for all of them. What this process itself
// applies or loads it tells them at once.
type waiters struct {
	mu      sync.Mutex
	waiting map[chan struct{}]domain.Position
	polling bool
}

// Wait is leaderboard.Reader's.
func (b *Board) Wait(ctx context.Context, position domain.Position) error {
	if at, err := b.Checkpoint(ctx); err == nil && !at.Before(position) {
		return nil
	}
	reached := make(chan struct{})
	if err := b.await(reached, position); err != nil {
		return err
	}
	defer b.waiters.remove(reached)
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for position %s: %w (%w)", position, domain.ErrNotCaughtUp, ctx.Err())
	case <-b.tasks.ctx.Done():
		return errClosed
	}
}

// await notes who waits, and makes sure that somebody looks.
func (b *Board) await(reached chan struct{}, position domain.Position) error {
	w := &b.waiters
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.polling {
		if err := b.tasks.start(b.poll); err != nil {
			return err
		}
		w.polling = true
	}
	if w.waiting == nil {
		w.waiting = make(map[chan struct{}]domain.Position)
	}
	w.waiting[reached] = position
	return nil
}

// poll looks where the board is until nobody waits. Where Redis doesn't tell, they wait on.
func (b *Board) poll(ctx context.Context) {
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	for !b.waiters.over() {
		if at, err := b.Checkpoint(ctx); err == nil {
			b.waiters.wake(at)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

// over tells the one who polls that nobody waits any more.
func (w *waiters) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.polling = len(w.waiting) > 0
	return !w.polling
}

// wake lets all go on who wait for this position or one before.
func (w *waiters) wake(position domain.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for reached, wanted := range w.waiting {
		if !position.Before(wanted) {
			delete(w.waiting, reached)
			close(reached)
		}
	}
}

func (w *waiters) remove(reached chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, reached)
}
