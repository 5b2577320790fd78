package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
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
	// The customers come as one JSON array, so that one statement serves any number of them.
	selectKnown = `SELECT id, customer, points, reached_at, entries FROM accounts
		WHERE customer IN (SELECT value FROM json_each(?1))`
	selectLastAccount = `SELECT coalesce(max(id), 0) FROM accounts`
)

var (
	upsertAccounts = statement{
		head:    `INSERT INTO accounts (id, customer, points, reached_at, entries)`,
		columns: 5,
		tail:    ` ON CONFLICT (id) DO UPDATE SET points = excluded.points, reached_at = excluded.reached_at, entries = excluded.entries`,
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
	customers := b.Customers()
	ids, accounts, err := l.load(ctx, tx, customers)
	if err != nil {
		return classify(err)
	}
	totals, err := b.Fold(accounts)
	if err != nil {
		return err
	}
	values := make([]any, 0, max(len(customers)*upsertAccounts.columns, len(b.Entries)*insertEntries.columns))
	for _, customer := range customers {
		a := accounts[customer]
		values = append(values, ids[customer], string(customer), int64(a.Points), micros(a.ReachedAt), a.Entries)
	}
	if err := l.upserts.insert(ctx, tx, values); err != nil {
		return fmt.Errorf("accounts: %w", classify(err))
	}
	values = values[:0]
	for i := range b.Entries {
		values = appendEntry(values, ids[b.Entries[i].Customer], &b.Entries[i], totals[i])
	}
	if err := l.inserts.insert(ctx, tx, values); err != nil {
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

// load reads the customers' accounts and gives those who have none yet an id and nothing else.
func (l *Ledger) load(ctx context.Context, tx *sql.Tx, customers []domain.CustomerID) (map[domain.CustomerID]int64, map[domain.CustomerID]ledger.Account, error) {
	list, err := json.Marshal(customers)
	if err != nil {
		return nil, nil, err
	}
	found, err := tx.StmtContext(ctx, l.known).QueryContext(ctx, string(list))
	if err != nil {
		return nil, nil, err
	}
	defer found.Close()
	ids := make(map[domain.CustomerID]int64, len(customers))
	accounts := make(map[domain.CustomerID]ledger.Account, len(customers))
	for found.Next() {
		var id int64
		var a ledger.Account
		var reachedAt sql.Null[int64]
		if err := found.Scan(&id, &a.Customer, &a.Points, &reachedAt, &a.Entries); err != nil {
			return nil, nil, err
		}
		a.ReachedAt = fromMicros(reachedAt)
		ids[a.Customer], accounts[a.Customer] = id, a
	}
	if err := found.Err(); err != nil {
		return nil, nil, err
	}
	var last int64
	if err := tx.StmtContext(ctx, l.lastAccount).QueryRowContext(ctx).Scan(&last); err != nil {
		return nil, nil, err
	}
	for _, customer := range customers {
		if ids[customer] == 0 {
			last++
			ids[customer] = last
		}
	}
	return ids, accounts, nil
}

func appendEntry(values []any, account int64, e *ledger.Entry, total domain.Points) []any {
	id := uuid.MustParse(e.EventID)
	return append(values, account,
		int64(e.Position.Commit), int64(e.Position.Prepare), id[:], string(e.Kind), int64(e.Points), int64(total),
		micros(e.OccurredAt), e.Stream, int64(e.Revision), string(e.Order), string(e.Return),
		e.Amount.Minor, string(e.Amount.Currency), string(e.Channel), e.Actor, e.Reason)
}
