package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Every read is one statement, and so of one moment: a snapshot, and one ledger even while another is switched to.
const (
	selectState       = `SELECT commit_position, prepare_position, as_of FROM ledger.state WHERE id = 1`
	selectOutstanding = `SELECT outstanding FROM ledger.state WHERE id = 1`
	selectAccount     = `SELECT s.commit_position, s.prepare_position, s.as_of,
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0), coalesce(a.forgotten, false)
		FROM ledger.state s LEFT JOIN ledger.accounts a ON a.customer = $1 WHERE s.id = 1`
	selectAccounts = `SELECT s.commit_position, s.prepare_position, s.as_of, a.customer, a.points, a.reached_at, a.entries, a.forgotten
		FROM ledger.state s LEFT JOIN ledger.accounts a ON a.reached_at IS NOT NULL OR a.forgotten WHERE s.id = 1`
)

// Checkpoint reads how far the log was applied; see ledger.Writer.
func (l *Ledger) Checkpoint(ctx context.Context) (domain.Position, error) {
	state, err := ask(ctx, l, func(ctx context.Context) (ledger.State, error) {
		var s stateRow
		err := l.pool.QueryRow(ctx, l.in(selectState)).Scan(s.targets()...)
		return s.state(), err
	})
	if err != nil {
		return domain.Position{}, fmt.Errorf("ledger checkpoint: %w", err)
	}
	l.progress.Reach(state.Position)
	return state.Position, nil
}

// Outstanding is what the programme owes: the sum of all totals, those in debt taken off. It is kept beside the checkpoint
// and costs the same however many customers there are.
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

// Accounts streams every account that ever changed or is forgotten; see ledger.Reader. While it runs, Postgres keeps what was
// replaced since it began, so the tables grow by what is written meanwhile, and use that room again afterwards.
func (l *Ledger) Accounts(ctx context.Context, yield func(ledger.Account) error) (ledger.State, error) {
	return l.stream(ctx, selectAccounts, yield)
}

// stream hands the accounts that a statement selects, beside the state, to yield.
func (l *Ledger) stream(ctx context.Context, statement string, yield func(ledger.Account) error, values ...any) (ledger.State, error) {
	var a accountRow
	var customer pgtype.Text
	return l.snapshot(ctx, "ledger accounts", statement, values, append([]any{&customer}, a.targets()...), func() error {
		if !customer.Valid {
			return nil
		}
		return yield(a.account(domain.CustomerID(customer.String)))
	})
}

// snapshot scans row after row of what a statement selects beside the state, and calls each after every one.
func (l *Ledger) snapshot(ctx context.Context, what, statement string, values, targets []any, each func() error) (ledger.State, error) {
	// Ending the query's context is what stops the server from sending the rest.
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
