package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// One statement compares and sets the checkpoint: of two runners with the same batch, one gets a row back.
const moveCheckpoint = `UPDATE ledger.state SET n = n + 1, commit_position = $1, prepare_position = $2, as_of = greatest(as_of, $3),
			entries = entries + $4, outstanding = outstanding + $5, origin = $8
		WHERE n = (SELECT n FROM ledger.state ORDER BY n DESC LIMIT 1)
			AND commit_position = $6 AND prepare_position = $7 AND origin = $9 RETURNING entries`

// Apply adds a batch; see ledger.Writer. It wakes the readers of this process that Wait for its position.
func (l *Ledger) Apply(ctx context.Context, b ledger.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	err := l.applyOnce(ctx, b)
	if l.noPartition(err) {
		// A switch has replaced the ledger since, and this process knows the partitions of the former one.
		l.partitions.forget()
		err = l.applyOnce(ctx, b)
	}
	if err != nil {
		return fmt.Errorf("ledger batch %s to %s: %w", b.From, b.To, err)
	}
	l.progress.Reach(b.To.Position)
	return nil
}

func (l *Ledger) applyOnce(ctx context.Context, b ledger.Batch) error {
	if missing := l.partitions.missing(b.Entries); len(missing) > 0 {
		if err := l.makePartitions(ctx, missing); err != nil {
			return err
		}
	}
	return l.transaction(ctx, writing, func(ctx context.Context, tx pgx.Tx) error {
		before, err := l.startBatch(ctx, tx, b)
		if err != nil {
			return err
		}
		f := effectsOf(b.Entries, before)
		var all pgx.Batch
		l.queueEffects(&all, b.To.Position, f)
		l.queueAuditRecords(&all, b)
		l.queueEarnings(&all, b)
		if err := tx.SendBatch(ctx, &all).Close(); err != nil || len(b.Entries) == 0 {
			return err
		}
		rows, err := copyRows(b.Entries, f.totals)
		if err != nil {
			return err
		}
		if _, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(rows), l.in(copyEntries)); err != nil {
			return fmt.Errorf("entries: %w", err)
		}
		return nil
	})
}

// startBatch moves the checkpoint and reads the accounts of the batch's customers as they are before it. From then until the transaction ends nobody else
// changes the ledger: all do this first, and wait for the row of the checkpoint.
func (l *Ledger) startBatch(ctx context.Context, tx pgx.Tx, b ledger.Batch) (map[domain.CustomerID]*account, error) {
	var outstanding domain.Points
	accounts := make(map[domain.CustomerID]*account, len(b.Entries))
	customers := make([]string, 0, len(b.Entries))
	for i := range b.Entries {
		e := &b.Entries[i]
		outstanding += e.Points
		if _, known := accounts[e.Customer]; !known {
			accounts[e.Customer] = nil
			customers = append(customers, string(e.Customer))
		}
	}
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
	if len(customers) > 0 {
		l.queueChanging(&all, customers, accounts)
	}
	return accounts, tx.SendBatch(ctx, &all).Close()
}

// instant is a time as a column stores it: NULL for the zero time.
func instant(t *time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return t
}
