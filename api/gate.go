package api

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/commands"
)

// gate bounds the writes that are carried out at once, and those that wait for it. Reads don't pass it.
type gate struct {
	// writes holds one for each write at work, and lines one for each of them that is the line of a batch: at most half, so
	// that batches leave room for the orders that come one by one.
	writes, lines chan struct{}
	waiting       atomic.Int64
	// refused counts what was told to come again, and answered the lines of batches by what became of them.
	refused  prometheus.Counter
	answered *prometheus.CounterVec
}

// gatePatience bounds how long a write waits for its turn.
const gatePatience = time.Second

func newGate(writes int, registry *prometheus.Registry) (*gate, error) {
	g := &gate{
		writes: make(chan struct{}, writes), lines: make(chan struct{}, max(1, writes/2)),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "loyalty_writes_refused_total", Help: "Writes and batches refused as overloaded.",
		}),
		answered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loyalty_batch_lines_total", Help: "Lines of batches answered, by status.",
		}, []string{"status"}),
	}
	gauge := func(name, help string, value func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	err := errors.Join(
		registry.Register(gauge("loyalty_writes_in_flight", "Writes being carried out.", func() int64 { return int64(len(g.writes)) })),
		registry.Register(gauge("loyalty_writes_waiting", "Writes waiting for their turn.", g.waiting.Load)),
		registry.Register(g.refused), registry.Register(g.answered),
	)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of writes: %w", err)
	}
	return g, nil
}

// enter waits for a write's turn, for gatePatience at most. It returns errOverloaded where as many wait as may be carried out,
// or the turn does not come; or ctx's error.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.writes <- struct{}{}:
		return nil
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > int64(cap(g.writes)) {
		g.refused.Inc()
		return errOverloaded
	}
	patience := time.NewTimer(gatePatience)
	defer patience.Stop()
	select {
	case g.writes <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		g.refused.Inc()
		return errOverloaded
	}
}

func (g *gate) leave() { <-g.writes }

// enterLine waits for the turn of a batch's line, until ctx ends. What waits here is bounded by the number of batches and how
// many lines of each are under way.
func (g *gate) enterLine(ctx context.Context) error {
	select {
	case g.lines <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case g.writes <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-g.lines
		return ctx.Err()
	}
}

func (g *gate) leaveLine() { <-g.writes; <-g.lines }

// gated are commands behind a gate.
type gated struct {
	Commands
	gate *gate
}

// PlaceOrder places an order when its turn comes.
func (g gated) PlaceOrder(ctx context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	return throughGate(ctx, g.gate, c, g.Commands.PlaceOrder)
}

// ReturnItems takes back a return when its turn comes.
func (g gated) ReturnItems(ctx context.Context, c commands.ReturnItems) (commands.Returned, error) {
	return throughGate(ctx, g.gate, c, g.Commands.ReturnItems)
}

// AdjustPoints adjusts points when its turn comes.
func (g gated) AdjustPoints(ctx context.Context, c commands.AdjustPoints) (commands.Adjusted, error) {
	return throughGate(ctx, g.gate, c, g.Commands.AdjustPoints)
}

// ApproveAdjustment makes an adjustment that waits when its turn comes.
func (g gated) ApproveAdjustment(ctx context.Context, c commands.ApproveAdjustment) (commands.Adjusted, error) {
	return throughGate(ctx, g.gate, c, g.Commands.ApproveAdjustment)
}

// DeclineAdjustment turns down an adjustment that waits when its turn comes.
func (g gated) DeclineAdjustment(ctx context.Context, c commands.DeclineAdjustment) (commands.Adjusted, error) {
	return throughGate(ctx, g.gate, c, g.Commands.DeclineAdjustment)
}

func throughGate[C, A any](ctx context.Context, g *gate, command C, carryOut func(context.Context, C) (A, error)) (A, error) {
	if err := g.enter(ctx); err != nil {
		var none A
		return none, err
	}
	defer g.leave()
	return carryOut(ctx, command)
}

// placeLine places the order of a batch's line when its turn comes.
func (g gated) placeLine(ctx context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	if err := g.gate.enterLine(ctx); err != nil {
		return commands.Placed{}, err
	}
	defer g.gate.leaveLine()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return g.Commands.PlaceOrder(ctx, c)
}
