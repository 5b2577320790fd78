package postgres

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	insertAuditRecord = `INSERT INTO ledger.acts (commit_position, prepare_position, event_id, kind, customer, loyalty_id, points, reason, route, actor,
		correlation, occurred_at, waiting) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
	decideRequest = `UPDATE ledger.acts SET waiting = false WHERE customer = $1 AND loyalty_id = $2 AND waiting`
	forgetAccount = `INSERT INTO ledger.accounts (customer, points, entries, drawer, forgotten, commit_position, prepare_position, month)
		VALUES ($1, 0, 0, 0, true, $2, $3, 0)
		ON CONFLICT (customer) DO UPDATE SET forgotten = true, drawer = 0,
			commit_position = excluded.commit_position, prepare_position = excluded.prepare_position`

	// Every row has the state; an empty page is one row with the state alone.
	selectAuditLog = `SELECT s.commit_position, s.prepare_position, s.as_of, a.commit_position, a.prepare_position, a.event_id, a.kind, a.customer,
			a.loyalty_id, a.points, a.reason, a.route, a.actor, a.correlation, a.occurred_at, a.waiting
		FROM ` + latestState + ` s LEFT JOIN (SELECT * FROM ledger.acts
			WHERE (commit_position, prepare_position) < ($1, $2)<conditions>
			ORDER BY commit_position DESC, prepare_position DESC LIMIT $3) a ON true
		ORDER BY a.commit_position DESC, a.prepare_position DESC`
)

// queueAuditRecords adds a batch's audit records, and their effects on accounts and earlier records: a statement each, all sent at once.
func (l *Ledger) queueAuditRecords(all *pgx.Batch, b ledger.Batch) {
	queue := func(statement string, arguments ...any) {
		all.Queue(l.in(statement), arguments...).Exec(func(pgconn.CommandTag) error { return nil })
	}
	for i := range b.AuditRecords {
		a := &b.AuditRecords[i]
		queue(insertAuditRecord, int64(a.Position.Commit), int64(a.Position.Prepare), uuid.MustParse(a.EventID), string(a.Kind), string(a.Customer),
			string(a.Loyalty), int32(a.Points), a.Reason, a.Route, a.Actor, a.Correlation, a.OccurredAt, a.Kind == ledger.Requested)
		switch a.Kind {
		case ledger.Approved, ledger.Declined:
			queue(decideRequest, string(a.Customer), string(a.Loyalty))
		case ledger.Forgotten:
			queue(forgetAccount, string(a.Customer), int64(b.To.Position.Commit), int64(b.To.Position.Prepare))
		}
	}
}

// auditStatement is selectAuditLog with a filter, and its arguments from $4 on. It has no condition for what the filter leaves open, so
// that the server plans for what is set.
func auditStatement(f ledger.AuditFilter) (string, []any) {
	c := conditions{before: 3}
	switch len(f.Kinds) {
	case 0:
	case 1:
		c.add("kind = ?", string(f.Kinds[0]))
	default:
		c.add("kind = ANY(?::text[])", f.Kinds)
	}
	if f.Customer != "" {
		c.add("customer = ?", storedText(string(f.Customer)))
	}
	if f.Actor != "" {
		c.add("actor = ?", storedText(f.Actor))
	}
	c.occurred(f.From, f.Until)
	if f.Waiting {
		c.add("waiting")
	}
	return strings.Replace(selectAuditLog, "<conditions>", c.text, 1), c.arguments
}

// storedText is NULL, which equals nothing, for a text that Postgres can't store and would not compare.
func storedText(text string) any {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil
	}
	return text
}

// AuditLog reads a page of audit records; see ledger.Auditor.
func (l *Ledger) AuditLog(ctx context.Context, filter ledger.AuditFilter, cursor string, limit int) (ledger.AuditPage, error) {
	return ledger.ReadAuditLog(filter, cursor, limit, func(before domain.Position, most int) (ledger.AuditPage, error) {
		statement, arguments := auditStatement(filter)
		arguments = append([]any{int64(before.Commit), int64(before.Prepare), most}, arguments...)
		page, err := ask(ctx, l, func(ctx context.Context, q querier) (ledger.AuditPage, error) {
			return l.auditPage(ctx, q, statement, arguments)
		})
		if err != nil {
			return page, fmt.Errorf("ledger audit log: %w", err)
		}
		return page, nil
	})
}

func (l *Ledger) auditPage(ctx context.Context, q querier, statement string, arguments []any) (page ledger.AuditPage, err error) {
	found, err := q.Query(ctx, l.in(statement), arguments...)
	if err != nil {
		return page, err
	}
	var s stateRow
	var a auditRow
	err = eachRow(found, append(s.targets(), a.targets()...), func() error {
		if page.State = s.state(); a.commit.Valid {
			page.Records = append(page.Records, a.record())
		}
		return nil
	})
	return page, err
}

// auditRow receives one row after another. It is all NULL if a page has no audit records.
type auditRow struct {
	commit, prepare, points                                    pgtype.Int8
	id                                                         pgtype.UUID
	kind, customer, loyalty, reason, route, actor, correlation pgtype.Text
	occurredAt                                                 pgtype.Timestamptz
	waiting                                                    pgtype.Bool
}

func (a *auditRow) targets() []any {
	return []any{&a.commit, &a.prepare, &a.id, &a.kind, &a.customer, &a.loyalty, &a.points, &a.reason, &a.route, &a.actor, &a.correlation, &a.occurredAt, &a.waiting}
}

func (a *auditRow) record() ledger.AuditRecord {
	return ledger.AuditRecord{
		EventID: uuid.UUID(a.id.Bytes).String(), Kind: ledger.AuditKind(a.kind.String), Customer: domain.CustomerID(a.customer.String),
		Loyalty: domain.LoyaltyID(a.loyalty.String), Points: domain.Points(a.points.Int64), Reason: a.reason.String, Route: a.route.String, Actor: a.actor.String,
		Correlation: a.correlation.String, OccurredAt: a.occurredAt.Time.UTC(),
		Position: domain.Position{Commit: uint64(a.commit.Int64), Prepare: uint64(a.prepare.Int64)}, Decided: a.kind.String == string(ledger.Requested) && !a.waiting.Bool,
	}
}
