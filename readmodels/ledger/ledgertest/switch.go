package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var switchClauses = []clause{
	{"readers during switches never fail, never go back and never see two ledgers at once", func(f *fixture) {
		other := f.another()
		f.add(edition(1)...)
		const editions = 8
		var done atomic.Bool
		reader := func(l Ledger, read func(context.Context, Ledger) (domain.Position, error)) func() error {
			return func() error {
				var last domain.Position
				for !done.Load() {
					at, err := read(f.ctx, l)
					if err != nil {
						return err
					}
					if at.Before(last) {
						return fmt.Errorf("a reader was at %s and then at %s", last, at)
					}
					last = at
				}
				return nil
			}
		}
		f.together(
			func() error {
				defer done.Store(true)
				for n := uint64(2); n <= editions; n++ {
					c, err := f.Copy(f.ctx)
					if err != nil {
						return err
					}
					entries := edition(n)
					b := ledger.Batch{To: domain.CheckpointAt(entries[len(entries)-1].Position), Entries: entries}
					if err := errors.Join(c.Apply(f.ctx, b), c.Switch(f.ctx)); err != nil {
						return fmt.Errorf("edition %d: %w", n, err)
					}
				}
				return nil
			},
			reader(f.Ledger, accountsOfOneEdition), reader(other, accountsOfOneEdition),
			reader(f.Ledger, trailOfOneEdition), reader(other, trailOfOneEdition),
		)
		at, err := trailOfOneEdition(f.ctx, other)
		if err != nil || editionAt(at) != editions {
			f.Errorf("at last it is at %s, %v", at, err)
		}
	}},

	{"writers during switches lose nothing and double nothing", func(f *fixture) {
		other := f.another()
		var done atomic.Bool
		writer := func(l Ledger) func() error {
			return func() error {
				for !done.Load() {
					at, err := l.Checkpoint(f.ctx)
					if err == nil {
						err = l.Apply(f.ctx, stretch(at.Position, at.Position.Commit+3))
					}
					if err != nil && !errors.Is(err, domain.ErrCheckpointMoved) {
						return err
					}
				}
				return nil
			}
		}
		f.together(writer(f.Ledger), writer(f.Ledger), writer(other), func() error {
			defer done.Store(true)
			for n := range 5 {
				if err := rebuild(f.ctx, f.Ledger); err != nil {
					return fmt.Errorf("rebuild %d: %w", n+1, err)
				}
			}
			return nil
		})
		end, err := f.Checkpoint(f.ctx)
		if err := errors.Join(err, f.model.Apply(stretch(domain.Position{}, end.Position.Commit))); err != nil {
			f.Fatal(err)
		}
		f.equalsModel()
	}},
}

// stretch is the batch from a checkpoint to position n of an endless log with three customers by turns.
func stretch(from domain.Position, n uint64) ledger.Batch {
	b := ledger.Batch{From: domain.CheckpointAt(from), To: domain.CheckpointAt(at(n))}
	for i := from.Commit + 1; i <= n; i++ {
		b.Entries = append(b.Entries, award(i, []domain.CustomerID{"anna", "bob", "cleo"}[i%3], domain.Points(i%4)))
	}
	return b
}

// rebuild folds a copy to some positions after the ledger's, so that writers are at work during the switch, and switches as soon as the copy
// is not behind.
func rebuild(ctx context.Context, l Ledger) error {
	c, err := l.Copy(ctx)
	if err != nil {
		return err
	}
	var copied domain.Position
	for {
		live, err := l.Checkpoint(ctx)
		if err != nil {
			return err
		}
		b := stretch(copied, live.Position.Commit+9)
		if err := c.Apply(ctx, b); err != nil {
			return err
		}
		copied = b.To.Position
		if err := c.Switch(ctx); !errors.Is(err, domain.ErrNotCaughtUp) {
			return err
		}
	}
}

// edition n of a ledger has ten entries of n points for each of two customers, and ends at position 100·n.
func edition(n uint64) (entries []ledger.Entry) {
	for i := range uint64(20) {
		e := award(100*(n-1)+81+i, []domain.CustomerID{"anna", "bob"}[i%2], domain.Points(n))
		e.Reason = fmt.Sprint("edition ", n)
		entries = append(entries, e)
	}
	return entries
}

func editionAt(at domain.Position) uint64 { return at.Commit / 100 }

func accountsOfOneEdition(ctx context.Context, l Ledger) (domain.Position, error) {
	accounts, state, err := allAccounts(ctx, l)
	for errors.Is(err, domain.ErrUnavailable) && ctx.Err() == nil {
		accounts, state, err = allAccounts(ctx, l) // a switch has interrupted it
	}
	if err != nil {
		return state.Position, err
	}
	want := domain.Points(10 * editionAt(state.Position))
	if len(accounts) != 2 || accounts[0].Points != want || accounts[1].Points != want {
		return state.Position, fmt.Errorf("at %s the accounts are %+v", state.Position, accounts)
	}
	return state.Position, nil
}

func trailOfOneEdition(ctx context.Context, l Ledger) (domain.Position, error) {
	page, err := l.Trail(ctx, "anna", ledger.Filter{}, "", 20)
	if err != nil {
		return page.Position, err
	}
	n := editionAt(page.Position)
	if page.Account.Points != domain.Points(10*n) || len(page.Entries) != 10 || page.Entries[0].Total != page.Account.Points {
		return page.Position, fmt.Errorf("at %s anna has %+v and %d entries", page.Position, page.Account, len(page.Entries))
	}
	for _, e := range page.Entries {
		if e.Points != domain.Points(n) || e.Reason != fmt.Sprint("edition ", n) {
			return page.Position, fmt.Errorf("edition %d holds %+v", n, e)
		}
	}
	return page.Position, nil
}
