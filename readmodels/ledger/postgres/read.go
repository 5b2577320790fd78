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
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0)
		FROM ledger.state s LEFT JOIN ledger.accounts a ON a.customer = $1 WHERE s.id = 1`
	// State and account come with every entry of the page, or alone if it is empty. The two parts of the position are
	// compared and ordered as the key has them.
	selectTrail = `SELECT s.commit_position, s.prepare_position, s.as_of,
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0),
			e.commit_position, e.prepare_position, e.event_id, e.kind, e.points, e.total, e.occurred_at, e.stream, e.revision,
			e.order_id, e.return_id, e.amount_minor, e.currency, e.channel, e.actor, e.reason
		FROM ledger.state s LEFT JOIN ledger.accounts a ON a.customer = $1
		LEFT JOIN (SELECT * FROM ledger.entries
			WHERE customer = $1 AND (commit_position, prepare_position) < ($2, $3)
			ORDER BY commit_position DESC, prepare_position DESC LIMIT $4) e ON true
		WHERE s.id = 1
		ORDER BY e.commit_position DESC, e.prepare_position DESC`
	selectAccounts = `SELECT s.commit_position, s.prepare_position, s.as_of, a.customer, a.points, a.reached_at, a.entries
		FROM ledger.state s LEFT JOIN ledger.accounts a ON a.reached_at IS NOT NULL WHERE s.id = 1`
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

// Trail reads a page of a customer's entries; see ledger.Reader.
func (l *Ledger) Trail(ctx context.Context, customer domain.CustomerID, cursor string, limit int) (ledger.Trail, error) {
	before, err := ledger.DecodeCursor(customer, cursor)
	if err := domain.JoinInvalid(err, ledger.CheckLimit(limit)); err != nil {
		return ledger.Trail{}, err
	}
	page, err := ask(ctx, l, func(ctx context.Context) (ledger.Trail, error) {
		// One entry more than asked for tells whether there is another page.
		return l.page(ctx, customer, before, limit+1)
	})
	if err != nil {
		return ledger.Trail{}, fmt.Errorf("ledger trail: %w", err)
	}
	if len(page.Entries) > limit {
		page.Entries = page.Entries[:limit]
		page.Next = ledger.EncodeCursor(customer, page.Entries[limit-1].Position)
	}
	return page, nil
}

func (l *Ledger) page(ctx context.Context, customer domain.CustomerID, before domain.Position, limit int) (page ledger.Trail, err error) {
	found, err := l.pool.Query(ctx, l.in(selectTrail), string(customer), int64(before.Commit), int64(before.Prepare), limit)
	if err != nil {
		return page, err
	}
	var s stateRow
	var a accountRow
	var e entryRow
	targets := append(append(s.targets(), a.targets()...), e.targets()...)
	_, err = pgx.ForEachRow(found, targets, func() error {
		page.State, page.Account = s.state(), a.account(customer)
		if e.commit.Valid {
			page.Entries = append(page.Entries, e.entry(customer))
		}
		return nil
	})
	return page, err
}

// Accounts streams every account that ever changed; see ledger.Reader. While it runs, Postgres keeps what was replaced since
// it began, so the tables grow by what is written meanwhile, and use that room again afterwards.
func (l *Ledger) Accounts(ctx context.Context, yield func(ledger.Account) error) (state ledger.State, err error) {
	// Ending the query's context is what stops the server from sending the rest.
	query, cancel := context.WithCancel(ctx)
	defer cancel()
	found, err := l.pool.Query(query, l.in(selectAccounts))
	if err != nil {
		return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(ctx, err))
	}
	var s stateRow
	var a accountRow
	var customer pgtype.Text
	var stopped error
	_, err = pgx.ForEachRow(found, append(append(s.targets(), &customer), a.targets()...), func() error {
		if state = s.state(); customer.Valid {
			if stopped = yield(a.account(domain.CustomerID(customer.String))); stopped != nil {
				cancel()
			}
		}
		return stopped
	})
	switch {
	case stopped != nil:
		return ledger.State{}, stopped
	case err != nil:
		return ledger.State{}, fmt.Errorf("ledger accounts: %w", classify(ctx, err))
	}
	return state, nil
}
