package leaderboardtest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var checkpointClauses = []clause{
	{"a batch moves the checkpoint, and dashboards tell it", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.apply(change(ann, 1, 6))
		if d := b.dashboard(ann, 1, 0); d.Position != at(110) || !d.AsOf.Equal(start.Add(time.Second)) {
			t.Errorf("got position %s as of %s", d.Position, d.AsOf)
		}
		b.agrees()
	}},
	{"a position counts in both its parts", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		batch := b.next(change(ann, 1, 6))
		batch.To = domain.CheckpointAt(domain.Position{Commit: 1<<63 - 1, Prepare: 1<<53 + 1})
		if err := b.Apply(b.ctx, batch); err != nil {
			t.Fatal(err)
		}
		b.checkpointIs(batch.To.Position)
		other := leaderboard.Batch{From: batch.To, To: domain.CheckpointAt(domain.Position{Commit: 1<<63 - 1, Prepare: 1<<53 + 3}), AsOf: start}
		other.From.Position.Prepare--
		if err := b.Apply(b.ctx, other); !errors.Is(err, domain.ErrCheckpointMoved) {
			t.Errorf("from %s at %s: got error %v, want %v", other.From, batch.To, err, domain.ErrCheckpointMoved)
		}
		other.From = batch.To
		if err := b.Apply(b.ctx, other); err != nil {
			t.Fatal(err)
		}
		b.checkpointIs(other.To.Position)
	}},
	{"a checkpoint comes back as a load or a batch gave it, and a batch from any other is refused", func(t *testing.T, adapter Adapter) {
		is := func(want domain.Checkpoint) {
			t.Helper()
			if got, err := adapter.Checkpoint(t.Context()); err != nil || got != want {
				t.Fatalf("the checkpoint is %+v, %v; want %+v", got, err, want)
			}
		}
		loaded := domain.Checkpoint{Position: at(100), Log: "log-1", Last: domain.EventRef{Position: at(90), ID: "event-1"}, Fold: 1, Names: "names-1"}
		err := adapter.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
			return leaderboard.Snapshot{Checkpoint: loaded, AsOf: start}, yield(standing(ann, 10, 5))
		})
		if err != nil {
			t.Fatal(err)
		}
		is(loaded)
		to := domain.Checkpoint{Position: at(110), Log: "log-1", Last: domain.EventRef{Position: at(105), ID: "event-2"}, Fold: 2, Names: "names-1"}
		for what, spoil := range map[string]func(*domain.Checkpoint){
			"another log":            func(c *domain.Checkpoint) { c.Log = "log-2" },
			"another event":          func(c *domain.Checkpoint) { c.Last.ID = "event-3" },
			"another fold":           func(c *domain.Checkpoint) { c.Fold = 3 },
			"other names":            func(c *domain.Checkpoint) { c.Names = "names-2" },
			"one that knows nothing": func(c *domain.Checkpoint) { *c = domain.CheckpointAt(c.Position) },
		} {
			from := loaded
			spoil(&from)
			if err := adapter.Apply(t.Context(), leaderboard.Batch{From: from, To: to, AsOf: start}); !errors.Is(err, domain.ErrCheckpointMoved) {
				t.Errorf("from %s: got %v, want domain.ErrCheckpointMoved", what, err)
			}
		}
		is(loaded)
		if err := adapter.Apply(t.Context(), leaderboard.Batch{From: loaded, To: to, AsOf: start, Changes: []leaderboard.Change{change(ann, 1, 6)}}); err != nil {
			t.Fatal(err)
		}
		is(to)
		other := to
		other.Log = "log-3"
		if err := adapter.Apply(t.Context(), leaderboard.Batch{From: to, To: other, AsOf: start}); err != nil {
			t.Fatal(err)
		}
		is(other)
	}},
	{"a batch that comes again is refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		batch := b.next(change(ann, 1, 6), change(bob, 2, 6))
		b.apply(batch.Changes...)
		b.refuses(batch, domain.ErrCheckpointMoved)
		b.apply(change(cat, 1, 7))
		b.refuses(batch, domain.ErrCheckpointMoved)
	}},
	{"a batch from further on is refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.refuses(leaderboard.Batch{From: domain.CheckpointAt(at(110)), To: domain.CheckpointAt(at(120)), AsOf: start, Changes: []leaderboard.Change{change(ann, 1, 6)}}, domain.ErrCheckpointMoved)
	}},
	{"a batch that overlaps what is applied is refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.refuses(leaderboard.Batch{From: domain.CheckpointAt(at(95)), To: domain.CheckpointAt(at(105)), AsOf: start, Changes: []leaderboard.Change{change(ann, 1, 6)}}, domain.ErrCheckpointMoved)
	}},
	{"a batch that leads backwards is refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.refuses(leaderboard.Batch{From: domain.CheckpointAt(at(100)), To: domain.CheckpointAt(at(99)), AsOf: start}, domain.ErrInvalid)
	}},
	{"changes that would not move the checkpoint are refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.refuses(leaderboard.Batch{From: domain.CheckpointAt(at(100)), To: domain.CheckpointAt(at(100)), AsOf: start, Changes: []leaderboard.Change{change(ann, 1, 6)}}, domain.ErrInvalid)
	}},
	{"a batch without changes moves the checkpoint", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		b.apply()
		b.agrees()
	}},
	{"a batch to where it starts tells that nothing happened since", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		later := start.Add(time.Hour)
		if err := b.Apply(b.ctx, leaderboard.Batch{From: domain.CheckpointAt(at(100)), To: domain.CheckpointAt(at(100)), AsOf: later}); err != nil {
			t.Fatal(err)
		}
		b.state.AsOf = later
		b.agrees()
		b.refuses(leaderboard.Batch{From: domain.CheckpointAt(at(90)), To: domain.CheckpointAt(at(90)), AsOf: later.Add(time.Hour)}, domain.ErrCheckpointMoved)
	}},
	{"the time it is complete at never goes back", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		for i, asOf := range []time.Time{start.Add(-time.Hour), {}, start.Add(-time.Millisecond)} {
			batch := b.next(change(ann, 1, int64(i)))
			batch.AsOf = asOf
			if err := errors.Join(b.Apply(b.ctx, batch), b.model.Apply(batch.Changes...)); err != nil {
				t.Fatal(err)
			}
			b.state.Position = batch.To.Position
			b.agrees()
		}
	}},
	{"two runners at once apply each batch exactly once", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(20)...)
		batches := history(b, 60)
		applied := make([]int, 2)
		failed := make([]error, 2)
		var runners sync.WaitGroup
		for runner := range 2 {
			runners.Go(func() { applied[runner], failed[runner] = project(b, batches) })
		}
		runners.Wait()
		if err := errors.Join(failed...); err != nil {
			t.Fatal(err)
		}
		if applied[0]+applied[1] != len(batches) {
			t.Errorf("%d batches were applied %d and %d times", len(batches), applied[0], applied[1])
		}
		for _, batch := range batches {
			if err := b.model.Apply(batch.Changes...); err != nil {
				t.Fatal(err)
			}
		}
		last := batches[len(batches)-1]
		b.state = leaderboard.State{Position: last.To.Position, AsOf: last.AsOf}
		b.agrees()
	}},
}

// history is n successive batches for the customers of a board, from the board's checkpoint on. Some batches retire a customer, who gets
// changes afterwards.
func history(b *board, n int) []leaderboard.Batch {
	ranking := b.model.Ranking()
	batches := make([]leaderboard.Batch, n)
	state := b.state
	for i := range batches {
		var changes []leaderboard.Change
		for j := range 5 {
			who := ranking[(i*7+j*3)%len(ranking)].Key
			changes = append(changes, change(who, domain.Points((i+j)%7-3), int64(i/4)))
		}
		if i%40 == 9 {
			changes[2] = retires(changes[2].Key)
		}
		to := leaderboard.State{Position: at(state.Position.Commit + 1), AsOf: state.AsOf.Add(time.Second)}
		batches[i] = leaderboard.Batch{From: domain.CheckpointAt(state.Position), To: domain.CheckpointAt(to.Position), AsOf: to.AsOf, Changes: changes}
		state = to
	}
	return batches
}

// project does what a projection does until all batches are applied, and returns the number of those that it applied itself.
func project(b *board, batches []leaderboard.Batch) (applied int, err error) {
	for {
		checkpoint, err := b.Checkpoint(b.ctx)
		if err != nil {
			return applied, err
		}
		next := slices.IndexFunc(batches, func(batch leaderboard.Batch) bool { return batch.From == checkpoint })
		if next < 0 {
			return applied, nil
		}
		switch err := b.Apply(b.ctx, batches[next]); {
		case err == nil:
			applied++
		case !errors.Is(err, domain.ErrCheckpointMoved):
			return applied, err
		}
	}
}
