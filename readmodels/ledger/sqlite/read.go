package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	selectState       = `SELECT commit_position, prepare_position, as_of FROM main.state`
	selectOutstanding = `SELECT outstanding FROM main.state`
	// State and account come in one statement, and so from one snapshot.
	selectAccount = `SELECT s.commit_position, s.prepare_position, s.as_of,
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0)
		FROM main.state s LEFT JOIN main.accounts a ON a.customer = ?1`
	// So do state, account and a page. It follows the customer's entries back from the one before the position ?2, ?3, and
	// reads at most ?4 of them. start is the id of the first, 0 if there is none, and NULL if there should be an entry of the
	// customer's at that position and is not. A position beyond the ledger's is the first page, or the ledger is being folded
	// again and has not come to the cursor yet: all it has is then before it.
	selectTrail = `WITH RECURSIVE
		now AS MATERIALIZED (
			SELECT s.commit_position AS at_commit, s.prepare_position AS at_prepare, s.as_of,
				coalesce(a.points, 0) AS has, a.reached_at, coalesce(a.entries, 0) AS had,
				CASE WHEN (s.commit_position, s.prepare_position) < (?2, ?3) THEN coalesce(a.newest, 0)
					ELSE (SELECT previous FROM main.entries WHERE commit_position = ?2 AND prepare_position = ?3 AND customer = ?1)
				END AS start
			FROM main.state s LEFT JOIN main.accounts a ON a.customer = ?1),
		trail (id, length) AS (
			SELECT start, 1 FROM now
			UNION ALL
			SELECT e.previous, length + 1 FROM trail CROSS JOIN main.entries e ON e.id = trail.id WHERE length < ?4)
		SELECT now.*, ` + entryColumns + `
		FROM now CROSS JOIN trail LEFT JOIN main.entries e ON e.id = trail.id
		WHERE e.id IS NOT NULL OR length = 1 ORDER BY trail.id DESC`
	selectAccounts = `SELECT customer, points, reached_at, entries FROM main.accounts WHERE reached_at IS NOT NULL`
)

// Checkpoint reads how far the log was applied; see ledger.Writer.
func (l *Ledger) Checkpoint(ctx context.Context) (domain.Position, error) {
	var s stateRow
	if err := l.checkpoint.QueryRowContext(ctx).Scan(s.targets()...); err != nil {
		return domain.Position{}, fmt.Errorf("ledger checkpoint: %w", classify(err))
	}
	at := s.state().Position
	l.progress.Reach(at)
	return at, nil
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
	var now nowRow
	if err := l.account.QueryRowContext(ctx, string(customer)).Scan(now.targets()...); err != nil {
		return ledger.Account{}, ledger.State{}, fmt.Errorf("ledger account: %w", classify(err))
	}
	return now.account(customer), now.state(), nil
}

// Trail reads a page of a customer's entries; see ledger.Reader.
func (l *Ledger) Trail(ctx context.Context, customer domain.CustomerID, cursor string, limit int) (ledger.Trail, error) {
	before, err := ledger.DecodeCursor(customer, cursor)
	if err := domain.JoinInvalid(err, ledger.CheckLimit(limit)); err != nil {
		return ledger.Trail{}, err
	}
	// One entry more than asked for tells whether there is another page.
	page, err := l.page(ctx, customer, before, limit+1)
	if err != nil {
		return ledger.Trail{}, fmt.Errorf("ledger trail: %w", classify(err))
	}
	if len(page.Entries) > limit {
		page.Entries = page.Entries[:limit]
		page.Next = ledger.EncodeCursor(customer, page.Entries[limit-1].Position)
	}
	return page, nil
}

func (l *Ledger) page(ctx context.Context, customer domain.CustomerID, before domain.Position, limit int) (page ledger.Trail, err error) {
	found, err := l.trail.QueryContext(ctx, string(customer), int64(before.Commit), int64(before.Prepare), limit)
	if err != nil {
		return page, err
	}
	defer found.Close()
	var now nowRow
	var start sql.Null[int64]
	var e entryRow
	targets := append(append(now.targets(), &start), e.targets()...)
	for found.Next() {
		if err := found.Scan(targets...); err != nil {
			return page, err
		}
		if !start.Valid {
			return page, ledger.ErrCursor
		}
		if e.commit.Valid {
			page.Entries = append(page.Entries, e.entry(customer))
		}
	}
	page.Account, page.State = now.account(customer), now.state()
	return page, found.Err()
}

// Accounts streams every account that ever changed; see ledger.Reader. While it runs, the write-ahead log can't be folded
// into the file and grows by what is written meanwhile.
func (l *Ledger) Accounts(ctx context.Context, yield func(ledger.Account) error) (ledger.State, error) {
	tx, err := l.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(err))
	}
	defer tx.Rollback()
	var s stateRow
	if err := tx.StmtContext(ctx, l.checkpoint).QueryRowContext(ctx).Scan(s.targets()...); err != nil {
		return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(err))
	}
	found, err := tx.StmtContext(ctx, l.accounts).QueryContext(ctx)
	if err != nil {
		return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(err))
	}
	defer found.Close()
	var customer domain.CustomerID
	var a accountRow
	targets := append([]any{&customer}, a.targets()...)
	for found.Next() {
		if err := found.Scan(targets...); err != nil {
			return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(err))
		}
		if err := yield(a.account(customer)); err != nil {
			return ledger.State{}, err
		}
	}
	if err := found.Err(); err != nil {
		return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(err))
	}
	return s.state(), nil
}
