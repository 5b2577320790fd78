package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	addEarnings = `INSERT INTO ledger.earnings AS e (at, channel, awards, reversals, adjustments, awarded, reversed, adjusted)
		SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
		ON CONFLICT (at, channel) DO UPDATE SET
			awards = e.awards + excluded.awards, reversals = e.reversals + excluded.reversals, adjustments = e.adjustments + excluded.adjustments,
			awarded = e.awarded + excluded.awarded, reversed = e.reversed + excluded.reversed, adjusted = e.adjusted + excluded.adjusted`

	// Every row has the state and the edges, the first and the last hour; an empty answer is one row with these alone. Rows are sums of
	// the hours from $1 (inclusive) until $2 (exclusive), each NULL where it is open, by spans of $3. There are none if the range is
	// longer than $4.
	selectEarnings = `WITH s AS MATERIALIZED ` + latestState + `, edges AS MATERIALIZED (SELECT min(at) AS first, max(at) AS last FROM ledger.earnings)
		SELECT s.commit_position, s.prepare_position, s.as_of, edges.first, edges.last, e.*
		FROM s CROSS JOIN edges LEFT JOIN (
			SELECT date_bin($3, at, to_timestamp(0)) AS span, channel, sum(awards)::bigint, sum(reversals)::bigint, sum(adjustments)::bigint,
				sum(awarded)::bigint, sum(reversed)::bigint, sum(adjusted)::bigint
			FROM ledger.earnings CROSS JOIN edges
			WHERE at >= coalesce($1, first) AND at < coalesce($2, last + interval '1 hour')
				AND coalesce($2, last) - coalesce($1, first) <= $4
			GROUP BY span, channel) e ON true
		ORDER BY e.span, e.channel`
	selectHours = `SELECT s.commit_position, s.prepare_position, s.as_of,
			e.at, e.channel, e.awards, e.reversals, e.adjustments, e.awarded, e.reversed, e.adjusted
		FROM ` + latestState + ` s LEFT JOIN ledger.earnings e ON true ORDER BY e.at, e.channel`
)

// queueEarnings adds a batch's sums by hour and channel.
func (l *Ledger) queueEarnings(all *pgx.Batch, b ledger.Batch) {
	sums := b.Earnings()
	if len(sums) == 0 {
		return
	}
	n := len(sums)
	hours, channels := make([]time.Time, n), make([]string, n)
	awards, reversals, adjustments := make([]int64, n), make([]int64, n), make([]int64, n)
	awarded, reversed, adjusted := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, e := range sums {
		hours[i], channels[i] = e.At, string(e.Channel)
		awards[i], reversals[i], adjustments[i] = e.Awards, e.Reversals, e.Adjustments
		awarded[i], reversed[i], adjusted[i] = int64(e.Awarded), int64(e.Reversed), int64(e.Adjusted)
	}
	all.Queue(l.in(addEarnings), hours, channels, awards, reversals, adjustments, awarded, reversed, adjusted).
		Exec(func(pgconn.CommandTag) error { return nil })
}

// Earnings sums a range of time; see ledger.Earner.
func (l *Ledger) Earnings(ctx context.Context, from, until time.Time, by ledger.Span) (ledger.Earnings, error) {
	return ledger.ReadEarnings(from, until, by, func(begin, end time.Time, most time.Duration) (sums ledger.Earnings, first, last time.Time, err error) {
		arguments := []any{instant(&begin), instant(&end), by.Length(), most}
		sums, err = ask(ctx, l, func(ctx context.Context, q querier) (sums ledger.Earnings, err error) {
			var edges [2]pgtype.Timestamptz
			var e earningRow
			sums.State, err = l.snapshot(ctx, q, "ledger earnings", selectEarnings, arguments, append([]any{&edges[0], &edges[1]}, e.targets()...), func() error {
				if e.at.Valid {
					sums.Rows = append(sums.Rows, e.earning())
				}
				return nil
			})
			first, last = edges[0].Time.UTC(), edges[1].Time.UTC()
			return sums, err
		})
		return sums, first, last, err
	})
}

// Hours streams the sums of every hour; see ledger.Earner.
func (l *Ledger) Hours(ctx context.Context, yield func(ledger.Earning) error) (ledger.State, error) {
	var e earningRow
	return l.stream(ctx, "ledger hours", selectHours, nil, e.targets(), func() error {
		if !e.at.Valid {
			return nil
		}
		return yield(e.earning())
	})
}

// earningRow receives one row after another. It is all NULL if there are no sums.
type earningRow struct {
	at                                                          pgtype.Timestamptz
	channel                                                     pgtype.Text
	awards, reversals, adjustments, awarded, reversed, adjusted pgtype.Int8
}

func (e *earningRow) targets() []any {
	return []any{&e.at, &e.channel, &e.awards, &e.reversals, &e.adjustments, &e.awarded, &e.reversed, &e.adjusted}
}

func (e *earningRow) earning() ledger.Earning {
	return ledger.Earning{
		At: e.at.Time.UTC(), Channel: domain.Channel(e.channel.String),
		Awards: e.awards.Int64, Reversals: e.reversals.Int64, Adjustments: e.adjustments.Int64,
		Awarded: domain.Points(e.awarded.Int64), Reversed: domain.Points(e.reversed.Int64), Adjusted: domain.Points(e.adjusted.Int64),
	}
}
