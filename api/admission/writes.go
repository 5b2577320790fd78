package admission

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// writeTimeout is how long a write waits for its slot.
const writeTimeout = time.Second

// Writes bounds the writes that are carried out at once, whether they come alone or as lines of batches, and the number of batches.
type Writes struct {
	*Semaphore
	// lines has a slot for each write that is a line of a batch: half of all, so that batches leave room for the writes that come alone.
	lines   chan struct{}
	batches chan struct{}
}

// newWrites makes slots for so many writes, for which as many wait, and for so many batches, for which none waits.
func newWrites(writes, batches int, registry *prometheus.Registry) (*Writes, error) {
	semaphore, err := NewSemaphore("writes", "Writes and batches", writes, writes, writeTimeout, registry)
	if err != nil {
		return nil, err
	}
	return &Writes{Semaphore: semaphore, lines: make(chan struct{}, max(1, writes/2)), batches: make(chan struct{}, batches)}, nil
}

// AcquireLine waits for a slot for a line of a batch, until ctx ends. How many wait here is bounded by the number of batches and of the
// lines of each that are under way.
func (w *Writes) AcquireLine(ctx context.Context) error {
	select {
	case w.lines <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case w.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-w.lines
		return ctx.Err()
	}
}

// ReleaseLine gives back the slot of a line.
func (w *Writes) ReleaseLine() { w.Release(); <-w.lines }

// AcquireBatch takes a slot for a batch, or returns problem.ErrOverloaded at once where there is none.
func (w *Writes) AcquireBatch() error {
	select {
	case w.batches <- struct{}{}:
		return nil
	default:
		return w.reject()
	}
}

// ReleaseBatch gives back the slot of a batch.
func (w *Writes) ReleaseBatch() { <-w.batches }

// Write carries out a command once there is a slot for it. Its errors are those of Acquire and of carryOut.
func Write[C, A any](ctx context.Context, w *Writes, command C, carryOut func(context.Context, C) (A, error)) (A, error) {
	if err := w.Acquire(ctx); err != nil {
		var none A
		return none, err
	}
	defer w.Release()
	return carryOut(ctx, command)
}
