package commands

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"loyalty/domain"
)

// Totals tells what customers have, as far as a read model has followed the log.
type Totals interface {
	// Total is a customer's points, 0 for one without any, and the position up to which that is so.
	// domain.ErrNotCaughtUp or domain.ErrUnavailable if it is unknown.
	Total(ctx context.Context, customer domain.CustomerID) (domain.Points, domain.Position, error)
	// Wait blocks until Total reflects position, or fails with domain.ErrNotCaughtUp.
	Wait(ctx context.Context, position domain.Position) error
}

const (
	// ordinary is the change up to which a command goes ahead although the total is unknown: intake does not stop with
	// the read models.
	ordinary = domain.MaxTotal / 1024
	// far is the total up to which a customer is far from the limit, and unseen bounds what may have been added to it
	// that the read model does not show yet. Together they stay within the limit.
	far    = domain.MaxTotal / 2
	unseen = domain.MaxTotal / 4
	// exactTimeout bounds how long a command near the limit waits for the total to be exact.
	exactTimeout = 2 * time.Second
)

// limiter keeps totals within ±domain.MaxTotal. A total is the sum of many streams, which no single append can guard,
// so: far from the limit (which is £1.3 billion spent) a command goes ahead. Near it, a command goes alone: it waits
// until the read model shows all that this process has appended, and is refused if it would pass the limit. Of what
// other processes append at that very moment it does not know; docs/adr says what follows from that.
type limiter struct {
	totals Totals
	seed   maphash.Seed
	shards [64]limiterShard
}

// A limiterShard serialises the customers that hash to it when one of them is near the limit.
type limiterShard struct {
	// alone is held shared by commands far from the limit, and exclusively by those near it.
	alone sync.RWMutex

	mu sync.Mutex
	// last is the furthest position appended under this shard. Of the changes, all counted as if they went the same
	// way, underWay are being appended and appended are done; the read model may not show them yet.
	last               domain.Position
	underWay, appended domain.Points
}

func newLimiter(totals Totals) *limiter { return &limiter{totals: totals, seed: maphash.MakeSeed()} }

// within runs append if change keeps the customer's total within its limit, else it returns domain.ErrPointsLimit.
func (l *limiter) within(ctx context.Context, customer domain.CustomerID, change domain.Points, append func(context.Context) (domain.Position, error)) (domain.Position, error) {
	if l.totals == nil {
		return append(ctx)
	}
	shard := &l.shards[maphash.String(l.seed, string(customer))%uint64(len(l.shards))]
	if at, done, err := l.together(ctx, shard, customer, change, append); done {
		return at, err
	}
	return l.alone(ctx, shard, customer, change, append)
}

// together runs append beside others if the customer is far from the limit. It is not done if they may be near.
func (l *limiter) together(ctx context.Context, shard *limiterShard, customer domain.CustomerID, change domain.Points, append func(context.Context) (domain.Position, error)) (at domain.Position, done bool, err error) {
	shard.alone.RLock()
	defer shard.alone.RUnlock()
	// Of an unknown total no more than the changes since is assumed; the limit is far for all but nobody.
	total, seen, err := l.totals.Total(ctx, customer)
	if magnitude(total) > far || magnitude(change) > ordinary || !shard.reserve(change, seen, err == nil) {
		return domain.Position{}, false, nil
	}
	at, err = append(ctx)
	shard.settle(change, at)
	return at, true, err
}

// alone runs append while no other command of the shard runs, if the exact total allows it.
func (l *limiter) alone(ctx context.Context, shard *limiterShard, customer domain.CustomerID, change domain.Points, append func(context.Context) (domain.Position, error)) (domain.Position, error) {
	shard.alone.Lock()
	defer shard.alone.Unlock()
	waiting, cancel := context.WithTimeout(ctx, exactTimeout)
	defer cancel()
	err := l.totals.Wait(waiting, shard.last)
	var total domain.Points
	if err == nil {
		total, _, err = l.totals.Total(ctx, customer)
	}
	if err != nil {
		return domain.Position{}, fmt.Errorf("the customer's total: %w", unavailable(err))
	}
	if _, err := total.Plus(change); err != nil {
		return domain.Position{}, fmt.Errorf("the customer's total: %w", err)
	}
	shard.begin(change)
	at, err := append(ctx)
	shard.settle(change, at)
	return at, err
}

// reserve counts a change as under way, unless there would be too much that the read model may not show. What was
// appended counts no more when the read model has seen all of it.
func (s *limiterShard) reserve(change domain.Points, seen domain.Position, known bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known && !seen.Before(s.last) {
		s.appended = 0
	}
	if s.underWay+s.appended+magnitude(change) > unseen {
		return false
	}
	s.underWay += magnitude(change)
	return true
}

// begin counts a change as under way, and no other: the read model has seen them all.
func (s *limiterShard) begin(change domain.Points) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay, s.appended = magnitude(change), 0
}

// settle counts a change that was under way as appended at a position. One that failed counts too, at no position: it
// may have been stored all the same.
func (s *limiterShard) settle(change domain.Points, at domain.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay -= magnitude(change)
	s.appended += magnitude(change)
	if s.last.Before(at) {
		s.last = at
	}
}

func magnitude(p domain.Points) domain.Points { return max(p, -p) }

// unavailable tells a caller of a command that a read model which lags is a reason to try again later.
func unavailable(err error) error {
	if errors.Is(err, domain.ErrNotCaughtUp) {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	return err
}
