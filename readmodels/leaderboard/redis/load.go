package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

const (
	// loadChunk is the most customers of a load in one call, and the most retired keys.
	loadChunk = 1000
	// claimFor is for how long a load claims the board; a load that lives goes on claiming it. Then it is considered dead.
	claimFor = 15 * time.Second
	// maxSilence is how long a load goes on claiming the board while it is given no standings.
	maxSilence = 15 * time.Minute
)

// loads makes the loads of a client run one at a time.
type loads struct {
	semaphore chan struct{} // of one
	client    string        // random: identifies the client in Redis
	n         int           // number of loads; guarded by semaphore

	claimFor, maxSilence time.Duration
}

func newLoads() loads {
	return loads{semaphore: make(chan struct{}, 1), client: rand.Text(), claimFor: claimFor, maxSilence: maxSilence}
}

// Load replaces the leaderboard; see leaderboard.Writer. It first claims the board: while another client does, it is domain.ErrUnavailable, and
// standings is not called. It stages the new leaderboard beside the former one and switches atomically, so that Redis needs memory for both. If
// the claim was lost meanwhile and another client has loaded a leaderboard that is further, it is domain.ErrCheckpointMoved. A customer given
// twice is domain.ErrInvalid.
func (b *Board) Load(ctx context.Context, standings func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error)) error {
	select {
	case b.loads.semaphore <- struct{}{}:
		defer func() { <-b.loads.semaphore }()
	case <-ctx.Done():
		return fmt.Errorf("waiting to load the leaderboard: %w", ctx.Err())
	}
	b.loads.n++
	l := load{board: b, ctx: ctx, name: strconv.Itoa(b.loads.n)}
	loaded, err := l.run(standings)
	if err != nil {
		l.drop()
		return fmt.Errorf("loading the leaderboard: %w", err)
	}
	b.waiters.Wake(loaded.Position)
	return nil
}

// load is a load under way. If add has returned an error, the load fails even if its caller ignores it.
type load struct {
	board           *Board
	ctx             context.Context
	name            string
	stagedCustomers int
	stagedRetired   int
	stagedBeyond    int
	customers       []any        // to stage next: scores and keys by turns
	retired         []any        // to stage next
	heard           atomic.Int64 // when standings last came, in nanoseconds since 1970
	beyond          []any        // to stage next: keys and true totals by turns
	err             error
}

func (l *load) run(standings func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error)) (loaded leaderboard.Snapshot, err error) {
	if err := l.claim(l.ctx, "new"); err != nil {
		return loaded, err
	}
	l.heard.Store(time.Now().UnixNano())
	ctx, stop := context.WithCancel(l.ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { l.keep(ctx) })
	loaded, err = standings(l.add)
	stop()
	keeping.Wait()
	if err = errors.Join(l.err, err, l.ctx.Err()); err == nil && len(l.customers)+len(l.retired) > 0 {
		err = l.stage()
	}
	for some := range slices.Chunk(loaded.Lacking, loadChunk) {
		if err == nil {
			err = l.change(some)
		}
	}
	if err == nil {
		err = l.finish(loaded)
	}
	return loaded, err
}

func (l *load) claim(ctx context.Context, how string) error {
	of := &l.board.loads
	_, err := l.board.call(ctx, "claim the leaderboard", claimScript, of.client, l.name, of.claimFor.Milliseconds(), how)
	return err
}

// keep goes on claiming the board until ctx ends, or until no standings have come for too long: what gives them may never end. It needs no error:
// whoever has lost the claim learns of it when they stage something.
func (l *load) keep(ctx context.Context) {
	ticks := time.NewTicker(l.board.loads.claimFor / 3)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			if time.Since(time.Unix(0, l.heard.Load())) < l.board.loads.maxSilence {
				_ = l.claim(ctx, "still")
			}
		case <-ctx.Done():
			return
		}
	}
}

func (l *load) add(s leaderboard.Standing) error {
	if l.err != nil {
		return l.err
	}
	if s.Retired {
		if l.retired = append(l.retired, s.Key[:]); len(l.retired) == loadChunk {
			l.err = l.stage()
		}
		return l.err
	}
	if l.err = s.Check(); l.err != nil {
		return l.err
	}
	if s.Points != s.Points.Ranked() {
		l.beyond = append(l.beyond, s.Key[:], int64(s.Points))
	}
	l.customers = append(l.customers, score(s.Points, s.Minute), s.Key[:])
	if len(l.customers) == 2*loadChunk {
		l.err = l.stage()
	}
	return l.err
}

// stage sends the customers and retired keys gathered so far.
func (l *load) stage() error {
	l.heard.Store(time.Now().UnixNano())
	args := []any{l.board.loads.client, l.name, l.board.loads.claimFor.Milliseconds(), l.stagedCustomers, l.stagedRetired, l.stagedBeyond, len(l.retired), len(l.beyond)}
	args = append(append(append(args, l.retired...), l.beyond...), l.customers...)
	answer, err := l.board.call(l.ctx, "load customers", stageScript, args...)
	if err != nil {
		return err
	}
	added, n := answer[0], len(l.customers)/2+len(l.retired)
	if added != int64(n) {
		return fmt.Errorf("of %d customers after the first %d, %v are new: somebody is there twice: %w", n, l.stagedCustomers+l.stagedRetired, added, domain.ErrInvalid)
	}
	l.stagedCustomers += len(l.customers) / 2
	l.stagedRetired += len(l.retired)
	l.stagedBeyond += len(l.beyond) / 2
	l.customers, l.retired, l.beyond = l.customers[:0], l.retired[:0], l.beyond[:0]
	return nil
}

// change makes changes of what is staged, as Apply does of a leaderboard that is read.
func (l *load) change(changes []leaderboard.Change) error {
	if err := l.claim(l.ctx, "still"); err != nil {
		return err
	}
	b := l.board
	f := newFold(changes)
	if len(f.keys) == 0 {
		return nil
	}
	staged := stagedIn(b.keys)
	var result error
	err := b.client.Watch(l.ctx, func(tx *redis.Tx) error {
		by, err := tx.HMGet(l.ctx, b.keys[keyLoad], "client", "load").Result()
		if err != nil {
			return err
		}
		if by[0] != b.loads.client || by[1] != l.name {
			result = errLost
			return nil
		}
		scores := redis.NewSliceCmd(l.ctx, append([]any{"ZMSCORE", staged.customers}, f.keys...)...)
		if err := tx.Process(l.ctx, scores); err != nil {
			return err
		}
		if result = f.start(scores.Val()); result != nil {
			return nil
		}
		if err := staged.retiredOf(l.ctx, tx, f); err != nil {
			return err
		}
		if result, err = staged.beyondOf(l.ctx, tx, f); result != nil || err != nil {
			return err
		}
		f.run(changes)
		w := f.written(staged.customers, staged.retired, staged.beyond)
		if _, err := tx.TxPipelined(l.ctx, func(p redis.Pipeliner) error {
			for _, command := range w.commands {
				p.Do(l.ctx, command...)
			}
			return nil
		}); err != nil {
			return err
		}
		l.stagedCustomers += int(w.entering - w.leaving)
		l.stagedRetired += int(w.retiring)
		l.stagedBeyond += int(w.beyond)
		return nil
	}, b.keys[keyLoad])
	switch {
	case errors.Is(err, redis.TxFailedErr):
		result = errLost
	case err != nil:
		result = classify(l.ctx, err)
	}
	if result != nil {
		return fmt.Errorf("change what was loaded: %w", result)
	}
	return nil
}

func (l *load) finish(loaded leaderboard.Snapshot) error {
	_, err := l.board.call(l.ctx, "switch to what is loaded", swapScript,
		l.board.loads.client, l.name, l.stagedCustomers, loaded.Position.String(), formatTime(loaded.AsOf), l.stagedRetired, loaded.Origin(), l.stagedBeyond)
	return err
}

// drop removes what was staged, now if Redis can be reached. Otherwise the next load does.
func (l *load) drop() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), time.Second)
	defer cancel()
	_, _ = l.board.call(ctx, "throw away what was loaded", dropScript, l.board.loads.client, l.name)
}
