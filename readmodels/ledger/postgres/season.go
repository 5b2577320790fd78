package postgres

import (
	"context"
	"time"

	"loyalty/readmodels/ledger"
)

// selectSeason sums the entries of a range of time by customer. It reads the partitions of these months alone. The greatest array is
// of the last entry, and its third element is the time. Forgotten customers are included with or without entries.
const selectSeason = `SELECT s.commit_position, s.prepare_position, s.as_of, s.origin, a.customer, coalesce(a.points, 0),
		to_timestamp(0) + a.last[3] * interval '1 microsecond', coalesce(a.entries, 0), coalesce(a.forgotten, false)
	FROM ledger.state s LEFT JOIN (
		SELECT coalesce(e.customer, f.customer) AS customer, e.points, e.last, e.entries, f.customer IS NOT NULL AS forgotten
		FROM (
			SELECT customer, sum(points) AS points, count(*) AS entries, max(ARRAY[commit_position, prepare_position,
				(extract(epoch FROM occurred_at) * 1000000)::bigint]) FILTER (WHERE points <> 0) AS last
			FROM ledger.entries WHERE occurred_at >= $1 AND occurred_at < $2 GROUP BY customer
			HAVING bool_or(points <> 0)
		) e FULL JOIN (SELECT customer FROM ledger.accounts WHERE forgotten) f ON f.customer = e.customer
	) a ON true WHERE s.id = 1`

// AccountsWithin streams the accounts of a range of time; see ledger.Seasons.
func (l *Ledger) AccountsWithin(ctx context.Context, from, until time.Time, yield func(ledger.Account) error) (ledger.Snapshot, error) {
	return l.stream(ctx, selectSeason, yield, from.Truncate(time.Microsecond), until.Truncate(time.Microsecond))
}
