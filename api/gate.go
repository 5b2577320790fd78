package api

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/commands"
	"loyalty/domain"
)

// gate bounds the writes that are carried out at once, and those that wait for it. Reads don't pass it.
type gate struct {
	*turns
	// lines holds one for each turn that is taken by the line of a batch: at most half, so that batches leave room for the
	// orders that come one by one.
	lines chan struct{}
	// answered counts the lines of batches by what became of them.
	answered *prometheus.CounterVec
}

// gatePatience bounds how long a write waits for its turn.
const gatePatience = time.Second

// linesMetric is the name of the counter of lines.
const linesMetric = "loyalty_batch_lines_total"

// newGate lets so many writes through at once, for which as many wait.
func newGate(writes int, registry *prometheus.Registry) (*gate, error) {
	turns, err := newTurns("writes", "Writes and batches", writes, writes, gatePatience, registry)
	if err != nil {
		return nil, err
	}
	g := &gate{
		turns: turns, lines: make(chan struct{}, max(1, writes/2)),
		answered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: linesMetric, Help: "Lines of batches answered, by status.",
		}, []string{"status"}),
	}
	if err := registry.Register(g.answered); err != nil {
		return nil, fmt.Errorf("register the metrics of batches: %w", err)
	}
	return g, nil
}

// enterLine waits for the turn of a batch's line, until ctx ends. What waits here is bounded by the number of batches and how
// many lines of each are under way.
func (g *gate) enterLine(ctx context.Context) error {
	select {
	case g.lines <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case g.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-g.lines
		return ctx.Err()
	}
}

func (g *gate) leaveLine() { g.leave(); <-g.lines }

// gated are commands behind a gate.
type gated struct {
	Commands
	reveals Reveals
	gate    *gate
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

// RevealProxyName appends a reveal when its turn comes.
func (g gated) RevealProxyName(ctx context.Context, c commands.RevealProxyName) (domain.Position, error) {
	return throughGate(ctx, g.gate, c, g.reveals.RevealProxyName)
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
