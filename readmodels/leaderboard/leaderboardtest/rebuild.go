package leaderboardtest

import (
	"errors"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Rebuildable is a leaderboard that can be rebuilt.
type Rebuildable interface {
	Adapter
	leaderboard.Rebuilder
}

// RunRebuilder runs the contract of leaderboard.Rebuilder. For open see Run.
func RunRebuilder(t *testing.T, open func(t *testing.T) Rebuildable) {
	for _, c := range rebuildClauses {
		t.Run(c.rule, func(t *testing.T) { c.check(t, open(t)) })
	}
}

var rebuildClauses = []struct {
	rule  string
	check func(t *testing.T, live Rebuildable)
}{
	{"a copy begins empty", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5))
		needsLoad(t, copyOf(t, live))
		b.agrees()
	}},
	{"a copy is loaded, applied to and read beside the live one, and neither sees the other", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5), standing(bob, 20, 5))
		c := given(t, copyOf(t, live), standing(cat, 7, 5))
		c.apply(change(dan, 8, 6))
		b.apply(change(ann, 1, 6))
		c.ranks(dan, cat)
		c.standingsAgree(cat, ann, dan)
		b.ranks(bob, ann)
		b.load(leaderboard.State{Position: at(300), AsOf: start}, standing(eve, 1, 1))
		c.ranks(dan, cat)
	}},
	{"a switch puts the copy in the live one's place", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5), standing(bob, 20, 5))
		copied := copyOf(t, live)
		c := given(t, copied, standing(cat, 7, 5), standing(ann, 3, 3))
		c.apply(change(dan, 8, 6))
		switches(t, copied)
		b.model, b.state = c.model, c.state
		b.ranks(dan, cat, ann)
		b.apply(change(bob, 5, 9))
		b.ranks(dan, cat, bob, ann)
	}},
	{"a copy keeps who is retired, through a switch and beyond", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5), standing(bob, 20, 5), standing(cat, 30, 5))
		copied := copyOf(t, live)
		c := given(t, copied, standing(ann, 10, 5), retired(bob), standing(cat, 30, 5))
		c.apply(retires(cat), retires(dan), change(bob, 9, 9))
		c.ranks(ann)
		b.ranks(cat, bob, ann)
		switches(t, copied)
		b.model, b.state = c.model, c.state
		b.ranks(ann)
		b.apply(change(bob, 1, 9), change(cat, 1, 9), change(dan, 1, 9), change(eve, 1, 9))
		b.ranks(ann, eve)
	}},
	{"a switch replaces who is retired too", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5), retired(bob), retired(cat))
		copied := copyOf(t, live)
		c := given(t, copied, standing(ann, 10, 5), retired(cat))
		switches(t, copied)
		b.model, b.state = c.model, c.state
		b.apply(change(bob, 1, 9), change(cat, 1, 9))
		b.ranks(ann, bob)
		copied = copyOf(t, live)
		c = given(t, copied)
		c.apply(change(cat, 1, 9))
		switches(t, copied)
		b.model, b.state = c.model, c.state
		b.ranks(cat)
	}},
	{"a copy of nobody can be switched to, and from", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5))
		copied := copyOf(t, live)
		c := given(t, copied)
		switches(t, copied)
		b.model, b.state = c.model, c.state
		b.agrees()
		copied = copyOf(t, live)
		c = given(t, copied, standing(bob, 1, 1))
		switches(t, copied)
		b.model, b.state = c.model, c.state
		b.ranks(bob)
	}},
	{"a copy may take the place of a leaderboard that nobody has loaded", func(t *testing.T, live Rebuildable) {
		copied := copyOf(t, live)
		c := given(t, copied, standing(ann, 1, 1))
		switches(t, copied)
		c.through(live).ranks(ann)
	}},
	{"a copy that nobody has loaded can't be switched to", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5))
		if err := copyOf(t, live).Switch(t.Context()); !errors.Is(err, domain.ErrNotCaughtUp) {
			t.Errorf("got error %v, want %v", err, domain.ErrNotCaughtUp)
		}
		b.agrees()
	}},
	{"a copy that is behind waits until it has caught up", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5))
		copied := copyOf(t, live)
		c := given(t, copied, standing(ann, 9, 5))
		for _, to := range []domain.Position{{Commit: 100, Prepare: 101}, at(101), at(1000), {Commit: 1 << 62, Prepare: 1<<53 + 1}} {
			batch := leaderboard.Batch{From: domain.CheckpointAt(b.state.Position), To: domain.CheckpointAt(to), AsOf: b.state.AsOf, Changes: []leaderboard.Change{change(ann, 1, 6)}}
			b.makes(batch)
			if err := copied.Switch(t.Context()); !errors.Is(err, domain.ErrNotCaughtUp) {
				t.Fatalf("at %s, live at %s: got error %v, want %v", c.state.Position, to, err, domain.ErrNotCaughtUp)
			}
			b.agrees()
			c.agrees()
			c.makes(batch)
		}
		switches(t, copied)
		b.model = c.model
		b.agrees()
	}},
	{"a writer goes on where it was if the copy stands there, and is told if it doesn't", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5))
		copied := copyOf(t, live)
		c := given(t, copied, standing(ann, 11, 5))
		switches(t, copied)
		b.model = c.model
		b.apply(change(ann, 1, 6))
		b.agrees()

		copied = copyOf(t, live)
		c = given(t, copied, standing(ann, 20, 5))
		c.apply(change(ann, 1, 6))
		c.apply(change(ann, 1, 7))
		old := b.next(change(ann, 1, 6))
		switches(t, copied)
		b.model, b.state = c.model, c.state
		b.refuses(old, domain.ErrCheckpointMoved)
	}},
	{"the time it is complete at does not go back with a switch", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5))
		later := start.Add(time.Hour)
		if err := b.Apply(b.ctx, leaderboard.Batch{From: domain.CheckpointAt(at(100)), To: domain.CheckpointAt(at(100)), AsOf: later}); err != nil {
			t.Fatal(err)
		}
		copied := copyOf(t, live)
		c := given(t, copied, standing(ann, 10, 5))
		switches(t, copied)
		b.model, b.state = c.model, leaderboard.State{Position: at(100), AsOf: later}
		b.agrees()
	}},
	{"who waits for a position learns of a switch that reaches it", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5))
		copied := copyOf(t, live)
		given(t, copied, standing(ann, 10, 5)).apply(change(ann, 1, 6))
		result := make(chan error)
		go func() { result <- reaches(b, at(110)) }()
		switches(t, copied)
		if err := <-result; err != nil {
			t.Error(err)
		}
	}},
	{"readers see the one or the other whole, and none fails, while copies are switched to", func(t *testing.T, live Rebuildable) {
		b := given(t, live, crowd(60)...)
		past := remember(b, history(b, 25))
		readWhile(t, b, past, func(read func()) error {
			for _, batch := range past.batches {
				copied, err := live.Copy(b.ctx)
				if err != nil {
					return err
				}
				state := leaderboard.State{Position: batch.To.Position, AsOf: batch.AsOf}
				if err := errors.Join(copied.Load(b.ctx, source(state, past.standings[batch.To.Position]...)), copied.Switch(b.ctx)); err != nil {
					return err
				}
				read()
			}
			return nil
		})
	}},
	{"an interrupted rebuild hurts nothing, and the next begins empty", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5))
		given(t, copyOf(t, live), standing(bob, 1, 1)) // and is heard of no more
		if err := copyOf(t, live).Load(b.ctx, breakingOff); !errors.Is(err, errLedger) {
			t.Errorf("got error %v, want %v", err, errLedger)
		}
		copied := copyOf(t, live)
		needsLoad(t, copied)
		b.agrees()
		c := given(t, copied, standing(cat, 1, 1))
		c.ranks(cat)
		switches(t, copied)
		b.model, b.state = c.model, c.state
		b.ranks(cat)
	}},
	{"a second rebuild makes the first fail, never the live leaderboard", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5))
		copied := copyOf(t, live)
		displaced := given(t, copied, standing(bob, 1, 1))
		c := given(t, copyOf(t, live), standing(cat, 1, 1))
		_, checkpoint := displaced.Checkpoint(b.ctx)
		_, standings := displaced.Standings(b.ctx, nil)
		for what, err := range map[string]error{
			"Checkpoint": checkpoint, "Standings": standings, "Apply": displaced.Apply(b.ctx, displaced.next(change(bob, 1, 1))),
			"Load": displaced.Load(b.ctx, source(displaced.state)), "Switch": copied.Switch(b.ctx),
			"Dashboard": displaced.Dashboard(b.ctx, bob, 10, 2, new(leaderboard.Dashboard)),
		} {
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("%s: got error %v, want %v", what, err, domain.ErrUnavailable)
			}
		}
		if err := copied.Discard(b.ctx); err != nil {
			t.Error(err)
		}
		c.ranks(cat)
		b.ranks(ann)
	}},
	{"a copy that is discarded is gone, and after a switch there is nothing to discard", func(t *testing.T, live Rebuildable) {
		b := given(t, live, standing(ann, 10, 5))
		copied := copyOf(t, live)
		given(t, copied, standing(bob, 1, 1))
		for range 2 {
			if err := copied.Discard(b.ctx); err != nil {
				t.Error(err)
			}
		}
		if err := copied.Switch(b.ctx); err == nil {
			t.Error("it can still be switched to")
		}
		b.agrees()

		copied = copyOf(t, live)
		c := given(t, copied, standing(cat, 1, 1))
		switches(t, copied)
		if err := copied.Discard(b.ctx); err != nil {
			t.Error(err)
		}
		b.model, b.state = c.model, c.state
		b.ranks(cat)
	}},
}

func copyOf(t *testing.T, live leaderboard.Rebuilder) leaderboard.Copy {
	t.Helper()
	copied, err := live.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

func switches(t *testing.T, copied leaderboard.Copy) {
	t.Helper()
	if err := copied.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
}
