package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// accountsPerPiece is the most accounts in a piece. One takes some ten milliseconds.
const accountsPerPiece = 10_000

// selectPiece selects the next $2 accounts after $1 as they are now, with the position of the ledger now and which table they are from. Of an
// account that has changed after the position $3, $4 it also selects what its entries up to there and after add up to, and whether it was
// forgotten since. Other accounts' entries are not looked at. The greatest array is of the last entry that changed the total, and its third
// element is the time.
const selectPiece = `SELECT s.commit_position, s.prepare_position, s.tableoid::bigint, a.customer, a.points, a.reached_at, a.entries, a.forgotten,
		coalesce(e.later, 0), coalesce(e.more, 0), coalesce(e.earlier, 0), to_timestamp(0) + e.last[3] * interval '1 microsecond', coalesce(f.since, false)
	FROM ` + latestState + ` s
	LEFT JOIN (SELECT * FROM ledger.accounts WHERE customer > $1 ORDER BY customer LIMIT $2) a ON true
	LEFT JOIN LATERAL (
		SELECT sum(points) FILTER (WHERE after) AS later, count(*) FILTER (WHERE after) AS more, count(*) FILTER (WHERE NOT after) AS earlier,
			max(ARRAY[commit_position, prepare_position, (extract(epoch FROM occurred_at) * 1000000)::bigint])
				FILTER (WHERE NOT after AND points <> 0) AS last
		FROM (SELECT *, (commit_position, prepare_position) > ($3, $4) AS after FROM ledger.entries WHERE customer = a.customer) of_customer
		WHERE (a.commit_position, a.prepare_position) > ($3, $4)) e ON true
	LEFT JOIN LATERAL (
		SELECT NOT bool_or((commit_position, prepare_position) <= ($3, $4)) AS since FROM ledger.acts
		WHERE customer = a.customer AND kind = 'forgotten' AND a.forgotten AND (a.commit_position, a.prepare_position) > ($3, $4)) f ON true
	ORDER BY a.customer`

// Accounts streams every account that ever changed or is forgotten; see ledger.Reader. It reads them in pieces, each a statement of its own, and
// nothing is held between two pieces. An account that has changed since the first piece is taken back to what it was by its entries, which
// never change. If an entry that is needed for that is in a partition that was detached, ReachedAt is that of a later entry.
//
// It is domain.ErrUnavailable if another ledger takes the place of this one meanwhile, or the ledger goes back, as at a failover to a
// standby that is behind.
func (l *Ledger) Accounts(ctx context.Context, yield func(ledger.Account) error) (ledger.Snapshot, error) {
	at, table, err := l.now(ctx)
	for after := domain.CustomerID(""); err == nil; {
		var p piece
		p, err = ask(ctx, l, func(ctx context.Context, q querier) (piece, error) { return l.piece(ctx, q, at.Position, after) })
		switch {
		case err != nil:
		case p.position.Before(at.Position) || p.table != table:
			err = fmt.Errorf("%w: the ledger was replaced or went back while it was read", domain.ErrUnavailable)
		}
		for i := 0; err == nil && i < len(p.listed); i++ {
			if err := yield(p.listed[i]); err != nil {
				return ledger.Snapshot{}, err
			}
		}
		if err == nil && p.accounts < l.perPiece {
			return at, nil
		}
		after = p.last
	}
	return ledger.Snapshot{}, fmt.Errorf("ledger accounts: %w", err)
}

// piece is a number of accounts, the last of them last, of which some are listed. position is where the ledger was, and table identifies it.
type piece struct {
	position domain.Position
	table    int64
	accounts int
	last     domain.CustomerID
	listed   []ledger.Account
}

// piece reads the accounts after a customer as they were at a position.
func (l *Ledger) piece(ctx context.Context, q querier, at domain.Position, after domain.CustomerID) (p piece, err error) {
	found, err := q.Query(ctx, l.in(selectPiece), string(after), l.perPiece, int64(at.Commit), int64(at.Prepare))
	if err != nil {
		return p, err
	}
	var commit, prepare, later, more, earlier int64
	var a accountRow
	var customer pgtype.Text
	var reached pgtype.Timestamptz
	var forgottenSince bool
	targets := append(append([]any{&commit, &prepare, &p.table, &customer}, a.targets()...), &later, &more, &earlier, &reached, &forgottenSince)
	err = eachRow(found, targets, func() error {
		p.position = domain.Position{Commit: uint64(commit), Prepare: uint64(prepare)}
		if !customer.Valid {
			return nil
		}
		p.accounts, p.last = p.accounts+1, domain.CustomerID(customer.String)
		account := a.account(p.last)
		if more > 0 {
			account.Points, account.Entries = account.Points-domain.Points(later), account.Entries-more
			if reached.Valid || earlier == account.Entries {
				account.ReachedAt = reached.Time.UTC()
			}
		}
		account.Forgotten = account.Forgotten && !forgottenSince
		if !account.ReachedAt.IsZero() || account.Forgotten {
			p.listed = append(p.listed, account)
		}
		return nil
	})
	return p, err
}

// selectSeason sums the entries of a range of time by customer. It reads the partitions of these months alone. The greatest array is
// of the last entry, and its third element is the time. Forgotten customers are included with or without entries.
const selectSeason = `SELECT s.commit_position, s.prepare_position, s.as_of, s.origin, a.customer, coalesce(a.points, 0),
		to_timestamp(0) + a.last[3] * interval '1 microsecond', coalesce(a.entries, 0), coalesce(a.forgotten, false)
	FROM ` + latestState + ` s LEFT JOIN (
		SELECT coalesce(e.customer, f.customer) AS customer, e.points, e.last, e.entries, f.customer IS NOT NULL AS forgotten
		FROM (
			SELECT customer, sum(points) AS points, count(*) AS entries, max(ARRAY[commit_position, prepare_position,
				(extract(epoch FROM occurred_at) * 1000000)::bigint]) FILTER (WHERE points <> 0) AS last
			FROM ledger.entries WHERE occurred_at >= $1 AND occurred_at < $2 GROUP BY customer
			HAVING bool_or(points <> 0)
		) e FULL JOIN (SELECT customer FROM ledger.accounts WHERE forgotten) f ON f.customer = e.customer
	) a ON true`

// AccountsWithin streams the accounts of a range of time; see ledger.Seasons. It is one statement, since the entries of a time lie together and
// those of a customer do not. While it runs, vacuum can't remove row versions that are newer than its snapshot.
func (l *Ledger) AccountsWithin(ctx context.Context, from, until time.Time, yield func(ledger.Account) error) (ledger.Snapshot, error) {
	var a accountRow
	var origin string
	var customer pgtype.Text
	state, err := l.stream(ctx, "ledger accounts", selectSeason, []any{from.Truncate(time.Microsecond), until.Truncate(time.Microsecond)},
		append([]any{&origin, &customer}, a.targets()...), func() error {
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
