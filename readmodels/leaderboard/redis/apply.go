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

// Apply applies a batch; see leaderboard.Writer.
//
// It is the only operation that is no script: it reads the totals, computes the new ones here, and writes them in a transaction that
// Redis executes only if state, customers and retired keys have not changed since (WATCH). That saves a quarter of the work in Redis,
// which is single-threaded. A concurrent write makes it domain.ErrCheckpointMoved.
func (b *Board) Apply(ctx context.Context, batch leaderboard.Batch) error {
	if err := batch.Validate(); err != nil {
		return err
	}
	result, err := error(nil), ctx.Err()
	if err == nil {
		err = b.client.Watch(ctx, func(tx *redis.Tx) (err error) {
			result, err = b.applyIn(ctx, tx, batch)
			return err
		}, b.keys[keyState], b.keys[keyCustomers], b.keys[keyRetired])
	}
	switch {
	case errors.Is(err, redis.TxFailedErr):
		result = fmt.Errorf("somebody else has written meanwhile: %w", domain.ErrCheckpointMoved)
	case err != nil:
		result = classify(ctx, err)
	}
	if result != nil {
		return fmt.Errorf("apply a batch from position %s: %w", batch.From, result)
	}
	b.waiters.Wake(batch.To.Position)
	return nil
}

// applyIn returns the leaderboard's own error as result, and an error of Redis as err.
func (b *Board) applyIn(ctx context.Context, tx *redis.Tx, batch leaderboard.Batch) (result, err error) {
	f := newFold(batch.Changes)
	before, retired, result, err := b.before(ctx, tx, f.keys)
	if result != nil || err != nil {
		return result, err
	}
	if before.state.Position != batch.From.Position || before.origin != batch.From.Origin() {
		return fmt.Errorf("the leaderboard is at position %s: %w", before.state.Position, domain.ErrCheckpointMoved), nil
	}
	if result := f.start(before.rest); result != nil {
		return result, nil
	}
	if retired > 0 {
		if err := b.retired(ctx, tx, f); err != nil {
			return nil, err
		}
	}
	if result := f.run(batch.Changes); result != nil {
		return result, nil
	}
	if !batch.AsOf.After(before.state.AsOf) {
		batch.AsOf = before.state.AsOf
	}
	_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		w := f.written(b.keys[keyCustomers], b.keys[keyRetired])
		p.HSet(ctx, b.keys[keyState], "position", batch.To.Position.String(), "origin", batch.To.Origin(), "asof", formatTime(batch.AsOf),
			"customers", before.customers+w.entering-w.leaving, "retired", retired+w.retiring)
		for _, command := range w.commands {
			p.Do(ctx, command...)
		}
		return nil
	})
	return nil, err
}

// before reads the state, the scores of some customers as the rest of s, and the number of retired keys. Its errors are those of applyIn.
func (b *Board) before(ctx context.Context, tx *redis.Tx, keys []any) (s snapshot, retired int64, result, err error) {
	var state *redis.SliceCmd
	var customers, retiredKeys *redis.IntCmd
	scores := redis.NewSliceCmd(ctx, append([]any{"ZMSCORE", b.keys[keyCustomers]}, keys...)...)
	_, err = tx.Pipelined(ctx, func(p redis.Pipeliner) error {
		state = p.HMGet(ctx, b.keys[keyState], "copy", "position", "asof", "customers", "retired", "origin")
		customers, retiredKeys = p.ZCard(ctx, b.keys[keyCustomers]), p.SCard(ctx, b.keys[keyRetired])
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
		return s, 0, errCopyGone, nil
	}
	if values[1] == nil || !hasCount(values[3], customers) || !(hasCount(values[4], retiredKeys) || values[4] == nil && retiredKeys.Val() == 0) {
		return s, 0, errNotLoaded, nil
	}
	if s, result = newSnapshot(append(values[1:4:4], nil)); result == nil {
		s.rest = scores.Val()
		s.origin, _ = values[5].(string)
	}
	return s, retiredKeys.Val(), result, nil
}

// hasCount reports whether a count in the state equals the actual one. If not, Redis has lost something.
func hasCount(stored any, actual *redis.IntCmd) bool {
	text, _ := stored.(string)
	return text == strconv.FormatInt(actual.Val(), 10)
}

// retired reads which keys of a batch are retired. None of those is among the customers.
func (b *Board) retired(ctx context.Context, tx *redis.Tx, f *fold) error {
	command := []any{"SMISMEMBER", b.keys[keyRetired]}
	var indexes []int
	for i, ranked := range f.ranked {
		if !ranked {
			command, indexes = append(command, f.keys[i]), append(indexes, i)
		}
	}
	if len(indexes) == 0 {
		return nil
	}
	answer := redis.NewBoolSliceCmd(ctx, command...)
	if err := tx.Process(ctx, answer); err != nil {
		return err
	}
	for i, retired := range answer.Val() {
		f.retired[indexes[i]] = retired
	}
	return nil
}
