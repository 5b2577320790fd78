package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

const (
	// chunk is how many customers of a load go to Redis in one call, and how many retired keys.
	chunk = 1000
	// silence is for how long a load of another client may not be heard of before it is taken for dead.
	silence = 15 * time.Second
)

// loads are those of one client: one at a time.
type loads struct {
	turn   chan struct{}
	client string // names the client to others
	n      int    // counts the loads; who has the turn may touch it
}

func newLoads() loads { return loads{turn: make(chan struct{}, 1), client: rand.Text()} }

// Load is leaderboard.Writer's. It builds the new leaderboard beside the old one and puts it in its place in one step, so
// Redis needs room for both. While another client loads the board, it is domain.ErrUnavailable. A customer given twice is
// domain.ErrInvalid.
func (b *Board) Load(ctx context.Context, standings func(yield func(leaderboard.Standing) error) (leaderboard.State, error)) error {
	select {
	case b.loads.turn <- struct{}{}:
		defer func() { <-b.loads.turn }()
	case <-ctx.Done():
		return fmt.Errorf("waiting to load the leaderboard: %w", ctx.Err())
	}
	b.loads.n++
	l := load{board: b, ctx: ctx, name: strconv.Itoa(b.loads.n)}
	state, err := standings(l.add)
	if err = errors.Join(l.failed, err, ctx.Err()); err == nil {
		err = l.finish(state)
	}
	if err != nil {
		l.drop()
		return fmt.Errorf("loading the leaderboard: %w", err)
	}
	b.waiters.wake(state.Position)
	return nil
}

// load is one load under way. An error of its add holds even where the function that calls it overlooks it.
type load struct {
	board   *Board
	ctx     context.Context
	name    string
	staged  int   // customers
	barred  int   // retired keys staged
	next    []any // scores and keys in turn
	retired []any // the next to stage
	failed  error
}

func (l *load) add(s leaderboard.Standing) error {
	if l.failed != nil {
		return l.failed
	}
	if s.Retired {
		if l.retired = append(l.retired, s.Key[:]); len(l.retired) == chunk {
			l.failed = l.stage()
		}
		return l.failed
	}
	if _, err := domain.Points(0).Plus(s.Points); err != nil {
		l.failed = fmt.Errorf("customer %s: %w", s.Key, err)
		return l.failed
	}
	l.next = append(l.next, score(s.Points, s.Minute), s.Key[:])
	if len(l.next) == 2*chunk {
		l.failed = l.stage()
	}
	return l.failed
}

// stage sends what has gathered. The first time it claims the board for this load.
func (l *load) stage() error {
	args := []any{l.board.loads.client, l.name, silence.Milliseconds(), l.staged, l.barred, len(l.retired)}
	args = append(append(args, l.retired...), l.next...)
	answer, err := l.board.call(l.ctx, "load customers", stageScript, args...)
	if err != nil {
		return err
	}
	added, n := answer[0], len(l.next)/2+len(l.retired)
	if added != int64(n) {
		return fmt.Errorf("of %d customers after the first %d, %v are new: somebody is there twice: %w", n, l.staged+l.barred, added, domain.ErrInvalid)
	}
	l.staged += len(l.next) / 2
	l.barred += len(l.retired)
	l.next, l.retired = l.next[:0], l.retired[:0]
	return nil
}

func (l *load) finish(state leaderboard.State) error {
	if len(l.next)+len(l.retired) > 0 || l.staged+l.barred == 0 {
		if err := l.stage(); err != nil {
			return err
		}
	}
	_, err := l.board.call(l.ctx, "switch to what is loaded", swapScript,
		l.board.loads.client, l.name, l.staged, state.Position.String(), formatTime(state.AsOf), l.barred)
	return err
}

// drop throws away what was loaded, at once if Redis can be reached; otherwise the next load does.
func (l *load) drop() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), time.Second)
	defer cancel()
	_, _ = l.board.call(ctx, "throw away what was loaded", dropScript, l.board.loads.client, l.name)
}
