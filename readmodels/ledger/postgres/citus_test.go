package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/ledgertest"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// The contract on a coordinator of Citus with its workers, where there is one.
func TestLedgerOnCitus(t *testing.T) {
	citus := postgrestest.OnCitus(t)
	ledgertest.Run(t, func(*testing.T) func(context.Context) (ledgertest.Ledger, error) { return placeAt(citus.URL()) })
}

// Given a ledger over several workers, and a writer who gives each of many customers one point with every batch
// When trails, and all accounts, are read beside it
// Then an account has as many points as there are batches at its position, and as its trail says
func TestNoReadOfCitusIsTorn(t *testing.T) {
	l := opened(t, postgrestest.OnCitus(t).URL())
	const customers, trails, streams = 200, 10_000, 40
	round := func(n uint64) ledger.Batch {
		b := ledger.Batch{From: domain.CheckpointAt(position(n * customers)), To: domain.CheckpointAt(position((n + 1) * customers)), Entries: entriesFrom(n*customers+1, customers, customers)}
		for i := range b.Entries {
			b.Entries[i].Customer, b.Entries[i].Points = customerNumber(i), 1
		}
		return b
	}
	if err := l.Apply(t.Context(), round(0)); err != nil {
		t.Fatal(err)
	}
	rounds := func(at domain.Position) domain.Points { return domain.Points(at.Commit / customers) }
	var read, torn atomic.Int64
	var done atomic.Bool
	var readers sync.WaitGroup
	for seed := range uint64(4) {
		readers.Go(func() {
			choose := rand.New(rand.NewPCG(seed, 1))
			for read.Add(1) <= trails && t.Context().Err() == nil {
				page, err := l.Trail(t.Context(), customerNumber(choose.IntN(customers)), ledger.Filter{}, "", 3)
				if err != nil {
					t.Error(err)
					return
				}
				if want := rounds(page.Position); page.Account.Points != want || page.Entries[0].Total != want {
					torn.Add(1)
					t.Logf("at %s there are %+v and %+v", page.Position, page.Account, page.Entries[0])
				}
			}
		})
	}
	readers.Go(func() {
		for range streams {
			var all []ledger.Piece
			start, err := l.Accounts(t.Context(), ledger.InTurn(func(a ledger.Account, at domain.Position) error {
				all = append(all, ledger.Piece{At: at, Accounts: []ledger.Account{a}})
				return nil
			}))
			if err != nil || len(all) != customers {
				t.Errorf("%d accounts, %v", len(all), err)
				return
			}
			for _, p := range all {
				at := p.At
				if at == (domain.Position{}) {
					at = start.Position
				}
				if p.Accounts[0].Points != rounds(at) {
					torn.Add(1)
					t.Logf("at %s there is %+v", at, p.Accounts[0])
				}
			}
		}
	})
	stopped := make(chan error, 1)
	go func() {
		var err error
		n := uint64(1)
		for ; !done.Load() && err == nil; n++ {
			err = l.Apply(t.Context(), round(n))
		}
		stopped <- errors.Join(err, func() error {
			if n < 10 {
				return fmt.Errorf("only %d batches were written", n)
			}
			return nil
		}())
	}()
	readers.Wait()
	done.Store(true)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if torn.Load() > 0 {
		t.Errorf("%d reads were torn", torn.Load())
	}
}
