package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Every read is one statement. So it is one snapshot, of one ledger even during a switch.
const (
	selectState       = `SELECT commit_position, prepare_position, as_of, origin FROM ledger.state WHERE id = 1`
	selectOutstanding = `SELECT outstanding FROM ledger.state WHERE id = 1`
	selectAccount     = `SELECT s.commit_position, s.prepare_position, s.as_of,
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0), coalesce(a.forgotten, false)
		FROM ledger.state s LEFT JOIN ledger.accounts a ON a.customer = $1 WHERE s.id = 1`
	selectAccounts = `SELECT s.commit_position, s.prepare_position, s.as_of, s.origin, a.customer, a.points, a.reached_at, a.entries, a.forgotten
		FROM ledger.state s LEFT JOIN ledger.accounts a ON a.reached_at IS NOT NULL OR a.forgotten WHERE s.id = 1`
)

// Checkpoint reads how far the log is applied; see ledger.Writer.
func (l *Ledger) Checkpoint(ctx context.Context) (domain.Checkpoint, error) {
	end := l.progress.BeginRead()
	at, err := ask(ctx, l, func(ctx context.Context) (ledger.Snapshot, error) {
		var s stateRow
		var origin string
		if err := l.pool.QueryRow(ctx, l.in(selectState)).Scan(append(s.targets(), &origin)...); err != nil {
			return ledger.Snapshot{}, err
		}
		return ledger.NewSnapshot(s.state(), origin)
	})
	if err != nil {
		return domain.Checkpoint{}, fmt.Errorf("ledger checkpoint: %w", err)
	}
	end(at.Position)
	return at.Checkpoint, nil
}

// pollInterval is how often a process with waiting readers polls the checkpoint, since the writer may be another process. LISTEN and
// NOTIFY would be some milliseconds faster, but take a connection of their own, which poolers and distributed engines don't offer.
const pollInterval = 10 * time.Millisecond

// Wait blocks until the ledger reflects position; see ledger.Reader. An Apply in this process wakes it at once, an Apply in another
// within a few times pollInterval.
func (l *Ledger) Wait(ctx context.Context, position domain.Position) error {
	return l.progress.Wait(ctx, position, pollInterval, l.Checkpoint)
}

// Outstanding is the sum of all totals, negative ones included. It is stored beside the checkpoint: reading it takes the same time for
// any number of customers.
func (l *Ledger) Outstanding(ctx context.Context) (domain.Points, error) {
	points, err := ask(ctx, l, func(ctx context.Context) (points domain.Points, err error) {
		err = l.pool.QueryRow(ctx, l.in(selectOutstanding)).Scan(&points)
		return points, err
	})
	if err != nil {
		return 0, fmt.Errorf("outstanding points: %w", err)
	}
	return points, nil
}

// Account reads a customer's total; see ledger.Reader.
func (l *Ledger) Account(ctx context.Context, customer domain.CustomerID) (ledger.Account, ledger.State, error) {
	page, err := ask(ctx, l, func(ctx context.Context) (ledger.Trail, error) {
		var s stateRow
		var a accountRow
		err := l.pool.QueryRow(ctx, l.in(selectAccount), string(customer)).Scan(append(s.targets(), a.targets()...)...)
		return ledger.Trail{Account: a.account(customer), State: s.state()}, err
	})
	if err != nil {
		return ledger.Account{}, ledger.State{}, fmt.Errorf("ledger account: %w", err)
	}
	return page.Account, page.State, nil
}

// Accounts streams every account that ever changed or is forgotten; see ledger.Reader. While it runs, vacuum can't reclaim row versions
// that are newer than its snapshot, so that the tables grow by what is written meanwhile; the space is used again afterwards.
func (l *Ledger) Accounts(ctx context.Context, yield func(ledger.Account) error) (ledger.Snapshot, error) {
	return l.stream(ctx, selectAccounts, yield)
}

// stream calls yield with the accounts that a statement selects beside the state.
func (l *Ledger) stream(ctx context.Context, statement string, yield func(ledger.Account) error, values ...any) (ledger.Snapshot, error) {
	var a accountRow
	var origin string
	var customer pgtype.Text
	state, err := l.snapshot(ctx, "ledger accounts", statement, values, append([]any{&origin, &customer}, a.targets()...), func() error {
		if !customer.Valid {
			return nil
		}
		return yield(a.account(domain.CustomerID(customer.String)))
	})
	if err != nil {
		return ledger.Snapshot{}, err
	}
	return ledger.NewSnapshot(state, origin)
}

// snapshot scans what a statement selects beside the state into targets, row after row, and calls each after every row.
func (l *Ledger) snapshot(ctx context.Context, what, statement string, values, targets []any, each func() error) (ledger.State, error) {
	// Ending the query's context stops the server from sending the rest.
	query, cancel := context.WithCancel(ctx)
	defer cancel()
	found, err := l.pool.Query(query, l.in(statement), values...)
	if err != nil {
		return ledger.State{}, fmt.Errorf("%s: %w", what, classify(ctx, err))
	}
	var s stateRow
	var stopped error
	_, err = pgx.ForEachRow(found, append(s.targets(), targets...), func() error {
		if stopped = each(); stopped != nil {
			cancel()
		}
		return stopped
	})
	switch {
	case stopped != nil:
		return ledger.State{}, stopped
	case err != nil:
		return ledger.State{}, fmt.Errorf("%s: %w", what, classify(ctx, err))
	}
	return s.state(), nil
}
