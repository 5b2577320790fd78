package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"loyalty/domain"
)

// pollInterval is how often a board with waiting readers reads the checkpoint, because other processes may move it.
const pollInterval = 5 * time.Millisecond

// polling is the state of the task that polls the checkpoint for all waiting readers.
type polling struct {
	mu      sync.Mutex
	running bool
}

// Wait blocks until the board reflects position; see leaderboard.Reader. An Apply or Load of this client wakes it at once.
func (b *Board) Wait(ctx context.Context, position domain.Position) error {
	if at, err := b.Checkpoint(ctx); err == nil && !at.Position.Before(position) {
		return nil
	}
	reached, err := b.await(position)
	if err != nil {
		return err
	}
	defer b.waiters.Remove(reached)
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for position %s: %w (%w)", position, domain.ErrNotCaughtUp, ctx.Err())
	case <-b.tasks.ctx.Done():
		return errClosed
	}
}

// await adds a waiter, and starts the polling task if it is not running.
func (b *Board) await(position domain.Position) (reached chan struct{}, err error) {
	b.polling.mu.Lock()
	defer b.polling.mu.Unlock()
	if !b.polling.running {
		if err := b.tasks.start(b.poll); err != nil {
			return nil, err
		}
		b.polling.running = true
	}
	return b.waiters.Add(position), nil
}

// poll polls the checkpoint until nobody waits. It ignores errors of Redis: the waiting readers have deadlines.
func (b *Board) poll(ctx context.Context) {
	ticks := time.NewTicker(pollInterval)
	defer ticks.Stop()
	for b.stillPolling() {
		if at, err := b.Checkpoint(ctx); err == nil {
			b.waiters.Wake(at.Position)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

// stillPolling ends polling if nobody waits. The mutex keeps await from adding a waiter in between.
func (b *Board) stillPolling() bool {
	b.polling.mu.Lock()
	defer b.polling.mu.Unlock()
	b.polling.running = b.waiters.Len() > 0
	return b.polling.running
}
