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
	insertAct = `INSERT INTO main.acts (` + actColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?4 = '` + string(ledger.Requested) + `')`
	// The sign keeps SQLite from going through all customers' requests that wait.
	decideRequest = `UPDATE main.acts SET waiting = 0 WHERE customer = ?1 AND loyalty_id = ?2 AND +waiting = 1`
	forgetAccount = `INSERT INTO main.accounts (customer, points, entries, newest, before, drawer, forgotten) VALUES (?1, 0, 0, 0, 0, 0, 1)
		ON CONFLICT (customer) DO UPDATE SET forgotten = 1, drawer = 0`

	actColumns = `commit_position, prepare_position, event_id, kind, customer, loyalty_id, points, reason, actor, correlation, occurred_at, waiting`
	// The state comes with every act of the page, or alone if it is empty.
	selectActs = `SELECT s.commit_position, s.prepare_position, s.as_of, a.*
		FROM main.state s LEFT JOIN (SELECT ` + actColumns + ` FROM main.acts
			WHERE (commit_position, prepare_position) < (?1, ?2)<wanted>
			ORDER BY commit_position DESC, prepare_position DESC LIMIT ?3) a ON true
		ORDER BY a.commit_position DESC, a.prepare_position DESC`
)

// recordActs adds a batch's acts, and does what they do to the accounts and to earlier acts, one after another: they are few.
func (l *Ledger) recordActs(ctx context.Context, tx *sql.Tx, acts []ledger.Act) error {
	for i := range acts {
		a := &acts[i]
		id := uuid.MustParse(a.EventID)
		if _, err := tx.StmtContext(ctx, l.act).ExecContext(ctx, int64(a.Position.Commit), int64(a.Position.Prepare), id[:], string(a.Kind),
			string(a.Customer), string(a.Loyalty), int64(a.Points), a.Reason, a.Actor, a.Correlation, micros(a.OccurredAt)); err != nil {
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

// actsStatement is selectActs with a filter, and the arguments from ?4 on. What the filter leaves open is not in it. SQLite keeps no
// statistics to plan by, so the first condition is the one whose index leads to the fewest acts, and a sign keeps it from taking
// another.
func actsStatement(f ledger.ActFilter) (string, []any) {
	var wanted, sign string
	var arguments []any
	add := func(condition string, value any) {
		arguments = append(arguments, value)
		wanted += fmt.Sprintf(" AND "+sign+condition, 3+len(arguments))
		sign = "+"
	}
	if f.Waiting {
		wanted, sign = " AND waiting = 1", "+"
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
		kinds := make([]string, len(f.Kinds))
		for i, kind := range f.Kinds {
			kinds[i] = string(kind)
		}
		add("instr(?%d, ' ' || kind || ' ')", " "+strings.Join(kinds, "  ")+" ")
	}
	if !f.From.IsZero() {
		add("occurred_at >= ?%d", micros(f.From))
	}
	if !f.Until.IsZero() {
		add("occurred_at < ?%d", micros(f.Until))
	}
	return strings.Replace(selectActs, "<wanted>", wanted, 1), arguments
}

// Acts reads a page of acts; see ledger.Auditor.
func (l *Ledger) Acts(ctx context.Context, filter ledger.ActFilter, cursor string, limit int) (ledger.Acts, error) {
	before, err := ledger.DecodeActsCursor(filter, cursor)
	if err := domain.JoinInvalid(err, ledger.CheckLimit(limit)); err != nil {
		return ledger.Acts{}, err
	}
	statement, arguments := actsStatement(filter)
	// One act more than asked for tells whether there is another page.
	page, err := l.actsPage(ctx, statement, append([]any{int64(before.Commit), int64(before.Prepare), limit + 1}, arguments...))
	if err != nil {
		return ledger.Acts{}, fmt.Errorf("ledger acts: %w", classify(err))
	}
	if len(page.Acts) > limit {
		page.Acts = page.Acts[:limit]
		page.Next = ledger.EncodeActsCursor(filter, page.Acts[limit-1].Position)
	}
	return page, nil
}

func (l *Ledger) actsPage(ctx context.Context, statement string, arguments []any) (page ledger.Acts, err error) {
	found, err := l.readers.QueryContext(ctx, l.in(statement), arguments...)
	if err != nil {
		return page, err
	}
	defer found.Close()
	var s stateRow
	var a actRow
	targets := append(s.targets(), a.targets()...)
	for found.Next() {
		if err := found.Scan(targets...); err != nil {
			return page, err
		}
		if page.State = s.state(); a.commit.Valid {
			page.Acts = append(page.Acts, a.act())
		}
	}
	return page, found.Err()
}

// actRow is scanned into, again for every row. It is all NULL where a page has no acts.
type actRow struct {
	commit, prepare, points, occurredAt                 sql.Null[int64]
	id                                                  []byte
	kind, customer, loyalty, reason, actor, correlation sql.Null[string]
	waiting                                             sql.Null[bool]
}

func (a *actRow) targets() []any {
	return []any{&a.commit, &a.prepare, &a.id, &a.kind, &a.customer, &a.loyalty, &a.points, &a.reason, &a.actor, &a.correlation, &a.occurredAt, &a.waiting}
}

func (a *actRow) act() ledger.Act {
	return ledger.Act{
		EventID: uuid.UUID(a.id).String(), Kind: ledger.ActKind(a.kind.V), Customer: domain.CustomerID(a.customer.V),
		Loyalty: domain.LoyaltyID(a.loyalty.V), Points: domain.Points(a.points.V), Reason: a.reason.V, Actor: a.actor.V,
		Correlation: a.correlation.V, OccurredAt: fromMicros(a.occurredAt),
		Position: domain.Position{Commit: uint64(a.commit.V), Prepare: uint64(a.prepare.V)}, Decided: a.kind.V == string(ledger.Requested) && !a.waiting.V,
	}
}
