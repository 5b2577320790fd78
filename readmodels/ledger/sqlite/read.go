package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	selectState       = `SELECT commit_position, prepare_position, as_of, origin FROM main.state`
	selectOutstanding = `SELECT outstanding FROM main.state`
	// One statement reads state and account, so that they are of one snapshot.
	selectAccount = `SELECT s.commit_position, s.prepare_position, s.as_of,
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0), coalesce(a.forgotten, 0)
		FROM main.state s LEFT JOIN main.accounts a ON a.customer = ?1`
	selectAccounts = `SELECT customer, points, reached_at, entries, forgotten FROM main.accounts WHERE reached_at IS NOT NULL OR forgotten`
)

// Checkpoint reads how far the log is applied; see ledger.Writer.
func (l *Ledger) Checkpoint(ctx context.Context) (domain.Checkpoint, error) {
	end := l.progress.BeginRead()
	at, err := readSnapshot(l.checkpoint.QueryRowContext(ctx))
	if err != nil {
		return domain.Checkpoint{}, fmt.Errorf("ledger checkpoint: %w", classify(err))
	}
	end(at.Position)
	return at.Checkpoint, nil
}

// readSnapshot reads the row of selectState.
func readSnapshot(row *sql.Row) (ledger.Snapshot, error) {
	var s stateRow
	var origin string
	if err := row.Scan(append(s.targets(), &origin)...); err != nil {
		return ledger.Snapshot{}, err
	}
	return ledger.NewSnapshot(s.state(), origin)
}

// pollInterval is how often a process with waiting readers polls the checkpoint, since the writer may be another process.
const pollInterval = 25 * time.Millisecond

// Wait blocks until the ledger reflects position; see ledger.Reader. An Apply in this process wakes it at once, an Apply in another
// within a few times pollInterval.
func (l *Ledger) Wait(ctx context.Context, position domain.Position) error {
	return l.progress.Wait(ctx, position, pollInterval, l.Checkpoint)
}

// Outstanding is the sum of all totals, negative ones included. It is stored beside the checkpoint: reading it takes the same time for
// any number of customers.
func (l *Ledger) Outstanding(ctx context.Context) (domain.Points, error) {
	var points domain.Points
	if err := l.outstanding.QueryRowContext(ctx).Scan(&points); err != nil {
		return 0, fmt.Errorf("outstanding points: %w", classify(err))
	}
	return points, nil
}

// Account reads a customer's total; see ledger.Reader.
func (l *Ledger) Account(ctx context.Context, customer domain.CustomerID) (ledger.Account, ledger.State, error) {
	var now nowRow
	if err := l.account.QueryRowContext(ctx, string(customer)).Scan(now.targets()...); err != nil {
		return ledger.Account{}, ledger.State{}, fmt.Errorf("ledger account: %w", classify(err))
	}
	return now.account(customer), now.state(), nil
}

// Accounts streams every account that ever changed or is forgotten, from one snapshot; see ledger.Reader. While it runs, the write-ahead log can't be
// checkpointed past its snapshot, and grows by what is written meanwhile.
func (l *Ledger) Accounts(ctx context.Context, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	return ledger.InPieces(yield, func(yield func(ledger.Account) error) (ledger.Snapshot, error) {
		return l.stream(ctx, yield, func(tx *sql.Tx) (*sql.Rows, error) { return tx.StmtContext(ctx, l.accounts).QueryContext(ctx) })
	})
}

// stream calls yield with the accounts that find selects, and returns their snapshot.
func (l *Ledger) stream(ctx context.Context, yield func(ledger.Account) error, find func(*sql.Tx) (*sql.Rows, error)) (ledger.Snapshot, error) {
	var customer domain.CustomerID
	var a accountRow
	return l.snapshot(ctx, "ledger accounts", find, append([]any{&customer}, a.targets()...), func() error { return yield(a.account(customer)) })
}

// snapshot scans what find selects into targets, row after row, calls each after every row, and returns what both are of.
func (l *Ledger) snapshot(ctx context.Context, what string, find func(*sql.Tx) (*sql.Rows, error), targets []any, each func() error) (ledger.Snapshot, error) {
	failed := func(err error) (ledger.Snapshot, error) {
		return ledger.Snapshot{}, fmt.Errorf("%s: %w", what, classify(err))
	}
	tx, err := l.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return failed(err)
	}
	defer tx.Rollback()
	at, err := readSnapshot(tx.StmtContext(ctx, l.checkpoint).QueryRowContext(ctx))
	if err != nil {
		return failed(err)
	}
	found, err := find(tx)
	if err != nil {
		return failed(err)
	}
	defer found.Close()
	for found.Next() {
		if err := found.Scan(targets...); err != nil {
			return failed(err)
		}
		if err := each(); err != nil {
			return ledger.Snapshot{}, err
		}
	}
	if err := found.Err(); err != nil {
		return failed(err)
	}
	return at, nil
}
