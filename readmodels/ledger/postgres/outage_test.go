package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// stretch is number n of the batches of an endless log, of ten entries each.
func stretch(n uint64) ledger.Batch {
	return ledger.Batch{From: domain.CheckpointAt(position(10 * n)), To: domain.CheckpointAt(position(10*n + 10)), Entries: entriesFrom(10*n+1, 10, 7)}
}

// sound makes sure that the ledger holds so many batches of the log, every entry once, and that its books are balanced.
func sound(t *testing.T, l *Ledger, batches uint64) {
	t.Helper()
	var points, owed domain.Points
	for n := range batches {
		for _, e := range stretch(n).Entries {
			points += e.Points
		}
	}
	if _, err := l.Accounts(t.Context(), ledger.InTurn(func(a ledger.Account, _ domain.Position) error { owed += a.Points; return nil })); err != nil || owed != points {
		t.Errorf("the customers have %d points, %v; want %d", owed, err, points)
	}
	if got, err := l.Outstanding(t.Context()); err != nil || got != points {
		t.Errorf("outstanding are %d points, %v; want %d", got, err, points)
	}
	if at, err := l.Checkpoint(t.Context()); err != nil || at.Position != position(10*batches) {
		t.Errorf("it is at %s, %v; want %d batches", at, err, batches)
	}
	for query, want := range map[string]int64{
		`SELECT count(*) FROM ledger.entries`:                                   10 * int64(batches),
		`SELECT count(DISTINCT event_id) FROM ledger.entries`:                   10 * int64(batches),
		`SELECT sum(points) FROM ledger.entries`:                                int64(points),
		`SELECT sum(points) FROM ledger.trial_balance`:                          0,
		`SELECT sum(points) FROM ledger.postings`:                               0,
		`SELECT sum(entries) FROM ledger.accounts`:                              10 * int64(batches),
		`SELECT -points FROM ledger.trial_balance WHERE account = '#programme'`: int64(points),
		`SELECT count(*) FROM ledger.entries e JOIN ledger.accounts a USING (customer)
			WHERE e.total = a.points AND e.commit_position = (SELECT max(commit_position) FROM ledger.entries WHERE customer = a.customer)`: 7,
	} {
		var got int64
		if err := l.pool.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", query, got, err, want)
		}
	}
}

// follow applies batches of the log from wherever the ledger is until it is past the last, as a runner does.
func follow(ctx context.Context, l *Ledger, last uint64) error {
	for {
		at, err := l.Checkpoint(ctx)
		if err == nil && at.Position.Commit > 10*last {
			return nil
		}
		if err == nil {
			err = l.Apply(ctx, stretch(at.Position.Commit/10))
		}
		switch {
		case err == nil, errors.Is(err, domain.ErrCheckpointMoved):
		case errors.Is(err, domain.ErrUnavailable):
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			return err
		}
	}
}

func TestAConnectionLostAtAnyMomentOfABatchLeavesItInOnceOrNotAtAll(t *testing.T) {
	for name, moment := range map[string]struct {
		cut
		first, in bool
	}{
		"before the transaction":         {cut: cut{text: "BEGIN"}},
		"when the transaction has begun": {cut: cut{text: "BEGIN", answered: true}},
		// The statement's text is sent when it is prepared, before a connection's first batch.
		"before the accounts are changed": {cut: cut{text: "ledger.accounts"}, first: true},
		"before the entries go in":        {cut: cut{text: "COPY ledger.entries"}},
		"before the commit":               {cut: cut{text: "commit\x00"}},
		"after the commit":                {cut: cut{text: "commit\x00", answered: true}, in: true},
	} {
		t.Run(name, func(t *testing.T) {
			// Given a ledger behind a connection that will be cut
			p, address := proxied(t, postgrestest.Shared(t).URL())
			l := opened(t, address)
			if !moment.first {
				if err := l.Apply(t.Context(), stretch(0)); err != nil {
					t.Fatal(err)
				}
			}
			p.cutNext(moment.cut)
			before, err := l.Checkpoint(t.Context())
			if err != nil {
				t.Fatal(err)
			}

			// When a batch is applied
			n := before.Position.Commit / 10
			err = l.Apply(t.Context(), stretch(n))

			// Then the writer learns that it can't know, the checkpoint knows, and whoever goes by that does it once
			if !errors.Is(err, domain.ErrUnavailable) || p.waiting() {
				t.Fatalf("got %v; the cut is still to come: %t", err, p.waiting())
			}
			at, err := l.Checkpoint(t.Context())
			if err != nil || (at != before) != moment.in {
				t.Fatalf("from %s the checkpoint has come to %s, %v; want the batch in: %t", before, at, err, moment.in)
			}
			if err := follow(t.Context(), l, n+3); err != nil {
				t.Fatal(err)
			}
			sound(t, l, n+4)
		})
	}
}

func TestAReadWhoseConnectionIsCutIsTriedAgain(t *testing.T) {
	p, address := proxied(t, postgrestest.Shared(t).URL())
	l := opened(t, address)
	if err := l.Apply(t.Context(), stretch(0)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p.CutAll()
		if _, err := l.Trail(t.Context(), customerNumber(1), ledger.Filter{}, "", 5); err != nil {
			t.Errorf("a trail: %v", err)
		}
		p.CutAll()
		if _, _, err := l.Account(t.Context(), customerNumber(1)); err != nil {
			t.Errorf("an account: %v", err)
		}
	}
}

func TestAServerThatIsDownIsUnavailableUntilItIsBack(t *testing.T) {
	server := postgrestest.Start(t)
	address := server.URL()
	l := opened(t, address)
	if err := l.Apply(t.Context(), stretch(0)); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	for name, call := range map[string]func() error{
		"Account": func() error { _, _, err := l.Account(t.Context(), "anna"); return err },
		"Trail":   func() error { _, err := l.Trail(t.Context(), "anna", ledger.Filter{}, "", 1); return err },
		"Wait":    func() error { return l.Wait(t.Context(), position(1000)) },
		"Accounts": func() error {
			_, err := l.Accounts(t.Context(), ledger.InTurn(func(ledger.Account, domain.Position) error { return nil }))
			return err
		},
		"Checkpoint": func() error { _, err := l.Checkpoint(t.Context()); return err },
		"Apply":      func() error { return l.Apply(t.Context(), stretch(1)) },
		"Copy":       func() error { _, err := l.Copy(t.Context()); return err },
		"Migrate":    func() error { return l.Migrate(t.Context(), nil) },
	} {
		if err := call(); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s gives %v", name, err)
		}
	}
	server.Start()
	if err := follow(t.Context(), l, 3); err != nil {
		t.Fatal(err)
	}
	sound(t, l, 4)
}

func TestAServerRestartedUnderLoadLosesAndDoublesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server := postgrestest.Start(t)
	address := server.URL()
	l, other := opened(t, address), opened(t, address)

	// Given two runners, and readers, on one ledger
	const restarts, between = 4, 60
	const last = (restarts+1)*between - 1
	var writers, readers sync.WaitGroup
	var reads, outages atomic.Int64
	errs := make(chan error, 4)
	for _, one := range []*Ledger{l, other} {
		writers.Go(func() {
			if err := follow(ctx, one, last); err != nil {
				errs <- fmt.Errorf("a runner: %w", err)
			}
		})
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	for _, one := range []*Ledger{l, other} {
		readers.Go(func() {
			var seen domain.Position
			for reading.Err() == nil {
				page, err := one.Trail(reading, customerNumber(3), ledger.Filter{}, "", 5)
				switch {
				case err == nil && page.Position.Before(seen):
					errs <- fmt.Errorf("a reader was at %s and then at %s", seen, page.Position)
					return
				case err == nil:
					seen = page.Position
					reads.Add(1)
				case errors.Is(err, domain.ErrUnavailable):
					outages.Add(1)
				case reading.Err() == nil:
					errs <- fmt.Errorf("a reader: %w", err)
					return
				}
			}
		})
	}

	// When the server falls over again and again
	for n := range uint64(restarts) {
		for {
			err := l.Wait(ctx, position(10*between*(n+1)))
			if err == nil {
				break
			}
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		server.Restart()
	}
	writers.Wait()
	stop()
	readers.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}

	// Then everything is in, once, though there were outages
	at, err := l.Checkpoint(t.Context())
	if err != nil || at.Position.Commit < 10*(last+1) {
		t.Fatalf("it is at %s, %v", at, err)
	}
	sound(t, l, at.Position.Commit/10)
	t.Logf("%d reads, %d of them refused while the server was down", reads.Load()+outages.Load(), outages.Load())
}
