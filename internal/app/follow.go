package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/projections"
)

// grace is how long other processes are left to bring a read model up to date before a command does it for them.
const grace = 5 * time.Second

// ProjectUntil runs a projection until there is what a command waits for. Beside other processes that do the same it is safe: the
// checkpoint moves by compare-and-set. A projection that can't go on ends it.
func ProjectUntil(ctx context.Context, store *eventstore.Store, p projections.Projection, until func(context.Context, *projections.Runner) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	runner := projections.NewRunner(p, store, projections.Options{})
	var stopped error
	var running sync.WaitGroup
	running.Go(func() {
		defer stop()
		stopped = runner.Run(ctx)
	})
	err := until(ctx, runner)
	stop()
	running.Wait()
	if stopped != nil {
		return stopped
	}
	return err
}

// CatchUp have read models come to a position.
type CatchUp struct {
	Store *eventstore.Store
	// alone tells that nobody else projects.
	Alone bool
}

// Reach waits until a read model reflects a position: for the processes that keep it if it is shared with any, and else, or if they
// don't come to it, by running its projection.
func (f *CatchUp) Reach(ctx context.Context, p projections.Projection, shared bool, wait func(context.Context, domain.Position) error, position domain.Position) error {
	if shared && !f.Alone {
		waiting, cancel := context.WithTimeout(ctx, grace)
		err := wait(waiting, position)
		cancel()
		if !errors.Is(err, domain.ErrNotCaughtUp) || ctx.Err() != nil {
			return err
		}
		f.Alone = true
	}
	return ProjectUntil(ctx, f.Store, p, func(ctx context.Context, _ *projections.Runner) error { return wait(ctx, position) })
}
