package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// selectTrail reads state, account and page in one statement, and so from one snapshot. Every entry has the id of the customer's previous
// entry. From the position ?2, ?3 it follows these links backwards, until it has found ?4 entries that match the filter, or has reached
// the position ?5, ?6 (exclusive) or the first entry.
//
// start is the id of the first entry to look at: 0 if there is none, NULL if the customer has no entry at ?2, ?3, the position of a
// cursor, though the ledger has come that far. If the position is beyond the ledger's, either the first page is asked for, or the ledger
// is being rebuilt and has not reached the cursor, and all its entries are before that. The row with the id 0 is no entry; it carries
// state and account if no entry matches.
const (
	selectTrail = `WITH RECURSIVE
		now AS MATERIALIZED (
			SELECT s.commit_position AS at_commit, s.prepare_position AS at_prepare, s.as_of,
				coalesce(a.points, 0) AS has, a.reached_at, coalesce(a.entries, 0) AS had, coalesce(a.forgotten, 0) AS gone,
				CASE WHEN (s.commit_position, s.prepare_position) < (?2, ?3) THEN coalesce(a.newest, 0)
					ELSE (SELECT previous FROM main.entries WHERE commit_position = ?2 AND prepare_position = ?3 AND customer = ?1)
				END AS start
			FROM main.state s LEFT JOIN main.accounts a ON a.customer = ?1),
		trail (id, next, wanted) AS (
			SELECT 0, start, true FROM now
			UNION ALL
			SELECT e.id, e.previous, ` + matches + ` FROM trail CROSS JOIN main.entries e ON e.id = trail.next
				WHERE (e.commit_position, e.prepare_position) > (?5, ?6)),
		page AS MATERIALIZED (SELECT id FROM trail WHERE wanted LIMIT 1 + ?4)
		SELECT now.*, ` + entryColumns + `
		FROM now CROSS JOIN page LEFT JOIN main.entries e ON e.id = page.id ORDER BY page.id DESC`
	// matches is the rest of a filter; an argument is NULL where the filter is open. No kind's name is part of another's, and
	// ids have spaces around them.
	matches = `(?7 IS NULL OR instr(?7, e.kind)) AND (?8 IS NULL OR e.channel = ?8) AND (?9 IS NULL OR instr(?9, ' ' || e.order_id || ' '))
		AND (?10 IS NULL OR e.occurred_at >= ?10) AND (?11 IS NULL OR e.occurred_at < ?11)`
)

// filterArguments are ?5 to ?11 of selectTrail.
func filterArguments(customer domain.CustomerID, f ledger.Filter) []any {
	arguments := []any{int64(f.After.Commit), int64(f.After.Prepare), nil, nil, nil, micros(f.From), micros(f.Until)}
	if f.After == (domain.Position{}) {
		arguments[0], arguments[1] = -1, -1
	}
	if len(f.Kinds) > 0 {
		arguments[2] = joined(f.Kinds, " ")
	}
	if f.Channel != "" {
		arguments[3] = string(f.Channel)
	}
	if f.Order != "" {
		arguments[4] = " " + joined(f.Orders(customer), " ") + " "
	}
	return arguments
}

// joined joins texts.
func joined[T ~string](texts []T, separator string) string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = string(text)
	}
	return strings.Join(all, separator)
}

// Trail reads a page of a customer's entries; see ledger.Reader.
func (l *Ledger) Trail(ctx context.Context, customer domain.CustomerID, filter ledger.Filter, cursor string, limit int) (ledger.Trail, error) {
	return ledger.ReadTrail(customer, filter, cursor, limit, func(before domain.Position, most int) (ledger.Trail, error) {
		arguments := append([]any{string(customer), int64(before.Commit), int64(before.Prepare), most}, filterArguments(customer, filter)...)
		page, err := l.page(ctx, customer, arguments)
		if err != nil {
			return page, fmt.Errorf("ledger trail: %w", classify(err))
		}
		return page, nil
	})
}

func (l *Ledger) page(ctx context.Context, customer domain.CustomerID, arguments []any) (page ledger.Trail, err error) {
	found, err := l.trail.QueryContext(ctx, arguments...)
	if err != nil {
		return page, err
	}
	defer found.Close()
	var now nowRow
	var start sql.Null[int64]
	var e entryRow
	targets := append(append(now.targets(), &start), e.targets()...)
	for found.Next() {
		if err := found.Scan(targets...); err != nil {
			return page, err
		}
		if !start.Valid {
			return page, ledger.ErrCursor
		}
		if e.commit.Valid {
			page.Entries = append(page.Entries, e.entry(customer))
		}
	}
	page.Account, page.State = now.account(customer), now.state()
	return page, found.Err()
}
