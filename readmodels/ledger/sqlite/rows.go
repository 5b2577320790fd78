package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// An insert is prepared for 1, 2, 4 … maxRows rows, and any number of rows is a sum of these: parsing a statement for another number
// takes longer than a small batch itself. From maxRows on, the cost of a call is negligible.
const (
	maxRows  = 1 << rowForms >> 1
	rowForms = 7
)

// statement is the text of an insert for any number of rows: head, a list of placeholders for each row, tail.
type statement struct {
	head    string
	columns int
	tail    string
}

func (s statement) text(n int) string {
	row := "(?" + strings.Repeat(",?", s.columns-1) + ")"
	return s.head + " VALUES " + row + strings.Repeat(","+row, n-1) + s.tail
}

func (s statement) in(l *Ledger) statement { s.head = l.in(s.head); return s }

// preparedInsert is a statement prepared for 1, 2, 4 … maxRows rows.
type preparedInsert struct {
	columns int
	forms   [rowForms]*sql.Stmt
}

func (r *preparedInsert) prepare(ctx context.Context, db *sql.DB, s statement) (err error) {
	r.columns = s.columns
	for i := range r.forms {
		if r.forms[i], err = db.PrepareContext(ctx, s.text(1<<i)); err != nil {
			return fmt.Errorf("%s: %w", s.text(1), err)
		}
	}
	return nil
}

// run inserts values, the columns of row after row, and calls each for every row that the statement returns.
func (r *preparedInsert) run(ctx context.Context, tx *sql.Tx, values []any, each func(*sql.Rows) error) error {
	for i := rowForms - 1; i >= 0; i-- {
		for size := r.columns << i; len(values) >= size; values = values[size:] {
			if err := drain(each)(tx.StmtContext(ctx, r.forms[i]).QueryContext(ctx, values[:size]...)); err != nil {
				return err
			}
		}
	}
	return nil
}

func drain(each func(*sql.Rows) error) func(*sql.Rows, error) error {
	return func(returned *sql.Rows, err error) error {
		if err != nil {
			return err
		}
		defer returned.Close()
		for returned.Next() {
			if err := each(returned); err != nil {
				return err
			}
		}
		return returned.Err()
	}
}

// micros is a time as a column stores it: whole microseconds since 1970, as precise as Postgres, or NULL for the zero time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func fromMicros(stored sql.Null[int64]) time.Time {
	if !stored.Valid {
		return time.Time{}
	}
	return time.UnixMicro(stored.V).UTC()
}

// stateRow, accountRow and entryRow receive one row after another. nowRow is a state and an account.
type stateRow struct {
	commit, prepare uint64
	asOf            sql.Null[int64]
}

func (s *stateRow) targets() []any { return []any{&s.commit, &s.prepare, &s.asOf} }

func (s *stateRow) state() ledger.State {
	return ledger.State{Position: domain.Position{Commit: s.commit, Prepare: s.prepare}, AsOf: fromMicros(s.asOf)}
}

type accountRow struct {
	points, entries int64
	reachedAt       sql.Null[int64]
	forgotten       bool
}

func (a *accountRow) targets() []any {
	return []any{&a.points, &a.reachedAt, &a.entries, &a.forgotten}
}

func (a *accountRow) account(customer domain.CustomerID) ledger.Account {
	return ledger.Account{Customer: customer, Points: domain.Points(a.points), ReachedAt: fromMicros(a.reachedAt), Entries: a.entries, Forgotten: a.forgotten}
}

type nowRow struct {
	stateRow
	accountRow
}

func (n *nowRow) targets() []any { return append(n.stateRow.targets(), n.accountRow.targets()...) }

// entryColumns are the columns of an entry, in the order of appendEntry and entryRow.targets.
const entryColumns = `commit_position, prepare_position, event_id, kind, points, total, occurred_at, stream, revision,
	order_id, return_id, loyalty_id, amount_minor, currency, channel, actor, reason, correlation`

// entryRow is all NULL if a page has no entries.
type entryRow struct {
	commit, prepare, points, total, occurredAt, revision, amount sql.Null[int64]
	id                                                           []byte
	kind, stream, order, returned, loyalty, currency, channel    sql.Null[string]
	actor, reason, correlation                                   sql.Null[string]
}

func (e *entryRow) targets() []any {
	return []any{&e.commit, &e.prepare, &e.id, &e.kind, &e.points, &e.total, &e.occurredAt, &e.stream, &e.revision,
		&e.order, &e.returned, &e.loyalty, &e.amount, &e.currency, &e.channel, &e.actor, &e.reason, &e.correlation}
}

func (e *entryRow) entry(customer domain.CustomerID) ledger.Entry {
	return ledger.Entry{
		EventID: uuid.UUID(e.id).String(), Customer: customer, Kind: ledger.Kind(e.kind.V),
		Points: domain.Points(e.points.V), Total: domain.Points(e.total.V), OccurredAt: fromMicros(e.occurredAt),
		Position: domain.Position{Commit: uint64(e.commit.V), Prepare: uint64(e.prepare.V)},
		Stream:   e.stream.V, Revision: uint64(e.revision.V),
		Order: domain.OrderID(e.order.V), Return: domain.ReturnID(e.returned.V), Loyalty: domain.LoyaltyID(e.loyalty.V),
		Amount:  domain.Money{Minor: e.amount.V, Currency: domain.Currency(e.currency.V)},
		Channel: domain.Channel(e.channel.V), Actor: e.actor.V, Reason: e.reason.V, Correlation: e.correlation.V,
	}
}
