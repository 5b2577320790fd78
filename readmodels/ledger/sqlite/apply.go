package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Statements name their tables in main, the only database. Ledger.in puts a copy's tables into them.

// moveCheckpoint compares and sets in one statement: of two runners with the same batch, one gets a row back.
const moveCheckpoint = `UPDATE main.state SET commit_position = ?1, prepare_position = ?2,
		as_of = CASE WHEN as_of IS NULL OR as_of < ?3 THEN ?3 ELSE as_of END,
		entries = entries + ?4, outstanding = outstanding + ?5, origin = ?8
	WHERE commit_position = ?6 AND prepare_position = ?7 AND origin = ?9
	RETURNING entries`

var (
	// Each account takes the change as a difference and returns the new total, so that it is looked up once.
	upsertAccounts = statement{
		head:    `INSERT INTO main.accounts (customer, points, reached_at, entries, newest, before, drawer)`,
		columns: 7,
		tail: ` ON CONFLICT (customer) DO UPDATE SET points = points + excluded.points,
			reached_at = coalesce(excluded.reached_at, reached_at), entries = entries + excluded.entries,
			newest = excluded.newest, before = newest
			RETURNING customer, points, before`,
	}
	insertEntries = statement{head: `INSERT INTO main.entries (id, previous, customer, ` + entryColumns + `)`, columns: 21}
)

// Apply adds a batch; see ledger.Writer. It wakes the readers of this process that Wait for its position.
func (l *Ledger) Apply(ctx context.Context, b ledger.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	if err := l.transaction(ctx, func(tx *sql.Tx) error { return l.apply(ctx, tx, b) }); err != nil {
		return fmt.Errorf("ledger batch %s to %s: %w", b.From, b.To, classify(err))
	}
	l.progress.Reach(b.To.Position)
	return nil
}

// transaction runs do in one transaction of the writer's connection, which commits if do returns nil.
func (l *Ledger) transaction(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := l.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (l *Ledger) apply(ctx context.Context, tx *sql.Tx, b ledger.Batch) error {
	changes := b.Changes()
	var outstanding domain.Points
	for _, c := range changes {
		outstanding += c.Points
	}
	from, to := b.From.Position, b.To.Position
	var entries int64
	err := tx.StmtContext(ctx, l.move).QueryRowContext(ctx, int64(to.Commit), int64(to.Prepare), micros(b.AsOf), len(b.Entries), int64(outstanding),
		int64(from.Commit), int64(from.Prepare), b.To.Origin(), b.From.Origin()).Scan(&entries)
	if errors.Is(err, sql.ErrNoRows) {
		return domain.ErrCheckpointMoved
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	first := entries - int64(len(b.Entries)) + 1
	newest, after, err := l.changeAccounts(ctx, tx, changes, first)
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	totals := b.Totals(after)
	values := make([]any, 0, len(b.Entries)*insertEntries.columns)
	for i := range b.Entries {
		e, id := &b.Entries[i], first+int64(i)
		values = appendEntry(append(values, id, newest[e.Customer], string(e.Customer)), e, totals[i])
		newest[e.Customer] = id
	}
	if err := l.inserts.run(ctx, tx, values, nil); err != nil {
		return fmt.Errorf("entries: %w", err)
	}
	if err := l.addEarnings(ctx, tx, b); err != nil {
		return fmt.Errorf("earnings: %w", err)
	}
	if err := l.insertAuditRecords(ctx, tx, b.AuditRecords); err != nil {
		return fmt.Errorf("audit records: %w", err)
	}
	return nil
}

// changeAccounts updates the accounts; first is the id of the batch's first entry. It returns by customer the id of their newest entry
// before the batch (0 if there is none), and their total after it.
func (l *Ledger) changeAccounts(ctx context.Context, tx *sql.Tx, changes []ledger.Change, first int64) (map[domain.CustomerID]int64, map[domain.CustomerID]domain.Points, error) {
	values := make([]any, 0, len(changes)*upsertAccounts.columns)
	for _, c := range changes {
		values = append(values, string(c.Customer), int64(c.Points), micros(c.ReachedAt), c.Entries, first+int64(c.Last), 0, int64(c.Bucket))
	}
	newest := make(map[domain.CustomerID]int64, len(changes))
	after := make(map[domain.CustomerID]domain.Points, len(changes))
	err := l.upserts.run(ctx, tx, values, func(changed *sql.Rows) error {
		var customer domain.CustomerID
		var points domain.Points
		var before int64
		err := changed.Scan(&customer, &points, &before)
		newest[customer], after[customer] = before, points
		return err
	})
	return newest, after, err
}

func appendEntry(values []any, e *ledger.Entry, total domain.Points) []any {
	id := uuid.MustParse(e.EventID)
	return append(values,
		int64(e.Position.Commit), int64(e.Position.Prepare), id[:], string(e.Kind), int64(e.Points), int64(total),
		micros(e.OccurredAt), e.Stream, int64(e.Revision), string(e.Order), string(e.Return), string(e.Loyalty),
		e.Amount.Minor, string(e.Amount.Currency), string(e.Channel), e.Actor, e.Reason, e.Correlation)
}
