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
	addEarning = `INSERT INTO main.earnings (` + earningColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
		ON CONFLICT (at, channel) DO UPDATE SET
			awards = awards + excluded.awards, reversals = reversals + excluded.reversals, adjustments = adjustments + excluded.adjustments,
			awarded = awarded + excluded.awarded, reversed = reversed + excluded.reversed, adjusted = adjusted + excluded.adjusted`

	earningColumns = `at, channel, awards, reversals, adjustments, awarded, reversed, adjusted`

	// Every row has the state and the edges, the first and the last hour; an empty answer is one row with these alone. Rows are sums of
	// the hours from ?1 (inclusive) until ?2 (exclusive), each NULL where it is open, by spans of ?3 microseconds. There are none if
	// the range is longer than ?4 microseconds. The doubled % makes the remainder positive for times before 1970 too. CROSS JOIN fixes
	// the order of the join, with which SQLite uses the index instead of scanning all hours.
	selectEarnings = `WITH edges AS (SELECT (SELECT min(at) FROM main.earnings) AS first, (SELECT max(at) FROM main.earnings) AS last)
		SELECT s.commit_position, s.prepare_position, s.as_of, edges.first, edges.last, e.*
		FROM main.state s CROSS JOIN edges LEFT JOIN (
			SELECT at - (at % ?3 + ?3) % ?3 AS span, channel, sum(awards), sum(reversals), sum(adjustments),
				sum(awarded), sum(reversed), sum(adjusted)
			FROM edges CROSS JOIN main.earnings
			WHERE at >= coalesce(?1, first) AND at < coalesce(?2, last + 1) AND coalesce(?2, last) - coalesce(?1, first) <= ?4
			GROUP BY span, channel) e ON true
		ORDER BY e.span, e.channel`
	selectHours = `SELECT ` + earningColumns + ` FROM main.earnings ORDER BY at, channel`
)

// addEarnings adds a batch's sums by hour and channel, of which it usually has few.
func (l *Ledger) addEarnings(ctx context.Context, tx *sql.Tx, b ledger.Batch) error {
	for _, e := range b.Earnings() {
		if _, err := tx.StmtContext(ctx, l.earn).ExecContext(ctx, e.At.UnixMicro(), string(e.Channel),
			e.Awards, e.Reversals, e.Adjustments, int64(e.Awarded), int64(e.Reversed), int64(e.Adjusted)); err != nil {
			return err
		}
	}
	return nil
}

// Earnings sums a range of time; see ledger.Earner.
func (l *Ledger) Earnings(ctx context.Context, from, until time.Time, by ledger.Span) (ledger.Earnings, error) {
	return ledger.ReadEarnings(from, until, by, func(begin, end time.Time, most time.Duration) (sums ledger.Earnings, first, last time.Time, err error) {
		sums, first, last, err = l.earnings(ctx, micros(begin), micros(end), by.Length().Microseconds(), most.Microseconds())
		if err != nil {
			return sums, first, last, fmt.Errorf("ledger earnings: %w", classify(err))
		}
		return sums, first, last, nil
	})
}

func (l *Ledger) earnings(ctx context.Context, arguments ...any) (sums ledger.Earnings, first, last time.Time, err error) {
	found, err := l.readers.QueryContext(ctx, l.in(selectEarnings), arguments...)
	if err != nil {
		return sums, first, last, err
	}
	defer found.Close()
	var s stateRow
	var edges [2]sql.Null[int64]
	var e earningRow
	targets := append(append(s.targets(), &edges[0], &edges[1]), e.targets()...)
	for found.Next() {
		if err := found.Scan(targets...); err != nil {
			return sums, first, last, err
		}
		sums.State, first, last = s.state(), fromMicros(edges[0]), fromMicros(edges[1])
		if e.at.Valid {
			sums.Rows = append(sums.Rows, e.earning())
		}
	}
	return sums, first, last, found.Err()
}

// Hours streams the sums of every hour; see ledger.Earner.
func (l *Ledger) Hours(ctx context.Context, yield func(ledger.Earning) error) (ledger.State, error) {
	var e earningRow
	find := func(tx *sql.Tx) (*sql.Rows, error) { return tx.QueryContext(ctx, l.in(selectHours)) }
	at, err := l.snapshot(ctx, "ledger hours", find, e.targets(), func() error { return yield(e.earning()) })
	return at.State(), err
}

// earningRow receives one row after another. It is all NULL if there are no sums.
type earningRow struct {
	at, awards, reversals, adjustments, awarded, reversed, adjusted sql.Null[int64]
	channel                                                         sql.Null[string]
}

func (e *earningRow) targets() []any {
	return []any{&e.at, &e.channel, &e.awards, &e.reversals, &e.adjustments, &e.awarded, &e.reversed, &e.adjusted}
}

func (e *earningRow) earning() ledger.Earning {
	return ledger.Earning{
		At: fromMicros(e.at), Channel: domain.Channel(e.channel.V), Awards: e.awards.V, Reversals: e.reversals.V, Adjustments: e.adjustments.V,
		Awarded: domain.Points(e.awarded.V), Reversed: domain.Points(e.reversed.V), Adjusted: domain.Points(e.adjusted.V),
	}
}
