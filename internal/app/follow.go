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

// grace is the time that other processes have to bring a read model up to date before a command does it.
const grace = 5 * time.Second

// ProjectUntil runs a projection until until returns. It is safe beside other processes that run the same projection, since the checkpoint
// moves by compare-and-set. It returns the error that stopped the projection, or that of until.
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

// CatchUp brings read models up to a position. Not safe for concurrent use.
type CatchUp struct {
	Store *eventstore.Store
	// Alone says that no other process projects.
	Alone bool
}

// Reach waits until a read model reflects a position. It leaves a shared one to the processes that keep it, for a while. If they do not
// reach the position, or if the read model is not shared, it runs the projection itself.
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
