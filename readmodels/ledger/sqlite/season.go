package sqlite

import (
	"context"
	"database/sql"
	"time"

	"loyalty/readmodels/ledger"
)

// selectSeason sums the entries of a range of time by customer. With max(id), SQLite takes the bare column occurred_at from the row that
// has it. Forgotten customers are included with or without entries.
const selectSeason = `WITH changed AS (
		SELECT customer, sum(points) AS points, occurred_at, max(id) AS last FROM main.entries
		WHERE occurred_at >= ?1 AND occurred_at < ?2 AND points <> 0 GROUP BY customer
	), counted AS (
		SELECT customer, count(*) AS entries FROM main.entries WHERE occurred_at >= ?1 AND occurred_at < ?2 GROUP BY customer
	)
	SELECT c.customer, c.points, c.occurred_at, n.entries, coalesce(a.forgotten, 0)
	FROM changed c JOIN counted n USING (customer) LEFT JOIN main.accounts a USING (customer)
	UNION ALL
	SELECT a.customer, 0, NULL, 0, 1 FROM main.accounts a
	WHERE a.forgotten AND a.customer NOT IN (SELECT customer FROM changed)`

// AccountsWithin streams the accounts of a range of time, all as one snapshot; see ledger.Seasons.
func (l *Ledger) AccountsWithin(ctx context.Context, from, until time.Time, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	return ledger.InPieces(yield, func(yield func(ledger.Account) error) (ledger.Snapshot, error) {
		return l.stream(ctx, yield, func(tx *sql.Tx) (*sql.Rows, error) {
			return tx.QueryContext(ctx, l.in(selectSeason), from.UnixMicro(), until.UnixMicro())
		})
	})
}
