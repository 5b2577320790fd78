package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	selectState       = `SELECT commit_position, prepare_position, as_of FROM state`
	selectOutstanding = `SELECT outstanding FROM state`
	// State and account come in one statement, and so from one snapshot. Newest is 0 for a customer without entries.
	selectAccount = `SELECT s.commit_position, s.prepare_position, s.as_of,
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0), coalesce(a.newest, 0)
		FROM state s LEFT JOIN accounts a ON a.customer = ?`
	// selectPrevious finds where a page after the entry at a position starts.
	selectPrevious = `SELECT previous FROM entries WHERE commit_position = ? AND prepare_position = ? AND customer = ?`
	// selectTrail follows a customer's entries back from the one with the id ?1, and reads at most ?2 of them.
	selectTrail = `WITH RECURSIVE trail (id, length) AS (
			SELECT ?1, 1
			UNION ALL
			SELECT e.previous, length + 1 FROM trail CROSS JOIN entries e ON e.id = trail.id WHERE length < ?2)
		SELECT ` + entryColumns + ` FROM trail CROSS JOIN entries ON entries.id = trail.id ORDER BY trail.id DESC`
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
	account, state, _, err := scanAccount(l.account.QueryRowContext(ctx, string(customer)), customer)
	if err != nil {
		return ledger.Account{}, ledger.State{}, fmt.Errorf("ledger account: %w", classify(err))
	}
	return account, state, nil
}

// Trail reads a page of a customer's entries; see ledger.Reader. It takes no transaction: state, account and the newest
// entry's id come from one statement, and what hangs on that entry never changes, so the page is of that moment.
func (l *Ledger) Trail(ctx context.Context, customer domain.CustomerID, cursor string, limit int) (ledger.Trail, error) {
	before, err := ledger.DecodeCursor(customer, cursor)
	if err := domain.JoinInvalid(err, ledger.CheckLimit(limit)); err != nil {
		return ledger.Trail{}, err
	}
	account, state, start, err := scanAccount(l.account.QueryRowContext(ctx, string(customer)), customer)
	if err == nil && !state.Position.Before(before) {
		start, err = l.before(ctx, customer, before)
	}
	// Otherwise it is the first page, or the ledger is being folded again and has not come to the cursor yet: all it has
	// is then before it.
	var entries []ledger.Entry
	if err == nil {
		// One entry more than asked for tells whether there is another page.
		entries, err = l.entries(ctx, customer, start, limit+1)
	}
	if err != nil {
		return ledger.Trail{}, fmt.Errorf("ledger trail: %w", classify(err))
	}
	page := ledger.Trail{Account: account, Entries: entries, State: state}
	if len(entries) > limit {
		page.Entries = entries[:limit]
		page.Next = ledger.EncodeCursor(customer, entries[limit-1].Position)
	}
	return page, nil
}

// before is the id of the customer's entry before the one at a position, which is ledger.ErrCursor if there is none.
func (l *Ledger) before(ctx context.Context, customer domain.CustomerID, at domain.Position) (id int64, err error) {
	err = l.previous.QueryRowContext(ctx, int64(at.Commit), int64(at.Prepare), string(customer)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = ledger.ErrCursor
	}
	return id, err
}

func (l *Ledger) entries(ctx context.Context, customer domain.CustomerID, start int64, limit int) ([]ledger.Entry, error) {
	found, err := l.trail.QueryContext(ctx, start, limit)
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

// scanAccount reads what selectAccount selects, the id of the newest entry last.
func scanAccount(row *sql.Row, customer domain.CustomerID) (account ledger.Account, state ledger.State, newest int64, err error) {
	var asOf, reachedAt sql.Null[int64]
	account.Customer = customer
	err = row.Scan(&state.Position.Commit, &state.Position.Prepare, &asOf, &account.Points, &reachedAt, &account.Entries, &newest)
	state.AsOf, account.ReachedAt = fromMicros(asOf), fromMicros(reachedAt)
	return account, state, newest, err
}
