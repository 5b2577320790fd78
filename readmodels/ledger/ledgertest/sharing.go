package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var sharingClauses = []clause{
	{"two runners at once apply each batch exactly once", func(f *fixture) {
		batches := log(60, 5)
		var wins atomic.Int64
		runner := func(l Ledger) error {
			for _, b := range batches {
				err := l.Apply(f.ctx, b)
				if err == nil {
					wins.Add(1)
					continue
				}
				// If the checkpoint has moved, another runner was faster; this one goes on with the next batch.
				if !errors.Is(err, domain.ErrCheckpointMoved) {
					return err
				}
				if err := l.Wait(f.ctx, b.To.Position); err != nil {
					return err
				}
			}
			return nil
		}
		other := f.another()
		f.together(
			func() error { return runner(f.Ledger) },
			func() error { return runner(f.Ledger) },
			func() error { return runner(other) },
		)
		for _, b := range batches {
			if err := f.model.Apply(b); err != nil {
				f.Fatal(err)
			}
		}
		if got := wins.Load(); got != int64(len(batches)) {
			f.Errorf("%d batches went in %d times", len(batches), got)
		}
		f.equalsModel()
	}},

	{"batches that come again and out of order, and again after a restart, go in once and in order", func(f *fixture) {
		batches := log(60, 5)
		// Each pass offers every batch, in another order; every pass but the last ends with a restart. What does not fit is
		// refused, and what fits goes in.
		for pass, in := 0, 0; in < len(batches); pass++ {
			for i := range batches {
				b := batches[(i*7+pass)%len(batches)]
				err := f.Apply(f.ctx, b)
				switch {
				case err == nil && b.From == batches[in].From:
					in++
					if err := f.model.Apply(b); err != nil {
						f.Fatal(err)
					}
				case !errors.Is(err, domain.ErrCheckpointMoved):
					f.Fatalf("pass %d: the batch from %s gives %v, when %d are in", pass, b.From, err, in)
				}
				if in == len(batches) {
					break
				}
			}
			if err := f.Close(); err != nil {
				f.Fatalf("close: %v", err)
			}
			f.Ledger = f.another()
		}
		f.equalsModel()
	}},

	{"what one handle has applied, another one reads", func(f *fixture) {
		other := f.another()
		f.add(award(1, "anna", 5))
		if err := compare(f.ctx, other, &f.model); err != nil {
			f.Fatal(err)
		}
		b := f.batch(award(2, "anna", 5))
		if err := errors.Join(other.Apply(f.ctx, b), f.model.Apply(b)); err != nil {
			f.Fatal(err)
		}
		f.equalsModel()
	}},

	{"readers beside a writer never fail and never see half a batch", func(f *fixture) {
		f.add(award(1, "anna", 5000), award(2, "bob", 0))
		other := f.another()
		const readers, reads = 4, 400
		var busy atomic.Int64
		busy.Store(readers)
		reader := func(read func() error) func() error {
			return func() error {
				defer busy.Add(-1)
				for range reads {
					if err := read(); err != nil {
						return err
					}
				}
				return nil
			}
		}
		f.together(
			func() error {
				// Every batch moves a point from anna to bob. There are more than the readers can miss.
				for n := uint64(3); busy.Load() > 0; n += 2 {
					b := ledger.Batch{From: domain.CheckpointAt(at(n - 1)), To: domain.CheckpointAt(at(n + 1)), AsOf: moment(n + 1),
						Entries: []ledger.Entry{reversal(n, "anna", -1), award(n+1, "bob", 1)}}
					if err := f.Apply(f.ctx, b); err != nil {
						return err
					}
				}
				return nil
			},
			reader(func() error { return accountsAgree(f.ctx, f.Ledger) }),
			reader(func() error { return accountsAgree(f.ctx, other) }),
			reader(func() error { return trailAgrees(f.ctx, f.Ledger, "anna") }),
			reader(func() error { return trailAgrees(f.ctx, other, "bob") }),
		)
	}},
}

// moved is the number of points moved from anna to bob at a position of the clause above.
func moved(at domain.Position) domain.Points { return domain.Points(at.Commit-2) / 2 }

// accountsAgree checks that the accounts are of the state that they are said to be of.
func accountsAgree(ctx context.Context, l Ledger) error {
	type piece struct {
		ledger.Account
		at domain.Position
	}
	var all []piece
	state, err := l.Accounts(ctx, ledger.InTurn(func(a ledger.Account, at domain.Position) error {
		all = append(all, piece{a, at})
		return nil
	}))
	if err != nil {
		return err
	}
	for _, a := range all {
		at := a.at
		if at == (domain.Position{}) {
			at = state.Position
		}
		if want := map[domain.CustomerID]domain.Points{"anna": 5000 - moved(at), "bob": moved(at)}[a.Customer]; a.Points != want || at.Before(state.Position) {
			return fmt.Errorf("in %+v the accounts are %+v", state, all)
		}
	}
	return nil
}

// trailAgrees checks that account, entries and state of a trail are of one snapshot.
func trailAgrees(ctx context.Context, l Ledger, customer domain.CustomerID) error {
	page, err := l.Trail(ctx, customer, ledger.Filter{}, "", 5)
	if err != nil {
		return err
	}
	newest, count := page.Entries[0], 1+int64(moved(page.Position))
	if newest.Total != page.Account.Points || page.Account.Entries != count || int64(len(page.Entries)) != min(count, 5) ||
		page.AsOf != moment(page.Position.Commit) || page.Position.Commit-newest.Position.Commit > 1 {
		return fmt.Errorf("in %+v %s has %+v and %d entries, the newest %+v", page.State, customer, page.Account, len(page.Entries), newest)
	}
	return nil
}

// together runs all functions concurrently and waits for them.
func (f *fixture) together(all ...func() error) {
	f.Helper()
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i, run := range all {
		wait.Go(func() { errs[i] = run() })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		f.Fatal(err)
	}
}

// log is a history of n entries of three customers, in batches of the given size.
func log(n uint64, size int) (batches []ledger.Batch) {
	var entries []ledger.Entry
	for i := range n {
		entries = append(entries, award(i+1, []domain.CustomerID{"anna", "bob", "cleo"}[i%3], domain.Points(i%4)))
	}
	from := domain.Position{}
	for some := range slices.Chunk(entries, size) {
		to := some[len(some)-1].Position
		batches = append(batches, ledger.Batch{From: domain.CheckpointAt(from), To: domain.CheckpointAt(to), AsOf: moment(to.Commit), Entries: some})
		from = to
	}
	return batches
}
