package admission

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/internal/problem"
)

// Semaphore bounds how much of one kind of work is under way at once, and how much waits for it. It may be used from many goroutines at
// once.
type Semaphore struct {
	slots    chan struct{}
	waiting  atomic.Int64
	queue    int64
	timeout  time.Duration
	rejected prometheus.Counter
}

// NewSemaphore makes a semaphore of n slots, for which as many as queue wait, each for timeout at most. Its metrics are
// loyalty_NAME_in_flight, loyalty_NAME_waiting and loyalty_NAME_refused_total; what says in words what they count.
func NewSemaphore(name, what string, n, queue int, timeout time.Duration, registry *prometheus.Registry) (*Semaphore, error) {
	s := &Semaphore{
		slots: make(chan struct{}, n), queue: int64(queue), timeout: timeout,
		rejected: prometheus.NewCounter(prometheus.CounterOpts{Name: "loyalty_" + name + "_refused_total", Help: what + " refused as overloaded."}),
	}
	gauge := func(state, help string, value func() int64) prometheus.Collector {
		options := prometheus.GaugeOpts{Name: "loyalty_" + name + "_" + state, Help: what + help}
		return prometheus.NewGaugeFunc(options, func() float64 { return float64(value()) })
	}
	err := errors.Join(
		registry.Register(gauge("in_flight", " being carried out.", func() int64 { return int64(len(s.slots)) })),
		registry.Register(gauge("waiting", " waiting for their turn.", s.waiting.Load)),
		registry.Register(s.rejected),
	)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of %s: %w", name, err)
	}
	return s, nil
}

// Acquire waits for a slot, which the caller must release. It returns problem.ErrOverloaded where the queue is full or no slot becomes
// free in time, or the error of ctx.
func (s *Semaphore) Acquire(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > s.queue {
		return s.reject()
	}
	timeout := time.NewTimer(s.timeout)
	defer timeout.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return s.reject()
	}
}

// Release gives back a slot.
func (s *Semaphore) Release() { <-s.slots }

func (s *Semaphore) reject() error {
	s.rejected.Inc()
	return problem.ErrOverloaded
}
