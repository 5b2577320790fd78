package ledgertest

import (
	"context"
	"errors"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var rebuildClauses = []clause{
	{"a copy starts empty, and the two know nothing of each other", func(f *fixture) {
		f.add(award(1, "anna", 5), award(2, "bob", 7))
		c := f.copied()
		c.equalsModel()
		c.add(award(1, "anna", 500), award(3, "cleo", 1))
		c.equalsModel()
		f.equalsModel()
		f.add(award(3, "dora", 9))
		c.add(award(4, "cleo", 2))
		c.equalsModel()
		f.equalsModel()
	}},

	{"a copy is a ledger in all that it answers and refuses", func(f *fixture) {
		c := f.copied()
		first := c.batch(award(1, "anna", 5), adjustment(2, "rich", domain.MaxChange))
		c.applied(first)
		for _, refused := range []struct {
			batch ledger.Batch
			want  error
		}{
			{first, domain.ErrCheckpointMoved},
			{c.batch(award(3, "rich", domain.MaxChange+1)), nil},
		} {
			if err := c.Apply(f.ctx, refused.batch); err == nil || (refused.want != nil && !errors.Is(err, refused.want)) {
				f.Errorf("got %v, want %v", err, refused.want)
			}
		}
		if err := c.Wait(f.ctx, at(2)); err != nil {
			f.Errorf("waiting for what is there: %v", err)
		}
		c.equalsModel()
	}},

	{"a switch puts the copy in place for every handle, and it goes on from there", func(f *fixture) {
		other := f.another()
		f.add(award(1, "anna", 5), award(2, "bob", 7))
		c := f.copied()
		c.add(award(1, "anna", 500), award(2, "cleo", 1))
		c.switched()
		f.model = c.model
		f.equalsModel()
		f.add(award(3, "anna", 1), award(4, "dora", 1))
		f.equalsModel()
		b := f.batch(reversal(5, "anna", -1))
		if err := errors.Join(other.Apply(f.ctx, b), f.model.Apply(b), compare(f.ctx, other, &f.model)); err != nil {
			f.Fatal(err)
		}
		if err := compare(f.ctx, f.another(), &f.model); err != nil {
			f.Fatalf("in a handle opened later: %v", err)
		}
	}},

	{"a copy that is behind is not switched to, and once it has caught up it is", func(f *fixture) {
		f.add(award(1, "anna", 5))
		f.applied(ledger.Batch{From: domain.CheckpointAt(at(1)), To: domain.CheckpointAt(domain.Position{Commit: 9, Prepare: 9})})
		c := f.copied()
		for _, b := range []ledger.Batch{{}, {To: domain.CheckpointAt(at(1)), Entries: []ledger.Entry{award(1, "anna", 5)}}, {From: domain.CheckpointAt(at(1)), To: domain.CheckpointAt(at(9))}} {
			c.applied(b)
			if err := c.Switch(f.ctx); !errors.Is(err, domain.ErrNotCaughtUp) {
				f.Fatalf("at %s, which is before %s: %v", b.To, f.model.State().Position, err)
			}
			f.equalsModel()
			c.equalsModel()
		}
		c.applied(ledger.Batch{From: domain.CheckpointAt(at(9)), To: domain.CheckpointAt(f.model.State().Position)})
		c.switched()
		f.equalsModel()
	}},

	{"a switch to a copy that is ahead refuses the batches that it has", func(f *fixture) {
		f.add(award(1, "anna", 5))
		late := f.batch(award(2, "anna", 6))
		c := f.copied()
		c.add(award(1, "anna", 5), award(2, "anna", 6), award(3, "bob", 7))
		c.switched()
		f.model = c.model
		f.refused(late, domain.ErrCheckpointMoved)
	}},

	{"AsOf never goes backwards, over a switch either", func(f *fixture) {
		f.applied(ledger.Batch{To: domain.CheckpointAt(at(5)), AsOf: moment(500)})
		c := f.copied()
		c.applied(ledger.Batch{To: domain.CheckpointAt(at(5)), AsOf: moment(5)})
		c.switched()
		f.equalsModel()
		c = f.copied()
		c.applied(ledger.Batch{To: domain.CheckpointAt(at(5))})
		c.switched()
		f.equalsModel()
		c = f.copied()
		c.applied(ledger.Batch{To: domain.CheckpointAt(at(6)), AsOf: moment(600)})
		c.switched()
		f.model = c.model
		f.equalsModel()
	}},

	{"after a switch, entries of any time go in", func(f *fixture) {
		old := func(n uint64, years int) ledger.Entry {
			e := award(n, "anna", 1)
			e.OccurredAt = moment(n).AddDate(years, 0, 0)
			return e
		}
		f.add(old(1, -9), old(2, 0), old(3, 5))
		c := f.copied()
		c.applied(ledger.Batch{To: domain.CheckpointAt(at(3))})
		c.switched()
		f.model = c.model
		f.add(old(4, 5), old(5, -9), old(6, 0), old(7, -100))
		f.equalsModel()
	}},

	{"a rebuild that was interrupted hurts nothing, and the next copy starts empty", func(f *fixture) {
		f.add(award(1, "anna", 5))
		c := f.copied()
		c.add(award(1, "anna", 500), award(2, "cleo", 1))
		// The process has crashed, without a Switch or Discard.
		if err := f.Close(); err != nil {
			f.Fatal(err)
		}
		f.Ledger = f.another()
		f.equalsModel()
		f.add(award(2, "bob", 7))
		f.equalsModel()
		c = f.copied()
		c.equalsModel()
		c.add(award(1, "anna", 6), award(2, "bob", 8))
		c.switched()
		f.model = c.model
		f.equalsModel()
	}},

	{"a second rebuild makes the first one fail, and neither the live ledger nor itself", func(f *fixture) {
		f.add(award(1, "anna", 5))
		first := f.copied()
		first.add(award(1, "anna", 50))
		second := f.copied()
		second.add(award(1, "anna", 500))
		if err := first.Switch(f.ctx); err == nil {
			f.Fatal("the first one switches")
		}
		if err := first.Apply(f.ctx, first.batch(award(2, "anna", 1))); err == nil {
			f.Error("the first one goes on")
		}
		second.equalsModel()
		f.equalsModel()
	}},

	{"discarding a copy that another has replaced leaves that one alone", func(f *fixture) {
		f.add(award(1, "anna", 5))
		first := f.copied()
		first.add(award(1, "anna", 50))
		second := f.copied()
		second.add(award(1, "anna", 500))
		if err := first.Discard(f.ctx); err != nil {
			f.Fatalf("discard: %v", err)
		}
		second.equalsModel()
		second.switched()
		f.model = second.model
		f.equalsModel()
	}},

	{"a copy that was discarded is gone, and nothing else is", func(f *fixture) {
		f.add(award(1, "anna", 5))
		c := f.copied()
		c.add(award(1, "anna", 500))
		for range 2 {
			if err := c.Discard(f.ctx); err != nil {
				f.Fatalf("discard: %v", err)
			}
			if err := c.Switch(f.ctx); err == nil {
				f.Fatal("it is switched to all the same")
			}
			f.equalsModel()
		}
		f.copied().equalsModel()
	}},

	{"after a switch, discarding does nothing and switching again is an error", func(f *fixture) {
		f.add(award(1, "anna", 5))
		c := f.copied()
		c.add(award(1, "anna", 500))
		c.switched()
		if err := c.Switch(f.ctx); err == nil {
			f.Error("it switches again")
		}
		if err := c.Discard(f.ctx); err != nil {
			f.Errorf("discard: %v", err)
		}
		f.model = c.model
		f.equalsModel()
	}},

	{"a switch whose context has ended leaves all as it was", func(f *fixture) {
		f.add(award(1, "anna", 5))
		c := f.copied()
		c.add(award(1, "anna", 500))
		ended, cancel := context.WithCancel(f.ctx)
		cancel()
		if err := c.Switch(ended); !errors.Is(err, context.Canceled) {
			f.Fatalf("got %v", err)
		}
		f.equalsModel()
		c.equalsModel()
		c.switched()
		f.model = c.model
		f.equalsModel()
	}},

	{"a long read of the accounts gives those of before a switch, or says that it could not", func(f *fixture) {
		f.add(award(1, "anna", 5), award(2, "bob", 5), award(3, "cleo", 5))
		before, sum := f.model.State(), domain.Points(0)
		c := f.copied()
		c.add(award(1, "anna", 100), award(2, "bob", 100), award(4, "dora", 100))
		done := make(chan error, 1)
		state, err := f.Accounts(f.ctx, ledger.InTurn(func(a ledger.Account, _ domain.Position) error {
			if sum += a.Points; sum == a.Points {
				go func() { done <- c.Switch(f.ctx) }()
				return f.Wait(f.ctx, at(4))
			}
			return nil
		}))
		if !errors.Is(err, domain.ErrUnavailable) && (err != nil || state.State() != before || sum != 15) {
			f.Errorf("they hold %d points in %+v, %v; want 15 in %+v", sum, state, err, before)
		}
		if err := <-done; err != nil {
			f.Fatalf("switch: %v", err)
		}
		f.model = c.model
		f.equalsModel()
	}},
}

// copied is a copy, with a model of its own.
type copied struct {
	f *fixture
	ledger.Copy
	model Model
}

func (f *fixture) copied() *copied {
	f.Helper()
	c, err := f.Copy(f.ctx)
	if err != nil {
		f.Fatalf("copy: %v", err)
	}
	return &copied{f: f, Copy: c}
}

func (c *copied) batch(entries ...ledger.Entry) ledger.Batch {
	return batchAfter(&c.model, entries, nil)
}

func (c *copied) applied(b ledger.Batch) {
	c.f.Helper()
	if err := errors.Join(c.Apply(c.f.ctx, b), c.model.Apply(b)); err != nil {
		c.f.Fatalf("apply to the copy: %v", err)
	}
}

func (c *copied) add(entries ...ledger.Entry) {
	c.f.Helper()
	c.applied(c.batch(entries...))
}

func (c *copied) equalsModel() {
	c.f.Helper()
	if err := compareContents(c.f.ctx, c, &c.model); err != nil {
		c.f.Fatalf("the copy: %v", err)
	}
}

func (c *copied) switched() {
	c.f.Helper()
	if err := c.Switch(c.f.ctx); err != nil {
		c.f.Fatalf("switch: %v", err)
	}
}
