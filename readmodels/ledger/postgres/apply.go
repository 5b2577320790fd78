package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	// One statement compares and sets the checkpoint: of two runners with the same batch, one gets a row back.
	moveCheckpoint = `UPDATE ledger.state SET n = n + 1, commit_position = $1, prepare_position = $2, as_of = greatest(as_of, $3),
			entries = entries + $4, outstanding = outstanding + $5, origin = $8
		WHERE n = (SELECT n FROM ledger.state ORDER BY n DESC LIMIT 1)
			AND commit_position = $6 AND prepare_position = $7 AND origin = $9 RETURNING entries`
	// Each account takes the change as a difference and returns the new total, so that it is looked up once.
	upsertAccounts = `INSERT INTO ledger.accounts AS a (customer, points, reached_at, entries, drawer, commit_position, prepare_position)
		SELECT *, $6::bigint, $7::bigint FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::bigint[], $5::smallint[])
		ON CONFLICT (customer) DO UPDATE SET points = a.points + excluded.points,
			reached_at = coalesce(excluded.reached_at, a.reached_at), entries = a.entries + excluded.entries,
			commit_position = excluded.commit_position, prepare_position = excluded.prepare_position
		RETURNING customer, points`
)

// Apply adds a batch; see ledger.Writer. It wakes the readers of this process that Wait for its position.
func (l *Ledger) Apply(ctx context.Context, b ledger.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	changes := b.Changes()
	err := l.applyOnce(ctx, b, changes)
	if codeOf(err) == checkViolation {
		// A switch has replaced the ledger since, and this process knows the partitions of the former one.
		l.months.forget()
		err = l.applyOnce(ctx, b, changes)
	}
	if err != nil {
		return fmt.Errorf("ledger batch %s to %s: %w", b.From, b.To, err)
	}
	l.progress.Reach(b.To.Position)
	return nil
}

func (l *Ledger) applyOnce(ctx context.Context, b ledger.Batch, changes []ledger.Change) error {
	if missing := l.months.missing(b.Entries); len(missing) > 0 {
		if err := l.makeMonths(ctx, missing); err != nil {
			return err
		}
	}
	return l.transaction(ctx, writing, func(ctx context.Context, tx pgx.Tx) error {
		after, err := l.change(ctx, tx, b, changes)
		if err != nil {
			return err
		}
		if len(b.Entries) == 0 {
			return nil
		}
		rows, err := copyRows(b.Entries, b.Totals(after))
		if err != nil {
			return err
		}
		if _, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(rows), l.in(copyEntries)); err != nil {
			return fmt.Errorf("entries: %w", err)
		}
		return nil
	})
}

// change moves the checkpoint, updates accounts and earnings, and adds the audit records. Without audit records it takes one round
// trip. It returns the customers' totals after the batch.
func (l *Ledger) change(ctx context.Context, tx pgx.Tx, b ledger.Batch, changes []ledger.Change) (map[domain.CustomerID]domain.Points, error) {
	var outstanding domain.Points
	customers, points := make([]string, len(changes)), make([]int64, len(changes))
	reached, entries := make([]*time.Time, len(changes)), make([]int64, len(changes))
	buckets := make([]int16, len(changes))
	// A transaction that has lost the checkpoint to another still locks the accounts before it is told. All lock them in this order,
	// so that there is no deadlock.
	slices.SortFunc(changes, func(a, b ledger.Change) int { return strings.Compare(string(a.Customer), string(b.Customer)) })
	for i := range changes {
		c := &changes[i]
		outstanding += c.Points
		customers[i], points[i], reached[i], entries[i] = string(c.Customer), int64(c.Points), instant(&c.ReachedAt), c.Entries
		buckets[i] = int16(c.Bucket)
	}
	after := make(map[domain.CustomerID]domain.Points, len(changes))
	var all pgx.Batch
	from, to := b.From.Position, b.To.Position
	all.Queue(l.in(moveCheckpoint), int64(to.Commit), int64(to.Prepare), instant(&b.AsOf), len(b.Entries), int64(outstanding),
		int64(from.Commit), int64(from.Prepare), b.To.Origin(), b.From.Origin()).QueryRow(func(row pgx.Row) error {
		err := row.Scan(new(int64))
		if errors.Is(err, pgx.ErrNoRows) {
			return domain.ErrCheckpointMoved
		}
		return err
	})
	if len(b.AuditRecords) > 0 {
		// Audit records lock accounts in another order. To avoid a deadlock, they wait for the checkpoint. They are few.
		if err := tx.SendBatch(ctx, &all).Close(); err != nil {
			return nil, err
		}
		all = pgx.Batch{}
	}
	if len(changes) > 0 {
		all.Queue(l.in(upsertAccounts), customers, points, reached, entries, buckets, int64(to.Commit), int64(to.Prepare)).Query(func(changed pgx.Rows) error {
			var customer string
			var points int64
			_, err := pgx.ForEachRow(changed, []any{&customer, &points}, func() error {
				after[domain.CustomerID(customer)] = domain.Points(points)
				return nil
			})
			return err
		})
	}
	l.queueAuditRecords(&all, b)
	l.queueEarnings(&all, b)
	return after, tx.SendBatch(ctx, &all).Close()
}

// instant is a time as a column stores it: NULL for the zero time.
func instant(t *time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return t
}
