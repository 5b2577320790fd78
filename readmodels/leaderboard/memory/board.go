// Package memory keeps the leaderboard in this process. It takes about 50 bytes for each customer, outside the garbage-collected heap
// (on Linux). It starts with a Load, or with what an earlier process has kept in a File, and follows the log from there. Only these sort or scan the customers;
// the other operations walk one path of a tree for each customer they concern.
package memory

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var (
	_ leaderboard.Reader          = (*Board)(nil)
	_ leaderboard.Writer          = (*Board)(nil)
	_ leaderboard.StandingsReader = (*Board)(nil)
)

// Board is a leaderboard of up to 4 billion customers. It is safe for concurrent use. Readers don't block each other. Writers take turns,
// and block readers only while they apply the results of a batch: about a microsecond for each customer in it. A Load blocks no reader.
type Board struct {
	// writing is a semaphore of one, held by the writer. Only the writer changes the fields below, and only under mu.
	writing chan struct{}
	mu      sync.RWMutex
	ranking *ranking             // nil until the first Load
	now     leaderboard.Snapshot // what the ranking reflects, lacking nothing
	cleanup runtime.Cleanup      // releases the ranking with the board

	fold    fold    // guarded by writing
	saving  *saving // likewise; nil if the board is not being saved
	waiters leaderboard.Waiters
	// loading is when the Load under way began; nil for none.
	loading atomic.Pointer[time.Time]
}

// New makes an empty board. Until its first Load, its methods return domain.ErrNotCaughtUp, or wait.
func New() *Board { return &Board{writing: make(chan struct{}, 1)} }

// notLoaded is errNotLoaded with how long to wait. A load does not know how many customers are still to come: without knowing more, it
// takes as long again as it has taken.
func (b *Board) notLoaded() error {
	began := b.loading.Load()
	if began == nil {
		return errNotLoaded
	}
	return domain.Later(errNotLoaded, min(max(time.Since(*began), time.Second), longestWait))
}

// longestWait is for those who would come back much too late if a load ends sooner than was to be expected.
const longestWait = time.Minute

var errNotLoaded = fmt.Errorf("the leaderboard is not loaded: %w", domain.ErrNotCaughtUp)

// Dashboard reads a dashboard; see leaderboard.Reader. It allocates nothing if the slices of d have room.
func (b *Board) Dashboard(_ context.Context, key domain.ProxyKey, top, around int, d *leaderboard.Dashboard) error {
	if err := leaderboard.CheckSizes(top, around); err != nil {
		return err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.ranking == nil {
		return b.notLoaded()
	}
	b.ranking.dashboard(&key, top, around, d)
	d.State = b.now.State()
	return nil
}

// Standing reads a customer's total; see leaderboard.Reader.
func (b *Board) Standing(_ context.Context, key domain.ProxyKey) (leaderboard.Standing, bool, domain.Position, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.ranking == nil {
		return leaderboard.Standing{}, false, domain.Position{}, b.notLoaded()
	}
	standing, ranked := b.ranking.standing(&key)
	return standing, ranked, b.now.Position, nil
}

// Wait blocks until the board reflects position; see leaderboard.Reader.
func (b *Board) Wait(ctx context.Context, position domain.Position) error {
	if b.reached(position) {
		return nil
	}
	reached := b.waiters.Add(position)
	defer b.waiters.Remove(reached)
	if b.reached(position) { // since the check, before Add
		return nil
	}
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		_, err := b.Checkpoint(context.WithoutCancel(ctx))
		if err == nil {
			err = domain.ErrNotCaughtUp
		}
		return fmt.Errorf("waiting for position %s: %w (%w)", position, err, ctx.Err())
	}
}

func (b *Board) reached(position domain.Position) bool {
	checkpoint, err := b.Checkpoint(context.Background())
	return err == nil && !checkpoint.Position.Before(position)
}

// Checkpoint is what the board reflects; see leaderboard.Writer.
func (b *Board) Checkpoint(context.Context) (domain.Checkpoint, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.ranking == nil {
		return domain.Checkpoint{}, b.notLoaded()
	}
	return b.now.Checkpoint, nil
}

// Load replaces the leaderboard; see leaderboard.Writer. While it runs, both the former and the new leaderboard take memory. A customer
// given twice is domain.ErrInvalid.
func (b *Board) Load(ctx context.Context, standings func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error)) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	defer b.end()
	b.loading.Store(new(time.Now()))
	defer b.loading.Store(nil)
	fresh, loaded, err := load(ctx, standings)
	if err != nil {
		return fmt.Errorf("loading the leaderboard: %w", err)
	}
	b.become(fresh, loaded)
	return nil
}

// become shows another ranking from now on, and frees the former.
func (b *Board) become(fresh *ranking, loaded leaderboard.Snapshot) {
	old := b.replace(fresh, loaded)
	b.waiters.Wake(loaded.Position)
	if old != nil {
		old.release()
	}
}

// replace returns the former ranking, which no reader uses any more.
func (b *Board) replace(fresh *ranking, loaded leaderboard.Snapshot) (old *ranking) {
	b.cleanup.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	old, b.ranking, b.now = b.ranking, fresh, loaded
	b.cleanup = runtime.AddCleanup(b, (*ranking).release, fresh)
	return old
}

// Apply applies a batch; see leaderboard.Writer.
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
	if batch.From != b.now.Checkpoint {
		return fmt.Errorf("a batch from position %s at position %s: %w", batch.From, b.now.Position, domain.ErrCheckpointMoved)
	}
	results, err := b.fold.run(b.ranking, batch.Changes)
	if err != nil {
		return err
	}
	b.store(results, batch)
	if b.saving != nil {
		b.saving.note(results)
	}
	b.waiters.Wake(batch.To.Position)
	return nil
}

func (b *Board) store(results []result, batch leaderboard.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ranking.store(results)
	b.now.Checkpoint = batch.To
	if batch.AsOf.After(b.now.AsOf) {
		b.now.AsOf = batch.AsOf
	}
}

// begin acquires the semaphore of writers, and end releases it.
func (b *Board) begin(ctx context.Context) error {
	select {
	case b.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting to write to the leaderboard: %w", ctx.Err())
	}
}

func (b *Board) end() { <-b.writing }

// Standings reads the totals of many customers; see leaderboard.StandingsReader.
func (b *Board) Standings(_ context.Context, keys []domain.ProxyKey) (leaderboard.Standings, error) {
	if err := leaderboard.CheckKeys(keys); err != nil {
		return leaderboard.Standings{}, err
	}
	s := leaderboard.Standings{Standings: make([]leaderboard.Standing, len(keys)), Found: make([]bool, len(keys))}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.ranking == nil {
		return leaderboard.Standings{}, errNotLoaded
	}
	for i := range keys {
		s.Standings[i], s.Found[i] = b.ranking.standing(&keys[i])
	}
	s.Customers, s.State = int64(b.ranking.tree.count), b.now.State()
	return s, nil
}
