package postgres

import (
	"fmt"
	"sync"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// Given somebody who feeds a ledger without a pause
// When all accounts are read again and again, in ranges at once
// Then each reads what was at its position, and nobody is missing, or there twice.
func TestAccountsInRangesAtOnce(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	l, writer := opened(t, address), opened(t, address)
	l.perPiece, l.sampled = 7, 100
	const people, reads = 300, 30
	// Each batch gives one point to everybody but every tenth, so that a total tells the position.
	batch := func(n int) ledger.Batch {
		from, to := uint64(n*people), uint64((n+1)*people)
		b := ledger.Batch{From: domain.CheckpointAt(position(from)), To: domain.CheckpointAt(position(to))}
		for i, e := range entriesFrom(from+1, people, 1) {
			if n == 0 || i%10 > 0 {
				e.Customer, e.Points = customerNumber(i), 1
				b.Entries = append(b.Entries, e)
			}
		}
		return b
	}
	if err := writer.Apply(t.Context(), batch(0)); err != nil {
		t.Fatal(err)
	}
	var feeding sync.WaitGroup
	defer feeding.Wait()
	done := make(chan struct{})
	defer close(done)
	feeding.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			default:
				if err := writer.Apply(t.Context(), batch(n)); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	moved := 0
	for range reads {
		got := map[domain.CustomerID]int{}
		type read struct {
			ledger.Account
			at domain.Position
		}
		var all []read
		start, err := l.Accounts(t.Context(), ledger.InTurn(func(a ledger.Account, at domain.Position) error {
			got[a.Customer]++
			all = append(all, read{a, at})
			return nil
		}))
		if err != nil || len(got) != people || len(all) != people {
			t.Fatalf("%d accounts of %d customers, %v", len(all), len(got), err)
		}
		for _, a := range all {
			at := a.at
			if at == (domain.Position{}) {
				at = start.Position
			} else if moved++; !start.Position.Before(at) {
				t.Fatalf("%+v was read at %s, not after %s", a, at, start.Position)
			}
			if want := domain.Points(at.Commit / people); a.Points != want && a.Points != 1 {
				t.Fatalf("%+v was read at %s; want %d points", a, at, want)
			}
		}
	}
	if moved < reads*people/10 {
		t.Errorf("only %d accounts had moved, which tests little", moved)
	}
	if some, err := ask(t.Context(), l, l.sample); err != nil || len(some) != (people-1)/7 {
		t.Errorf("the bounds are %s, %v", fmt.Sprint(some), err)
	}
}
