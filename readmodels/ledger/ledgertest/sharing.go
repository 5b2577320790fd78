package ledgertest

import (
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
				// Refused means that somebody was here before; the next batch is then this runner's to try.
				if !errors.Is(err, domain.ErrCheckpointMoved) {
					return err
				}
				if err := l.Wait(f.ctx, b.To); err != nil {
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
		// Every batch moves a point from one of two customers to the other, so that their sum never changes.
		f.add(award(1, "anna", 500), award(2, "bob", 500))
		var batches []ledger.Batch
		for n := uint64(3); n < 203; n += 2 {
			batches = append(batches, ledger.Batch{From: at(n - 1), To: at(n + 1), AsOf: moment(n + 1),
				Entries: []ledger.Entry{reversal(n, "anna", -1), award(n+1, "bob", 1)}})
		}
		done := make(chan struct{})
		until := func(read func() error) func() error {
			return func() error {
				for {
					select {
					case <-done:
						return read()
					default:
						if err := read(); err != nil {
							return err
						}
					}
				}
			}
		}
		other := f.another()
		f.together(
			func() error {
				defer close(done)
				for _, b := range batches {
					if err := errors.Join(f.Apply(f.ctx, b), f.model.Apply(b)); err != nil {
						return err
					}
				}
				return nil
			},
			until(func() error { return sumIs(f, f.Ledger, 1000) }),
			until(func() error { return sumIs(f, other, 1000) }),
			until(func() error { return trailAgrees(f, f.Ledger, "anna") }),
			until(func() error { return trailAgrees(f, other, "bob") }),
		)
		f.equalsModel()
	}},
}

// sumIs checks that a stream of accounts adds up.
func sumIs(f *fixture, l Ledger, want domain.Points) error {
	var sum domain.Points
	accounts, state, err := allAccounts(f.ctx, l)
	for _, a := range accounts {
		sum += a.Points
	}
	if err == nil && sum != want {
		err = fmt.Errorf("at %s the accounts hold %d points, want %d", state.Position, sum, want)
	}
	return err
}

// trailAgrees checks that the account, entries and state of a trail are of one moment.
func trailAgrees(f *fixture, l Ledger, customer domain.CustomerID) error {
	page, err := l.Trail(f.ctx, customer, "", ledger.MaxPage)
	if err != nil {
		return err
	}
	newest := page.Entries[0]
	if newest.Total != page.Account.Points || int64(len(page.Entries)) != page.Account.Entries ||
		page.State.Position.Before(newest.Position) || page.State.AsOf != moment(page.State.Position.Commit) {
		return fmt.Errorf("in %+v %s has %+v and %d entries, the newest %+v", page.State, customer, page.Account, len(page.Entries), newest)
	}
	return nil
}

// together runs all at once and waits for them.
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

// log is a history of n entries of three customers, cut into batches of size.
func log(n uint64, size int) (batches []ledger.Batch) {
	var entries []ledger.Entry
	for i := range n {
		entries = append(entries, award(i+1, []domain.CustomerID{"anna", "bob", "cleo"}[i%3], domain.Points(i%4)))
	}
	from := domain.Position{}
	for some := range slices.Chunk(entries, size) {
		to := some[len(some)-1].Position
		batches = append(batches, ledger.Batch{From: from, To: to, AsOf: moment(to.Commit), Entries: some})
		from = to
	}
	return batches
}
