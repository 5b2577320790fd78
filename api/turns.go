package api

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// turns bound what is under way at once of one kind of work, and what waits for it.
type turns struct {
	taken    chan struct{}
	waiting  atomic.Int64
	queue    int64
	patience time.Duration
	// refused counts what was told to come again.
	refused prometheus.Counter
}

// newTurns makes n turns, for which as many as queue wait, each for patience at most. Its metrics are loyalty_NAME_in_flight,
// loyalty_NAME_waiting and loyalty_NAME_refused_total; what says in words what is counted.
func newTurns(name, what string, n, queue int, patience time.Duration, registry *prometheus.Registry) (*turns, error) {
	t := &turns{
		taken: make(chan struct{}, n), queue: int64(queue), patience: patience,
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "loyalty_" + name + "_refused_total", Help: what + " refused as overloaded."}),
	}
	gauge := func(state, help string, value func() int64) prometheus.Collector {
		options := prometheus.GaugeOpts{Name: "loyalty_" + name + "_" + state, Help: what + help}
		return prometheus.NewGaugeFunc(options, func() float64 { return float64(value()) })
	}
	err := errors.Join(
		registry.Register(gauge("in_flight", " being carried out.", func() int64 { return int64(len(t.taken)) })),
		registry.Register(gauge("waiting", " waiting for their turn.", t.waiting.Load)),
		registry.Register(t.refused),
	)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of %s: %w", name, err)
	}
	return t, nil
}

// enter waits for a turn. It returns errOverloaded where the queue is full or the turn does not come in time; or ctx's error.
func (t *turns) enter(ctx context.Context) error {
	select {
	case t.taken <- struct{}{}:
		return nil
	default:
	}
	defer t.waiting.Add(-1)
	if t.waiting.Add(1) > t.queue {
		t.refused.Inc()
		return errOverloaded
	}
	patience := time.NewTimer(t.patience)
	defer patience.Stop()
	select {
	case t.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		t.refused.Inc()
		return errOverloaded
	}
}

func (t *turns) leave() { <-t.taken }
