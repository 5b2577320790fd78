package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// State and account come with every entry of the page, or alone if it is empty. The two parts of the position are compared and
// ordered as the key has them.
const (
	selectTrail = `SELECT s.commit_position, s.prepare_position, s.as_of,
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0), coalesce(a.forgotten, false), ` + entryColumns + `
		FROM ledger.state s LEFT JOIN ledger.accounts a ON a.customer = $1
		LEFT JOIN (SELECT * FROM ledger.entries
			WHERE customer = $1 AND (commit_position, prepare_position) < ($2, $3)
			ORDER BY commit_position DESC, prepare_position DESC LIMIT $4) e ON true
		WHERE s.id = 1
		ORDER BY e.commit_position DESC, e.prepare_position DESC`
	// An order has few entries and an index of its own. The offset keeps the server from going through the customer's instead.
	entriesOfOrder = `(SELECT * FROM ledger.entries WHERE order_id COLLATE "C" = $5 OFFSET 0) AS of_order`
)

// trailStatement is selectTrail with a filter, and the arguments from $5 on. What the filter leaves open is not in it, so that the
// server plans for what is.
func trailStatement(f ledger.Filter) (string, []any) {
	var conditions string
	var arguments []any
	add := func(condition string, values ...any) {
		for _, value := range values {
			arguments = append(arguments, value)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", 4+len(arguments)), 1)
		}
		conditions += " AND " + condition
	}
	from := "ledger.entries"
	if f.Order != "" {
		from = entriesOfOrder
		arguments = append(arguments, string(f.Order))
	}
	if len(f.Kinds) > 0 {
		add("kind = ANY(?::text[])", f.Kinds)
		if !slices.Contains(f.Kinds, ledger.Award) {
			add("kind <> 'award'") // for these there is an index
		}
	}
	if f.Channel != "" {
		add("channel = ?", string(f.Channel))
	}
	if !f.From.IsZero() {
		add("occurred_at >= ?", f.From)
	}
	if !f.Until.IsZero() {
		add("occurred_at < ?", f.Until)
	}
	if f.After != (domain.Position{}) {
		add("(commit_position, prepare_position) > (?, ?)", int64(f.After.Commit), int64(f.After.Prepare))
	}
	return strings.NewReplacer("FROM ledger.entries", "FROM "+from, "($2, $3)", "($2, $3)"+conditions).Replace(selectTrail), arguments
}

// Trail reads a page of a customer's entries; see ledger.Reader.
func (l *Ledger) Trail(ctx context.Context, customer domain.CustomerID, filter ledger.Filter, cursor string, limit int) (ledger.Trail, error) {
	before, err := ledger.DecodeCursor(customer, filter, cursor)
	if err := domain.JoinInvalid(err, ledger.CheckLimit(limit)); err != nil {
		return ledger.Trail{}, err
	}
	statement, arguments := trailStatement(filter)
	// One entry more than asked for tells whether there is another page.
	arguments = append([]any{string(customer), int64(before.Commit), int64(before.Prepare), limit + 1}, arguments...)
	page, err := ask(ctx, l, func(ctx context.Context) (ledger.Trail, error) {
		return l.page(ctx, customer, statement, arguments)
	})
	if err != nil {
		return ledger.Trail{}, fmt.Errorf("ledger trail: %w", err)
	}
	if len(page.Entries) > limit {
		page.Entries = page.Entries[:limit]
		page.Next = ledger.EncodeCursor(customer, filter, page.Entries[limit-1].Position)
	}
	return page, nil
}

func (l *Ledger) page(ctx context.Context, customer domain.CustomerID, statement string, arguments []any) (page ledger.Trail, err error) {
	found, err := l.pool.Query(ctx, l.in(statement), arguments...)
	if err != nil {
		return page, err
	}
	var s stateRow
	var a accountRow
	var e entryRow
	targets := append(append(s.targets(), a.targets()...), e.targets()...)
	_, err = pgx.ForEachRow(found, targets, func() error {
		page.State, page.Account = s.state(), a.account(customer)
		if e.commit.Valid {
			page.Entries = append(page.Entries, e.entry(customer))
		}
		return nil
	})
	return page, err
}
