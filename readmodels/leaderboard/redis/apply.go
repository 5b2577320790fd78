package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Apply is leaderboard.Writer's.
//
// It is the one operation that is no script: it reads the totals, works out the new ones here, and writes them in a
// transaction that Redis makes only if nobody has touched state or customers since. That spares Redis a quarter of the
// work, and Redis works on one thing at a time. A batch that somebody else's write came between is
// domain.ErrCheckpointMoved.
func (b *Board) Apply(ctx context.Context, batch leaderboard.Batch) error {
	if err := batch.Validate(); err != nil {
		return err
	}
	refused, err := error(nil), ctx.Err()
	if err == nil {
		err = b.client.Watch(ctx, func(tx *redis.Tx) (err error) {
			refused, err = b.applyIn(ctx, tx, batch)
			return err
		}, b.keys[:2]...)
	}
	switch {
	case errors.Is(err, redis.TxFailedErr):
		refused = fmt.Errorf("somebody else has written meanwhile: %w", domain.ErrCheckpointMoved)
	case err != nil:
		refused = trouble(ctx, err)
	}
	if refused != nil {
		return fmt.Errorf("apply a batch from position %s: %w", batch.From, refused)
	}
	b.waiters.wake(batch.To)
	return nil
}

// applyIn returns why a batch is refused, or what went wrong with Redis.
func (b *Board) applyIn(ctx context.Context, tx *redis.Tx, batch leaderboard.Batch) (refused, err error) {
	f := newFold(batch.Changes)
	before, refused, err := b.before(ctx, tx, f.keys)
	if refused != nil || err != nil {
		return refused, err
	}
	if before.state.Position != batch.From {
		return fmt.Errorf("the leaderboard is at position %s: %w", before.state.Position, domain.ErrCheckpointMoved), nil
	}
	if err := f.run(before.rest, batch.Changes); err != nil {
		return err, nil
	}
	if !batch.AsOf.After(before.state.AsOf) {
		batch.AsOf = before.state.AsOf
	}
	_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, b.keys[0], "position", batch.To.String(), "asof", formatTime(batch.AsOf), "customers", before.customers+f.entering)
		if len(f.keys) > 0 {
			p.Do(ctx, f.zadd(b.keys[1])...)
		}
		return nil
	})
	return nil, err
}

// before reads the state, and as its rest the scores of some customers.
func (b *Board) before(ctx context.Context, tx *redis.Tx, keys []any) (s snapshot, refused, err error) {
	var state *redis.SliceCmd
	var customers *redis.IntCmd
	scores := redis.NewSliceCmd(ctx, append([]any{"ZMSCORE", b.keys[1]}, keys...)...)
	_, err = tx.Pipelined(ctx, func(p redis.Pipeliner) error {
		state = p.HMGet(ctx, b.keys[0], "copy", "position", "asof", "customers")
		customers = p.ZCard(ctx, b.keys[1])
		if len(keys) > 0 {
			return p.Process(ctx, scores)
		}
		return nil
	})
	if err != nil {
		return s, nil, err
	}
	values := state.Val()
	if rebuild, _ := values[0].(string); rebuild != b.rebuild {
		return s, errDisplaced, nil
	}
	if count, _ := values[3].(string); values[1] == nil || count != strconv.FormatInt(customers.Val(), 10) {
		return s, errNotLoaded, nil
	}
	if s, refused = newSnapshot(append(values[1:4], nil)); refused == nil {
		s.rest = scores.Val()
	}
	return s, refused, nil
}

// fold works out what a batch comes to.
type fold struct {
	keys     []any // of each customer whom the batch concerns, once
	places   map[domain.ProxyKey]int
	standing []leaderboard.Standing // of each
	entering int64
}

func newFold(changes []leaderboard.Change) *fold {
	f := &fold{keys: make([]any, 0, len(changes)), places: make(map[domain.ProxyKey]int, len(changes))}
	for i := range changes {
		c := &changes[i]
		if _, known := f.places[c.Key]; c.Points != 0 && !known {
			f.places[c.Key] = len(f.keys)
			f.keys = append(f.keys, c.Key[:])
		}
	}
	return f
}

// run makes the changes, one after the other, to totals read as scores. A total that would pass ±domain.MaxTotal at any
// change is domain.ErrPointsLimit.
func (f *fold) run(scores []any, changes []leaderboard.Change) error {
	f.standing = make([]leaderboard.Standing, len(f.keys))
	for i := range f.standing {
		text, there := scores[i].(string)
		if !there {
			f.entering++
			continue
		}
		score, err := parseScore(text)
		if err != nil {
			return err
		}
		f.standing[i].Points, f.standing[i].Minute = parts(score)
	}
	for i := range changes {
		c := &changes[i]
		if c.Points == 0 {
			continue
		}
		s := &f.standing[f.places[c.Key]]
		total, err := s.Points.Plus(c.Points)
		if err != nil {
			return fmt.Errorf("change %d of the batch, customer %s: %w", i, c.Key, err)
		}
		s.Points, s.Minute = total, c.Minute
	}
	return nil
}

// zadd is the command that writes the new totals.
func (f *fold) zadd(key string) []any {
	command := make([]any, 2, 2+2*len(f.keys))
	command[0], command[1] = "ZADD", key
	for i, s := range f.standing {
		command = append(command, score(s.Points, s.Minute), f.keys[i])
	}
	return command
}
