package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	insertAuditRecord = `INSERT INTO main.acts (` + auditColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?4 = '` + string(ledger.Requested) + `')`
	// The unary + keeps SQLite from using the index of waiting requests, which are of all customers.
	decideRequest = `UPDATE main.acts SET waiting = 0 WHERE customer = ?1 AND loyalty_id = ?2 AND +waiting = 1`
	forgetAccount = `INSERT INTO main.accounts (customer, points, entries, newest, before, drawer, forgotten) VALUES (?1, 0, 0, 0, 0, 0, 1)
		ON CONFLICT (customer) DO UPDATE SET forgotten = 1, drawer = 0`

	auditColumns = `commit_position, prepare_position, event_id, kind, customer, loyalty_id, points, reason, route, actor, correlation, occurred_at, waiting`
	// Every row has the state; an empty page is one row with the state alone.
	selectAuditLog = `SELECT s.commit_position, s.prepare_position, s.as_of, a.*
		FROM main.state s LEFT JOIN (SELECT ` + auditColumns + ` FROM main.acts
			WHERE (commit_position, prepare_position) < (?1, ?2)<conditions>
			ORDER BY commit_position DESC, prepare_position DESC LIMIT ?3) a ON true
		ORDER BY a.commit_position DESC, a.prepare_position DESC`
)

// insertAuditRecords adds a batch's audit records, and their effects on accounts and earlier records, one by one: they are few.
func (l *Ledger) insertAuditRecords(ctx context.Context, tx *sql.Tx, records []ledger.AuditRecord) error {
	for i := range records {
		a := &records[i]
		id := uuid.MustParse(a.EventID)
		if _, err := tx.StmtContext(ctx, l.audit).ExecContext(ctx, int64(a.Position.Commit), int64(a.Position.Prepare), id[:], string(a.Kind),
			string(a.Customer), string(a.Loyalty), int64(a.Points), a.Reason, a.Route, a.Actor, a.Correlation, micros(a.OccurredAt)); err != nil {
			return err
		}
		var err error
		switch a.Kind {
		case ledger.Approved, ledger.Declined:
			_, err = tx.StmtContext(ctx, l.decide).ExecContext(ctx, string(a.Customer), string(a.Loyalty))
		case ledger.Forgotten:
			_, err = tx.StmtContext(ctx, l.forget).ExecContext(ctx, string(a.Customer))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// auditStatement is selectAuditLog with a filter, and its arguments from ?4 on. It has no condition for what the filter leaves open.
// SQLite has no statistics to plan by. So the first condition is the one whose index selects the fewest audit records, and a unary +
// before each of the others keeps SQLite from using theirs.
func auditStatement(f ledger.AuditFilter) (string, []any) {
	var conditions, sign string
	var arguments []any
	add := func(condition string, value any) {
		arguments = append(arguments, value)
		conditions += fmt.Sprintf(" AND "+sign+condition, 3+len(arguments))
		sign = "+"
	}
	if f.Waiting {
		conditions, sign = " AND waiting = 1", "+"
	}
	if f.Customer != "" {
		add("customer = ?%d", string(f.Customer))
	}
	if f.Actor != "" {
		add("actor = ?%d", f.Actor)
	}
	switch len(f.Kinds) {
	case 0:
	case 1:
		add("kind = ?%d", string(f.Kinds[0]))
	default:
		add("instr(?%d, ' ' || kind || ' ')", " "+joined(f.Kinds, "  ")+" ")
	}
	if !f.From.IsZero() {
		add("occurred_at >= ?%d", micros(f.From))
	}
	if !f.Until.IsZero() {
		add("occurred_at < ?%d", micros(f.Until))
	}
	return strings.Replace(selectAuditLog, "<conditions>", conditions, 1), arguments
}

// AuditLog reads a page of audit records; see ledger.Auditor.
func (l *Ledger) AuditLog(ctx context.Context, filter ledger.AuditFilter, cursor string, limit int) (ledger.AuditPage, error) {
	return ledger.ReadAuditLog(filter, cursor, limit, func(before domain.Position, most int) (ledger.AuditPage, error) {
		statement, arguments := auditStatement(filter)
		page, err := l.auditPage(ctx, statement, append([]any{int64(before.Commit), int64(before.Prepare), most}, arguments...))
		if err != nil {
			return page, fmt.Errorf("ledger audit log: %w", classify(err))
		}
		return page, nil
	})
}

func (l *Ledger) auditPage(ctx context.Context, statement string, arguments []any) (page ledger.AuditPage, err error) {
	found, err := l.readers.QueryContext(ctx, l.in(statement), arguments...)
	if err != nil {
		return page, err
	}
	defer found.Close()
	var s stateRow
	var a auditRow
	targets := append(s.targets(), a.targets()...)
	for found.Next() {
		if err := found.Scan(targets...); err != nil {
			return page, err
		}
		if page.State = s.state(); a.commit.Valid {
			page.Records = append(page.Records, a.record())
		}
	}
	return page, found.Err()
}

// auditRow receives one row after another. It is all NULL if a page has no audit records.
type auditRow struct {
	commit, prepare, points, occurredAt                        sql.Null[int64]
	id                                                         []byte
	kind, customer, loyalty, reason, route, actor, correlation sql.Null[string]
	waiting                                                    sql.Null[bool]
}

func (a *auditRow) targets() []any {
	return []any{&a.commit, &a.prepare, &a.id, &a.kind, &a.customer, &a.loyalty, &a.points, &a.reason, &a.route, &a.actor, &a.correlation, &a.occurredAt, &a.waiting}
}

func (a *auditRow) record() ledger.AuditRecord {
	return ledger.AuditRecord{
		EventID: uuid.UUID(a.id).String(), Kind: ledger.AuditKind(a.kind.V), Customer: domain.CustomerID(a.customer.V),
		Loyalty: domain.LoyaltyID(a.loyalty.V), Points: domain.Points(a.points.V), Reason: a.reason.V, Route: a.route.V, Actor: a.actor.V,
		Correlation: a.correlation.V, OccurredAt: fromMicros(a.occurredAt),
		Position: domain.Position{Commit: uint64(a.commit.V), Prepare: uint64(a.prepare.V)}, Decided: a.kind.V == string(ledger.Requested) && !a.waiting.V,
	}
}
