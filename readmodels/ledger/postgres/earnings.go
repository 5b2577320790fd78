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

	// The state and the edges come with every row, or alone if there is none. Rows are of hours from $1 and before $2, each NULL where
	// it is open, in spans of $3. There are none if that is longer than $4, which is refused.
	selectEarnings = `WITH edges AS MATERIALIZED (SELECT min(at) AS first, max(at) AS last FROM ledger.earnings)
		SELECT s.commit_position, s.prepare_position, s.as_of, edges.first, edges.last, e.*
		FROM ledger.state s CROSS JOIN edges LEFT JOIN (
			SELECT date_bin($3, at, to_timestamp(0)) AS span, channel, sum(awards)::bigint, sum(reversals)::bigint, sum(adjustments)::bigint,
				sum(awarded)::bigint, sum(reversed)::bigint, sum(adjusted)::bigint
			FROM ledger.earnings CROSS JOIN edges
			WHERE at >= coalesce($1, first) AND at < coalesce($2, last + interval '1 hour')
				AND coalesce($2, last) - coalesce($1, first) <= $4
			GROUP BY span, channel) e ON true
		WHERE s.id = 1
		ORDER BY e.span, e.channel`
	selectHours = `SELECT s.commit_position, s.prepare_position, s.as_of,
			e.at, e.channel, e.awards, e.reversals, e.adjustments, e.awarded, e.reversed, e.adjusted
		FROM ledger.state s LEFT JOIN ledger.earnings e ON true WHERE s.id = 1 ORDER BY e.at, e.channel`
)

// queueEarnings adds what a batch comes to, by hour and channel. It comes after all that locks accounts, and in the same order in
// every transaction, so that none waits for one that waits for it.
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

// Earnings adds up what was earned in a stretch of time; see ledger.Earner.
func (l *Ledger) Earnings(ctx context.Context, from, until time.Time, by ledger.Span) (ledger.Earnings, error) {
	begin, end, err := by.Cover(from, until, time.Time{}, time.Time{})
	if err != nil {
		return ledger.Earnings{}, err
	}
	told, err := ask(ctx, l, func(ctx context.Context) (told ledger.Earnings, err error) {
		var edges [2]pgtype.Timestamptz
		var e earningRow
		// Widening to whole spans adds less than two of them.
		arguments := []any{instant(&begin), instant(&end), by.Length(), by.Most() + 2*by.Length()}
		told.State, err = l.snapshot(ctx, "ledger earnings", selectEarnings, arguments, append([]any{&edges[0], &edges[1]}, e.targets()...), func() error {
			if e.at.Valid {
				told.Rows = append(told.Rows, e.earning())
			}
			return nil
		})
		if err != nil {
			return told, err
		}
		told.From, told.Until, err = by.Cover(from, until, edges[0].Time.UTC(), edges[1].Time.UTC())
		return told, err
	})
	if err != nil {
		return ledger.Earnings{}, err
	}
	return told, nil
}

// Hours streams the sums of every hour; see ledger.Earner.
func (l *Ledger) Hours(ctx context.Context, yield func(ledger.Earning) error) (ledger.State, error) {
	var e earningRow
	return l.snapshot(ctx, "ledger hours", selectHours, nil, e.targets(), func() error {
		if !e.at.Valid {
			return nil
		}
		return yield(e.earning())
	})
}

// earningRow is all NULL where an answer has no rows.
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
