package main

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

// follow runs a projection until there is what a command waits for. Beside other processes that do the same it is safe: the
// checkpoint moves by compare-and-set. A projection that can't go on ends it.
func follow(ctx context.Context, store *eventstore.Store, p projections.Projection, until func(context.Context, *projections.Runner) error) error {
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

// followers have read models come to a position.
type followers struct {
	store *eventstore.Store
	// alone tells that nobody else projects.
	alone bool
}

// reach waits until a read model reflects a position: for the processes that keep it if it is shared with any, and else, or if they
// don't come to it, by running its projection.
func (f *followers) reach(ctx context.Context, p projections.Projection, shared bool, wait func(context.Context, domain.Position) error, position domain.Position) error {
	if shared && !f.alone {
		waiting, cancel := context.WithTimeout(ctx, grace)
		err := wait(waiting, position)
		cancel()
		if !errors.Is(err, domain.ErrNotCaughtUp) || ctx.Err() != nil {
			return err
		}
		f.alone = true
	}
	return follow(ctx, f.store, p, func(ctx context.Context, _ *projections.Runner) error { return wait(ctx, position) })
}

// catchUp brings the ledger of a data folder up to date if no process runs there that would: one that was killed may have left it
// behind the log.
func (f storeFlags) catchUp(ctx context.Context, s stores) error {
	if s.server == nil || f.Data == "" {
		return nil
	}
	proxies, err := f.proxies()
	if err != nil {
		return err
	}
	return follow(ctx, s.store, projections.Ledger{Writer: s.ledger, Proxies: proxies}, func(ctx context.Context, r *projections.Runner) error {
		look := time.NewTicker(2 * time.Millisecond)
		defer look.Stop()
		for !r.Status().CaughtUp {
			select {
			case <-look.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
}
