package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Every row has the state and the account; an empty page is one row with these alone. The parts of the position are compared and ordered
// as in the primary key.
const (
	selectTrail = `SELECT s.commit_position, s.prepare_position, s.as_of,
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0), coalesce(a.forgotten, false), ` + entryColumns + `
		FROM ` + latestState + ` s LEFT JOIN ledger.accounts a ON a.customer = $1
		LEFT JOIN (SELECT * FROM ledger.entries
			WHERE customer = $1 AND (commit_position, prepare_position) < ($2, $3)
			ORDER BY commit_position DESC, prepare_position DESC LIMIT $4) e ON true
		ORDER BY e.commit_position DESC, e.prepare_position DESC`
	// An order has few entries, and there is an index of orders. OFFSET 0 makes the server use it, not scan the customer's entries.
	entriesOfOrder = `(SELECT * FROM ledger.entries WHERE order_id COLLATE "C" = ANY($5::text[]) OFFSET 0) AS of_order`
)

// conditions are those of a filter: their text, and their arguments, which follow before others.
type conditions struct {
	before    int
	text      string
	arguments []any
}

// add adds a condition, in which every ? stands for one of the values.
func (c *conditions) add(condition string, values ...any) {
	for _, value := range values {
		c.arguments = append(c.arguments, value)
		condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", c.before+len(c.arguments)), 1)
	}
	c.text += " AND " + condition
}

// occurred adds the bounds of a time, of which a zero one is open.
func (c *conditions) occurred(from, until time.Time) {
	if !from.IsZero() {
		c.add("occurred_at >= ?", from)
	}
	if !until.IsZero() {
		c.add("occurred_at < ?", until)
	}
}

// trailStatement is selectTrail with a filter, and its arguments from $5 on. It has no condition for what the filter leaves open, so
// that the server plans for what is set.
func trailStatement(customer domain.CustomerID, f ledger.Filter) (string, []any) {
	c := conditions{before: 4}
	from := "ledger.entries"
	if f.Order != "" {
		from = entriesOfOrder
		c.arguments = append(c.arguments, f.Orders(customer))
	}
	if len(f.Kinds) > 0 {
		c.add("kind = ANY(?::text[])", f.Kinds)
		if !slices.Contains(f.Kinds, ledger.Award) {
			c.add("kind <> 'award'") // there is an index with this condition
		}
	}
	if f.Channel != "" {
		c.add("channel = ?", string(f.Channel))
	}
	c.occurred(f.From, f.Until)
	if f.After != (domain.Position{}) {
		c.add("(commit_position, prepare_position) > (?, ?)", int64(f.After.Commit), int64(f.After.Prepare))
	}
	return strings.NewReplacer("FROM ledger.entries", "FROM "+from, "($2, $3)", "($2, $3)"+c.text).Replace(selectTrail), c.arguments
}

// Trail reads a page of a customer's entries; see ledger.Reader.
func (l *Ledger) Trail(ctx context.Context, customer domain.CustomerID, filter ledger.Filter, cursor string, limit int) (ledger.Trail, error) {
	return ledger.ReadTrail(customer, filter, cursor, limit, func(before domain.Position, most int) (ledger.Trail, error) {
		statement, arguments := trailStatement(customer, filter)
		arguments = append([]any{string(customer), int64(before.Commit), int64(before.Prepare), most}, arguments...)
		page, err := ask(ctx, l, func(ctx context.Context, q querier) (ledger.Trail, error) {
			return l.page(ctx, q, customer, statement, arguments)
		})
		if err != nil {
			return page, fmt.Errorf("ledger trail: %w", err)
		}
		return page, nil
	})
}

func (l *Ledger) page(ctx context.Context, q querier, customer domain.CustomerID, statement string, arguments []any) (page ledger.Trail, err error) {
	found, err := q.Query(ctx, l.in(statement), arguments...)
	if err != nil {
		return page, err
	}
	var s stateRow
	var a accountRow
	var e entryRow
	targets := append(append(s.targets(), a.targets()...), e.targets()...)
	err = eachRow(found, targets, func() error {
		page.State, page.Account = s.state(), a.account(customer)
		if e.commit.Valid {
			page.Entries = append(page.Entries, e.entry(customer))
		}
		return nil
	})
	return page, err
}
