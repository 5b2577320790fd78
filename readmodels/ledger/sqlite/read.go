package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	selectState       = `SELECT commit_position, prepare_position, as_of FROM state`
	selectOutstanding = `SELECT outstanding FROM state`
	// State and account come in one statement, and so from one snapshot. Id 0 is a customer without entries.
	selectAccount = `SELECT s.commit_position, s.prepare_position, s.as_of,
			coalesce(a.id, 0), coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0)
		FROM state s LEFT JOIN accounts a ON a.customer = ?`
	selectTrail = `SELECT ` + entryColumns + ` FROM entries
		WHERE account = ? AND (commit_position, prepare_position) < (?, ?)
		ORDER BY commit_position DESC, prepare_position DESC LIMIT ?`
	selectAccounts = `SELECT customer, points, reached_at, entries FROM accounts WHERE reached_at IS NOT NULL`
)

// Checkpoint reads how far the log was applied; see ledger.Writer.
func (l *Ledger) Checkpoint(ctx context.Context) (domain.Position, error) {
	state, err := scanState(l.checkpoint.QueryRowContext(ctx))
	if err != nil {
		return domain.Position{}, fmt.Errorf("ledger checkpoint: %w", classify(err))
	}
	l.progress.reach(state.Position)
	return state.Position, nil
}

// Outstanding is what the programme owes: the sum of all totals, those in debt taken off. It is kept beside the
// checkpoint and costs the same however many customers there are.
func (l *Ledger) Outstanding(ctx context.Context) (domain.Points, error) {
	var points domain.Points
	if err := l.outstanding.QueryRowContext(ctx).Scan(&points); err != nil {
		return 0, fmt.Errorf("outstanding points: %w", classify(err))
	}
	return points, nil
}

// Account reads a customer's total; see ledger.Reader.
func (l *Ledger) Account(ctx context.Context, customer domain.CustomerID) (ledger.Account, ledger.State, error) {
	_, account, state, err := scanAccount(l.account.QueryRowContext(ctx, string(customer)), customer)
	if err != nil {
		return ledger.Account{}, ledger.State{}, fmt.Errorf("ledger account: %w", classify(err))
	}
	return account, state, nil
}

// Trail reads a page of a customer's entries; see ledger.Reader.
func (l *Ledger) Trail(ctx context.Context, customer domain.CustomerID, cursor string, limit int) (ledger.Trail, error) {
	before, err := ledger.DecodeCursor(customer, cursor)
	if err := domain.JoinInvalid(err, ledger.CheckLimit(limit)); err != nil {
		return ledger.Trail{}, err
	}
	tx, err := l.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return ledger.Trail{}, fmt.Errorf("ledger trail: %w", classify(err))
	}
	defer tx.Rollback()
	page := ledger.Trail{}
	id, account, state, err := scanAccount(tx.StmtContext(ctx, l.account).QueryRowContext(ctx, string(customer)), customer)
	if err == nil {
		page.Account, page.State = account, state
		// One entry more than asked for tells whether there is another page.
		page.Entries, err = l.entries(ctx, tx, id, customer, before, limit+1)
	}
	if err != nil {
		return ledger.Trail{}, fmt.Errorf("ledger trail: %w", classify(err))
	}
	if len(page.Entries) > limit {
		page.Entries = page.Entries[:limit]
		page.Next = ledger.EncodeCursor(customer, page.Entries[limit-1].Position)
	}
	return page, nil
}

func (l *Ledger) entries(ctx context.Context, tx *sql.Tx, account int64, customer domain.CustomerID, before domain.Position, limit int) ([]ledger.Entry, error) {
	found, err := tx.StmtContext(ctx, l.trail).QueryContext(ctx, account, int64(before.Commit), int64(before.Prepare), limit)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var entries []ledger.Entry
	for found.Next() {
		e := ledger.Entry{Customer: customer}
		var id uuid.UUID
		var occurredAt sql.Null[int64]
		if err := found.Scan(&e.Position.Commit, &e.Position.Prepare, &id, &e.Kind, &e.Points, &e.Total,
			&occurredAt, &e.Stream, &e.Revision, &e.Order, &e.Return,
			&e.Amount.Minor, &e.Amount.Currency, &e.Channel, &e.Actor, &e.Reason); err != nil {
			return nil, err
		}
		e.EventID, e.OccurredAt = id.String(), fromMicros(occurredAt)
		entries = append(entries, e)
	}
	return entries, found.Err()
}

// Accounts streams every account that ever changed; see ledger.Reader. While it runs, the write-ahead log can't be folded
// into the file and grows by what is written meanwhile.
func (l *Ledger) Accounts(ctx context.Context, yield func(ledger.Account) error) (ledger.State, error) {
	tx, err := l.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(err))
	}
	defer tx.Rollback()
	state, err := scanState(tx.StmtContext(ctx, l.checkpoint).QueryRowContext(ctx))
	if err != nil {
		return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(err))
	}
	found, err := tx.StmtContext(ctx, l.accounts).QueryContext(ctx)
	if err != nil {
		return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(err))
	}
	defer found.Close()
	for found.Next() {
		var a ledger.Account
		var reachedAt sql.Null[int64]
		if err := found.Scan(&a.Customer, &a.Points, &reachedAt, &a.Entries); err != nil {
			return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(err))
		}
		a.ReachedAt = fromMicros(reachedAt)
		if err := yield(a); err != nil {
			return ledger.State{}, err
		}
	}
	if err := found.Err(); err != nil {
		return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(err))
	}
	return state, nil
}

func scanState(row *sql.Row) (ledger.State, error) {
	var state ledger.State
	var asOf sql.Null[int64]
	err := row.Scan(&state.Position.Commit, &state.Position.Prepare, &asOf)
	state.AsOf = fromMicros(asOf)
	return state, err
}

func scanAccount(row *sql.Row, customer domain.CustomerID) (id int64, account ledger.Account, state ledger.State, err error) {
	var asOf, reachedAt sql.Null[int64]
	account.Customer = customer
	err = row.Scan(&state.Position.Commit, &state.Position.Prepare, &asOf, &id, &account.Points, &reachedAt, &account.Entries)
	state.AsOf, account.ReachedAt = fromMicros(asOf), fromMicros(reachedAt)
	return id, account, state, err
}
