package admission

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api/auth"
)

// writeTimeout is how long a write waits for its slot, and batchRetry how long who may begin no batch is told to wait.
const (
	writeTimeout = time.Second
	batchRetry   = 15 * time.Second
	// anyNumber is for a queue that is bounded elsewhere.
	anyNumber = math.MaxInt32
)

// Writes bounds the writes that are carried out at once, whether they come alone or as lines of batches, and the number of batches.
type Writes struct {
	*Semaphore
	// Batches has a slot for each batch. None waits.
	Batches *Semaphore
	// lines has a slot for each write that is a line of a batch: half of all, so that batches leave room for the writes that come alone. How
	// many wait here is bounded by the number of batches and of the lines of each that are under way.
	lines *Semaphore
}

func newWrites(l Limits, registry *prometheus.Registry) (*Writes, error) {
	w, lines := new(Writes), half(l.Writes)
	var err error
	w.Semaphore, err = NewSemaphore("writes", "Writes", nil, Bounds{
		Slots: l.Writes, OfSubject: half(l.Writes), Queue: l.Writes, Patience: writeTimeout, RetryAfter: time.Second,
	}, registry)
	if err != nil {
		return nil, err
	}
	w.lines, err = NewSemaphore("lines", "Lines of batches", nil, Bounds{Slots: lines, OfSubject: half(lines), Queue: anyNumber}, registry)
	if err != nil {
		return nil, err
	}
	w.Batches, err = NewSemaphore("batches", "Batches", nil, Bounds{
		Slots: l.Batches, OfSubject: min(l.Batches, l.BatchesOfSubject), RetryAfter: batchRetry,
	}, registry)
	return w, err
}

// half is what one of all may have, and the others have the rest.
func half(n int) int { return max(1, n/2) }

// AcquireLine waits for a slot for a line of a batch, until ctx ends.
func (w *Writes) AcquireLine(ctx context.Context, caller auth.Claims) error {
	if err := w.lines.Acquire(ctx, caller); err != nil {
		return err
	}
	if err := w.acquire(ctx, caller, anyNumber, 0); err != nil {
		w.lines.Release(caller)
		return err
	}
	return nil
}

// ReleaseLine gives back the slot of a line.
func (w *Writes) ReleaseLine(caller auth.Claims) { w.Release(caller); w.lines.Release(caller) }

// Write carries out a command of a caller once there is a slot for it. Its errors are those of Acquire and of carryOut.
func Write[C, A any](ctx context.Context, w *Writes, caller auth.Claims, command C, carryOut func(context.Context, C) (A, error)) (A, error) {
	if err := w.Acquire(ctx, caller); err != nil {
		var none A
		return none, err
	}
	defer w.Release(caller)
	return carryOut(ctx, command)
}
