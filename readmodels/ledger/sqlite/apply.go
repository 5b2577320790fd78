package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	// The comparison and the change are one statement: of two runners with the same batch, one moves a row.
	moveCheckpoint = `UPDATE state SET commit_position = ?1, prepare_position = ?2, outstanding = outstanding + ?4,
		as_of = CASE WHEN as_of IS NULL OR as_of < ?3 THEN ?3 ELSE as_of END
		WHERE commit_position = ?5 AND prepare_position = ?6`
)

var (
	// An account takes the change as a difference and gives back what it came to, so that it is looked up once.
	upsertAccounts = statement{
		head:    `INSERT INTO accounts (customer, points, reached_at, entries)`,
		columns: 4,
		tail: ` ON CONFLICT (customer) DO UPDATE SET points = points + excluded.points,
			reached_at = coalesce(excluded.reached_at, reached_at), entries = entries + excluded.entries
			RETURNING id, customer, points`,
	}
	insertEntries = statement{head: `INSERT INTO entries (account, ` + entryColumns + `)`, columns: 17}
)

// entryColumns are an entry's own, in the order in which they are written and read.
const entryColumns = `commit_position, prepare_position, event_id, kind, points, total, occurred_at, stream, revision,
	order_id, return_id, amount_minor, currency, channel, actor, reason`

// Apply adds a batch; see ledger.Writer. Readers of this process that wait for its position wake at once.
func (l *Ledger) Apply(ctx context.Context, b ledger.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	tx, err := l.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("ledger batch %s to %s: %w", b.From, b.To, classify(err))
	}
	defer tx.Rollback()
	if err := l.apply(ctx, tx, b); err != nil {
		return fmt.Errorf("ledger batch %s to %s: %w", b.From, b.To, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("ledger batch %s to %s: commit: %w", b.From, b.To, classify(err))
	}
	l.progress.reach(b.To)
	return nil
}

func (l *Ledger) apply(ctx context.Context, tx *sql.Tx, b ledger.Batch) error {
	if err := l.moveCheckpoint(ctx, tx, b); err != nil {
		return err
	}
	if len(b.Entries) == 0 {
		return nil
	}
	changes, err := b.Changes()
	if err != nil {
		return err
	}
	ids, after, err := l.change(ctx, tx, changes)
	if err != nil {
		return fmt.Errorf("accounts: %w", classify(err))
	}
	totals, err := b.Totals(after)
	if err != nil {
		return err
	}
	values := make([]any, 0, len(b.Entries)*insertEntries.columns)
	for i := range b.Entries {
		values = appendEntry(values, ids[b.Entries[i].Customer], &b.Entries[i], totals[i])
	}
	if err := l.inserts.run(ctx, tx, values, nil); err != nil {
		return fmt.Errorf("entries: %w", classify(err))
	}
	return nil
}

func (l *Ledger) moveCheckpoint(ctx context.Context, tx *sql.Tx, b ledger.Batch) error {
	var change domain.Points
	for i := range b.Entries {
		change += b.Entries[i].Points
	}
	result, err := tx.StmtContext(ctx, l.move).ExecContext(ctx, int64(b.To.Commit), int64(b.To.Prepare),
		micros(b.AsOf), int64(change), int64(b.From.Commit), int64(b.From.Prepare))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", classify(err))
	}
	if moved, err := result.RowsAffected(); err != nil || moved == 1 {
		return classify(err)
	}
	return domain.ErrCheckpointMoved
}

// change applies the changes to the accounts, and returns every customer's account id and points after it.
func (l *Ledger) change(ctx context.Context, tx *sql.Tx, changes []ledger.Change) (map[domain.CustomerID]int64, map[domain.CustomerID]domain.Points, error) {
	values := make([]any, 0, len(changes)*upsertAccounts.columns)
	for _, c := range changes {
		values = append(values, string(c.Customer), int64(c.Points), micros(c.ReachedAt), c.Entries)
	}
	ids := make(map[domain.CustomerID]int64, len(changes))
	after := make(map[domain.CustomerID]domain.Points, len(changes))
	err := l.upserts.run(ctx, tx, values, func(changed *sql.Rows) error {
		var id int64
		var customer domain.CustomerID
		var points domain.Points
		err := changed.Scan(&id, &customer, &points)
		ids[customer], after[customer] = id, points
		return err
	})
	return ids, after, err
}

func appendEntry(values []any, account int64, e *ledger.Entry, total domain.Points) []any {
	id := uuid.MustParse(e.EventID)
	return append(values, account,
		int64(e.Position.Commit), int64(e.Position.Prepare), id[:], string(e.Kind), int64(e.Points), int64(total),
		micros(e.OccurredAt), e.Stream, int64(e.Revision), string(e.Order), string(e.Return),
		e.Amount.Minor, string(e.Amount.Currency), string(e.Channel), e.Actor, e.Reason)
}
