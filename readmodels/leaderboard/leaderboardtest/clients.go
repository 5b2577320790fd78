package leaderboardtest

import (
	"errors"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Client is one of several clients of a leaderboard, as in several processes. Close closes this one only.
type Client interface {
	Adapter
	Close() error
}

// RunClients runs the contract of a leaderboard outside the process. open returns a function that makes clients of one new leaderboard without
// a Load. It closes with t.Cleanup those clients that are still open.
func RunClients(t *testing.T, open func(t *testing.T) func() Client) {
	for _, c := range clientClauses {
		t.Run(c.rule, func(t *testing.T) { c.check(t, open(t)) })
	}
}

var clientClauses = []struct {
	rule  string
	check func(t *testing.T, connect func() Client)
}{
	{"what one client writes another reads", func(t *testing.T, connect func() Client) {
		b := given(t, connect(), standing(ann, 10, 5), standing(bob, 20, 6))
		reader := connect()
		b.through(reader).ranks(bob, ann)
		b.apply(change(ann, 30, 7), change(cat, 1, 7))
		b.through(reader).ranks(ann, bob, cat)
		b.through(reader).standingsAgree(cat, absent)
		b.load(leaderboard.State{Position: at(7), AsOf: start}, standing(dan, 1, 1))
		b.through(reader).ranks(dan)
	}},
	{"whom one client retires another keeps out, after a restart too", func(t *testing.T, connect func() Client) {
		first := connect()
		b := given(t, first, standing(ann, 10, 5), standing(bob, 20, 6), retired(cat))
		second := connect()
		b.apply(retires(bob))
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		for _, client := range []Client{second, connect()} {
			b = b.through(client)
			b.apply(change(bob, 5, 7), change(cat, 5, 7))
			b.ranks(ann)
		}
	}},
	{"after a restart batches that come again, or in another order, are refused until the right one", func(t *testing.T, connect func() Client) {
		first := connect()
		b := given(t, first, crowd(20)...)
		batches := history(b, 9)
		for _, batch := range batches[:5] {
			b.makes(batch)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		b = b.through(connect())
		for next := 5; next < len(batches); next++ {
			for i, batch := range batches {
				if i != next {
					b.refuses(batch, domain.ErrCheckpointMoved)
				}
			}
			b.makes(batches[next])
		}
	}},
	{"however often the writer restarts and repeats itself, every batch counts once", func(t *testing.T, connect func() Client) {
		rapid.Check(t, func(rt *rapid.T) {
			client := connect()
			b := &board{reporter: rt, Adapter: client, ctx: t.Context()}
			b.load(leaderboard.State{Position: at(100), AsOf: start}, crowd(12)...)
			batches := history(b, rapid.IntRange(1, 12).Draw(rt, "batches"))
			for b.state.Position != batches[len(batches)-1].To.Position {
				batch := rapid.SampledFrom(batches).Draw(rt, "delivered")
				if batch.From.Position == b.state.Position {
					b.makes(batch)
				} else if err := b.Apply(b.ctx, batch); !errors.Is(err, domain.ErrCheckpointMoved) {
					rt.Fatalf("from %s at %s: got error %v", batch.From, b.state.Position, err)
				}
				if rapid.Bool().Draw(rt, "restart") {
					if err := client.Close(); err != nil {
						rt.Fatal(err)
					}
					client = connect()
					b.Adapter = client
				}
			}
			b.agrees()
			if err := client.Close(); err != nil {
				rt.Fatal(err)
			}
		})
	}},
	{"two runners at once, each with a client, apply each batch exactly once", func(t *testing.T, connect func() Client) {
		b := given(t, connect(), crowd(20)...)
		batches := history(b, 100)
		applied, failed := make([]int, 2), make([]error, 2)
		var runners sync.WaitGroup
		for runner := range 2 {
			own := b.through(connect())
			runners.Go(func() { applied[runner], failed[runner] = project(own, batches) })
		}
		runners.Wait()
		if err := errors.Join(failed...); err != nil || applied[0]+applied[1] != len(batches) {
			t.Fatalf("%d batches were applied %d and %d times, %v", len(batches), applied[0], applied[1], err)
		}
		for _, batch := range batches {
			if err := b.model.Apply(batch.Changes...); err != nil {
				t.Fatal(err)
			}
			b.state = leaderboard.State{Position: batch.To.Position, AsOf: batch.AsOf}
		}
		b.agrees()
	}},
	{"waiting ends with another client's batch, and with its load", func(t *testing.T, connect func() Client) {
		b := given(t, connect(), standing(ann, 10, 5))
		waiting := b.through(connect())
		result := make(chan error)
		for range 20 {
			position := b.next().To
			go func() { result <- reaches(waiting, position.Position) }()
			b.apply(change(ann, 1, 6))
			if err := <-result; err != nil {
				t.Fatal(err)
			}
		}
		go func() { result <- reaches(waiting, at(9000)) }()
		b.load(leaderboard.State{Position: at(9000), AsOf: start}, standing(bob, 10, 5))
		if err := <-result; err != nil {
			t.Error(err)
		}
	}},
	{"of clients that load at once each succeeds whole, or is told to come again", func(t *testing.T, connect func() Client) {
		b := given(t, connect())
		standings := crowd(2500)
		results := make(chan error)
		for i := range 3 {
			own := connect()
			go func() {
				results <- own.Load(b.ctx, source(leaderboard.State{Position: at(uint64(200 + i)), AsOf: start}, standings...))
			}()
		}
		succeeded := 0
		for range 3 {
			switch err := <-results; {
			case err == nil:
				succeeded++
			case !errors.Is(err, domain.ErrUnavailable):
				t.Error(err)
			}
		}
		position, err := b.Checkpoint(b.ctx)
		if err != nil || succeeded == 0 || position.Position.Commit < 200 {
			t.Fatalf("%d succeeded, at %s, %v", succeeded, position, err)
		}
		b.model, b.state = NewModel(standings...), leaderboard.State{Position: position.Position, AsOf: start}
		ranking := b.model.Ranking()
		b.shows(ranking, ranking[1700].Key, 100, 50)
	}},
	{"a closed client is unavailable, at once and to those who wait", func(t *testing.T, connect func() Client) {
		client := connect()
		b := given(t, client, standing(ann, 10, 5))
		result := make(chan error)
		go func() { result <- b.Wait(b.ctx, at(1<<40)) }()
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		var d leaderboard.Dashboard
		_, checkpoint := b.Checkpoint(b.ctx)
		for what, err := range map[string]error{
			"Wait": <-result, "Checkpoint": checkpoint, "Dashboard": b.Dashboard(b.ctx, ann, 10, 2, &d),
			"Apply": b.Apply(b.ctx, b.next(change(ann, 1, 6))), "Load": b.Load(b.ctx, source(b.state)),
		} {
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("%s: got error %v, want %v", what, err, domain.ErrUnavailable)
			}
		}
		b.through(connect()).agrees()
	}},
}

// through is the same board through another adapter.
func (b *board) through(other Adapter) *board {
	return &board{reporter: b.reporter, Adapter: other, ctx: b.ctx, model: NewModel(b.model.Standings()...), state: b.state}
}

// makes applies a batch unchanged, which must succeed, to the board and the model.
func (b *board) makes(batch leaderboard.Batch) {
	b.Helper()
	if err := errors.Join(b.Apply(b.ctx, batch), b.model.Apply(batch.Changes...)); err != nil {
		b.Fatalf("Apply of %+v: %v", batch, err)
	}
	b.state = leaderboard.State{Position: batch.To.Position, AsOf: batch.AsOf}
}
