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
// transaction that Redis makes only if nobody has touched state, customers or retired keys since. That spares Redis a quarter
// of the work, and Redis works on one thing at a time. A batch that somebody else's write came between is
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
		}, b.keys[0], b.keys[1], b.keys[4])
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
	before, retired, refused, err := b.before(ctx, tx, f.keys)
	if refused != nil || err != nil {
		return refused, err
	}
	if before.state.Position != batch.From {
		return fmt.Errorf("the leaderboard is at position %s: %w", before.state.Position, domain.ErrCheckpointMoved), nil
	}
	if refused := f.start(before.rest); refused != nil {
		return refused, nil
	}
	if retired > 0 {
		if err := b.retired(ctx, tx, f); err != nil {
			return nil, err
		}
	}
	if refused := f.run(batch.Changes); refused != nil {
		return refused, nil
	}
	if !batch.AsOf.After(before.state.AsOf) {
		batch.AsOf = before.state.AsOf
	}
	_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		w := f.written(b.keys[1], b.keys[4])
		p.HSet(ctx, b.keys[0], "position", batch.To.String(), "asof", formatTime(batch.AsOf),
			"customers", before.customers+w.entering-w.leaving, "retired", retired+w.retiring)
		for _, command := range w.commands {
			p.Do(ctx, command...)
		}
		return nil
	})
	return nil, err
}

// before reads the state, as its rest the scores of some customers, and how many keys are retired.
func (b *Board) before(ctx context.Context, tx *redis.Tx, keys []any) (s snapshot, retired int64, refused, err error) {
	var state *redis.SliceCmd
	var customers, gone *redis.IntCmd
	scores := redis.NewSliceCmd(ctx, append([]any{"ZMSCORE", b.keys[1]}, keys...)...)
	_, err = tx.Pipelined(ctx, func(p redis.Pipeliner) error {
		state = p.HMGet(ctx, b.keys[0], "copy", "position", "asof", "customers", "retired")
		customers, gone = p.ZCard(ctx, b.keys[1]), p.SCard(ctx, b.keys[4])
		if len(keys) > 0 {
			return p.Process(ctx, scores)
		}
		return nil
	})
	if err != nil {
		return s, 0, nil, err
	}
	values := state.Val()
	if rebuild, _ := values[0].(string); rebuild != b.rebuild {
		return s, 0, errDisplaced, nil
	}
	if values[1] == nil || !counts(values[3], customers) || !(counts(values[4], gone) || values[4] == nil && gone.Val() == 0) {
		return s, 0, errNotLoaded, nil
	}
	if s, refused = newSnapshot(append(values[1:4:4], nil)); refused == nil {
		s.rest = scores.Val()
	}
	return s, gone.Val(), refused, nil
}

// counts tells whether a number in the state is that of what there is.
func counts(noted any, there *redis.IntCmd) bool {
	text, _ := noted.(string)
	return text == strconv.FormatInt(there.Val(), 10)
}

// retired asks who of a batch is retired. It can only be somebody who is not among the customers.
func (b *Board) retired(ctx context.Context, tx *redis.Tx, f *fold) error {
	command := []any{"SMISMEMBER", b.keys[4]}
	var places []int
	for i, there := range f.there {
		if !there {
			command, places = append(command, f.keys[i]), append(places, i)
		}
	}
	if len(places) == 0 {
		return nil
	}
	answer := redis.NewBoolSliceCmd(ctx, command...)
	if err := tx.Process(ctx, answer); err != nil {
		return err
	}
	for i, retired := range answer.Val() {
		f.retired[places[i]] = retired
	}
	return nil
}
