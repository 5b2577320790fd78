package redis

import (
	"cmp"
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
// Redis executes only if nothing of the board has changed since (WATCH). That saves a quarter of the work in Redis,
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
		}, b.keys[keyState], b.keys[keyCustomers], b.keys[keyRetired], b.keys[keyBeyond])
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
	before, result, err := b.before(ctx, tx, f.keys)
	if result != nil || err != nil {
		return result, err
	}
	if before.state.Position != batch.From.Position || before.origin != batch.From.Origin() {
		return fmt.Errorf("the leaderboard is at position %s: %w", before.state.Position, domain.ErrCheckpointMoved), nil
	}
	if result := f.start(before.rest); result != nil {
		return result, nil
	}
	if before.retired > 0 {
		if err := liveIn(b.keys).retiredOf(ctx, tx, f); err != nil {
			return nil, err
		}
	}
	if before.beyond > 0 {
		if result, err := liveIn(b.keys).beyondOf(ctx, tx, f); result != nil || err != nil {
			return result, err
		}
	}
	f.run(batch.Changes)
	if !batch.AsOf.After(before.state.AsOf) {
		batch.AsOf = before.state.AsOf
	}
	_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		w := f.written(b.keys[keyCustomers], b.keys[keyRetired], b.keys[keyBeyond])
		p.HSet(ctx, b.keys[keyState], "position", batch.To.Position.String(), "origin", batch.To.Origin(), "asof", formatTime(batch.AsOf),
			"customers", before.customers+w.entering-w.leaving, "retired", before.retired+w.retiring, "beyond", before.beyond+w.beyond)
		for _, command := range w.commands {
			p.Do(ctx, command...)
		}
		return nil
	})
	return nil, err
}

// stored is a board before a batch: the state, the scores of the batch's customers as the rest, and the numbers of retired keys and of
// customers beyond the clamp.
type stored struct {
	snapshot
	retired, beyond int64
}

// before reads what is stored. Its errors are those of applyIn.
func (b *Board) before(ctx context.Context, tx *redis.Tx, keys []any) (s stored, result, err error) {
	var state *redis.SliceCmd
	var customers, retired, beyond *redis.IntCmd
	scores := redis.NewSliceCmd(ctx, append([]any{"ZMSCORE", b.keys[keyCustomers]}, keys...)...)
	_, err = tx.Pipelined(ctx, func(p redis.Pipeliner) error {
		state = p.HMGet(ctx, b.keys[keyState], "copy", "position", "asof", "customers", "retired", "origin", "beyond", "bounds")
		customers, retired, beyond = p.ZCard(ctx, b.keys[keyCustomers]), p.SCard(ctx, b.keys[keyRetired]), p.HLen(ctx, b.keys[keyBeyond])
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
		return s, errCopyGone, nil
	}
	if bounds, _ := values[7].(string); values[1] == nil || bounds != b.bounds || !hasCount(values[3], customers) || !hasCount(cmp.Or(values[4], none), retired) || !hasCount(cmp.Or(values[6], none), beyond) {
		return s, errNotLoaded, nil
	}
	s.retired, s.beyond = retired.Val(), beyond.Val()
	if s.snapshot, result = newSnapshot(append(values[1:4:4], nil)); result == nil {
		s.rest = scores.Val()
		s.origin, _ = values[5].(string)
	}
	return s, result, nil
}

// none is the count that an earlier version of the program did not write, because there was nothing to count.
var none any = "0"

// hasCount reports whether a count in the state equals the actual one. If not, Redis has lost something.
func hasCount(stored any, actual *redis.IntCmd) bool {
	text, _ := stored.(string)
	return text == strconv.FormatInt(actual.Val(), 10)
}

// place names the keys of customers, retired keys and true totals: those that are read, or those that a load has staged.
type place struct{ customers, retired, beyond string }

func liveIn(keys []string) place { return place{keys[keyCustomers], keys[keyRetired], keys[keyBeyond]} }

func stagedIn(keys []string) place {
	return place{keys[keyLoading], keys[keyRetiring], keys[keyStaged]}
}

// beyondOf reads the true totals of a batch's customers who may be beyond the clamp. Its errors are those of applyIn.
func (p place) beyondOf(ctx context.Context, tx *redis.Tx, f *fold) (result, err error) {
	command := []any{"HMGET", p.beyond}
	var indexes []int
	for i := range f.standing {
		if clamped(f.standing[i].Points) {
			command, indexes = append(command, f.keys[i]), append(indexes, i)
		}
	}
	if len(indexes) == 0 {
		return nil, nil
	}
	answer := redis.NewSliceCmd(ctx, command...)
	if err := tx.Process(ctx, answer); err != nil {
		return nil, err
	}
	for i, value := range answer.Val() {
		text, isBeyond := value.(string)
		if !isBeyond {
			continue
		}
		at := indexes[i]
		if f.standing[at].Points, result = parseTotal(text); result != nil {
			return result, nil
		}
		f.beyond[at] = true
	}
	return nil, nil
}

// retiredOf reads which keys of a batch are retired. None of those is among the customers.
func (p place) retiredOf(ctx context.Context, tx *redis.Tx, f *fold) error {
	command := []any{"SMISMEMBER", p.retired}
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
