// Package memory is the leaderboard in this process. It keeps about 50 bytes for each customer, none of which the
// garbage collector looks at, and nothing on disk: it starts by a Load and follows the log from there. No operation but
// Load sorts or scans the customers; the others walk one path of a tree for each customer they concern.
package memory

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var (
	_ leaderboard.Reader = (*Board)(nil)
	_ leaderboard.Writer = (*Board)(nil)
)

// Board is a leaderboard of up to 4 billion customers. All methods may be called from many goroutines at once. Readers
// don't block each other. Writers take turns, and hold up readers only while they put in what a batch comes to: about
// a microsecond for each customer in it. A Load holds up no reader.
type Board struct {
	// writing holds one token while somebody writes. Only they change what is below, and only under mu.
	writing chan struct{}
	mu      sync.RWMutex
	ranking *ranking // nil until the first Load
	state   leaderboard.State
	cleanup runtime.Cleanup // releases the ranking with the board

	fold    fold // of whoever is writing
	waiters waiters
}

// New makes a board that needs a Load: until then its methods return domain.ErrNotCaughtUp, or wait.
func New() *Board { return &Board{writing: make(chan struct{}, 1)} }

var errNotLoaded = fmt.Errorf("the leaderboard is not loaded: %w", domain.ErrNotCaughtUp)

// Dashboard is leaderboard.Reader's. It allocates nothing where the slices of d have room.
func (b *Board) Dashboard(_ context.Context, key domain.ProxyKey, top, around int, d *leaderboard.Dashboard) error {
	if err := leaderboard.CheckSizes(top, around); err != nil {
		return err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.ranking == nil {
		return errNotLoaded
	}
	b.ranking.dashboard(&key, top, around, d)
	d.State = b.state
	return nil
}

// Standing is leaderboard.Reader's.
func (b *Board) Standing(_ context.Context, key domain.ProxyKey) (leaderboard.Standing, bool, domain.Position, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.ranking == nil {
		return leaderboard.Standing{}, false, domain.Position{}, errNotLoaded
	}
	standing, ranked := b.ranking.standing(&key)
	return standing, ranked, b.state.Position, nil
}

// Wait is leaderboard.Reader's.
func (b *Board) Wait(ctx context.Context, position domain.Position) error {
	if b.reached(position) {
		return nil
	}
	reached := b.waiters.add(position)
	defer b.waiters.remove(reached)
	if b.reached(position) { // between looking and being noted as waiting
		return nil
	}
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for position %s: %w (%w)", position, domain.ErrNotCaughtUp, ctx.Err())
	}
}

func (b *Board) reached(position domain.Position) bool {
	checkpoint, err := b.Checkpoint(context.Background())
	return err == nil && !checkpoint.Before(position)
}

// Checkpoint is leaderboard.Writer's.
func (b *Board) Checkpoint(context.Context) (domain.Position, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.ranking == nil {
		return domain.Position{}, errNotLoaded
	}
	return b.state.Position, nil
}

// Load is leaderboard.Writer's. While it runs, the memory of the old leaderboard and of the new one is taken. A customer
// given twice is domain.ErrInvalid, a total beyond ±domain.MaxTotal domain.ErrPointsLimit.
func (b *Board) Load(ctx context.Context, standings func(yield func(leaderboard.Standing) error) (leaderboard.State, error)) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	defer b.end()
	fresh, state, err := load(ctx, standings)
	if err != nil {
		return fmt.Errorf("loading the leaderboard: %w", err)
	}
	old := b.replace(fresh, state)
	b.waiters.wake(state.Position)
	if old != nil {
		old.release()
	}
	return nil
}

// replace returns the ranking before, in which no reader is any more.
func (b *Board) replace(fresh *ranking, state leaderboard.State) (old *ranking) {
	b.cleanup.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	old, b.ranking, b.state = b.ranking, fresh, state
	b.cleanup = runtime.AddCleanup(b, (*ranking).release, fresh)
	return old
}

// Apply is leaderboard.Writer's.
func (b *Board) Apply(ctx context.Context, batch leaderboard.Batch) error {
	if err := batch.Validate(); err != nil {
		return err
	}
	if err := b.begin(ctx); err != nil {
		return err
	}
	defer b.end()
	if b.ranking == nil {
		return errNotLoaded
	}
	if batch.From != b.state.Position {
		return fmt.Errorf("a batch from position %s at position %s: %w", batch.From, b.state.Position, domain.ErrCheckpointMoved)
	}
	results, err := b.fold.run(b.ranking, batch.Changes)
	if err != nil {
		return err
	}
	b.put(results, batch)
	b.waiters.wake(batch.To)
	return nil
}

func (b *Board) put(results []result, batch leaderboard.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range results {
		switch change := &results[i]; {
		case change.standing.Retired:
			b.ranking.retire(&change.standing.Key)
		case change.there:
			b.ranking.move(change.spot, newEntry(change.standing))
		default:
			b.ranking.enter(newEntry(change.standing))
		}
	}
	b.state.Position = batch.To
	if batch.AsOf.After(b.state.AsOf) {
		b.state.AsOf = batch.AsOf
	}
}

// begin waits for its turn to write.
func (b *Board) begin(ctx context.Context) error {
	select {
	case b.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting to write to the leaderboard: %w", ctx.Err())
	}
}

func (b *Board) end() { <-b.writing }
