package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// State, account and page come in one statement, and so from one snapshot. It follows the customer's entries back from the one
// before the position ?2, ?3, until it has found ?4 that the filter lets through, come to the place ?5, ?6 after which they are
// to stand, or come to the first. start is the id of the first that it looks at, 0 if there is none, and NULL if there should be
// an entry of the customer's at that position and is not. A position beyond the ledger's is the first page, or the ledger is
// being folded again and has not come to the cursor yet: all it has is then before it. The row with the id 0 is no entry; it
// brings state and account where there is no other.
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
			SELECT e.id, e.previous, ` + wanted + ` FROM trail CROSS JOIN main.entries e ON e.id = trail.next
				WHERE (e.commit_position, e.prepare_position) > (?5, ?6)),
		page AS MATERIALIZED (SELECT id FROM trail WHERE wanted LIMIT 1 + ?4)
		SELECT now.*, ` + entryColumns + `
		FROM now CROSS JOIN page LEFT JOIN main.entries e ON e.id = page.id ORDER BY page.id DESC`
	// wanted is what is left of a filter, each part of which is NULL where it is open. No kind's name is part of another's.
	wanted = `(?7 IS NULL OR instr(?7, e.kind)) AND (?8 IS NULL OR e.channel = ?8) AND (?9 IS NULL OR e.order_id = ?9)
		AND (?10 IS NULL OR e.occurred_at >= ?10) AND (?11 IS NULL OR e.occurred_at < ?11)`
)

func wantedBy(f ledger.Filter) []any {
	arguments := []any{int64(f.After.Commit), int64(f.After.Prepare), nil, nil, nil, micros(f.From), micros(f.Until)}
	if f.After == (domain.Position{}) {
		arguments[0], arguments[1] = -1, -1
	}
	if len(f.Kinds) > 0 {
		kinds := make([]string, len(f.Kinds))
		for i, kind := range f.Kinds {
			kinds[i] = string(kind)
		}
		arguments[2] = strings.Join(kinds, " ")
	}
	if f.Channel != "" {
		arguments[3] = string(f.Channel)
	}
	if f.Order != "" {
		arguments[4] = string(f.Order)
	}
	return arguments
}

// Trail reads a page of a customer's entries; see ledger.Reader.
func (l *Ledger) Trail(ctx context.Context, customer domain.CustomerID, filter ledger.Filter, cursor string, limit int) (ledger.Trail, error) {
	before, err := ledger.DecodeCursor(customer, filter, cursor)
	if err := domain.JoinInvalid(err, ledger.CheckLimit(limit)); err != nil {
		return ledger.Trail{}, err
	}
	// One entry more than asked for tells whether there is another page.
	arguments := append([]any{string(customer), int64(before.Commit), int64(before.Prepare), limit + 1}, wantedBy(filter)...)
	page, err := l.page(ctx, customer, arguments)
	if err != nil {
		return ledger.Trail{}, fmt.Errorf("ledger trail: %w", classify(err))
	}
	if len(page.Entries) > limit {
		page.Entries = page.Entries[:limit]
		page.Next = ledger.EncodeCursor(customer, filter, page.Entries[limit-1].Position)
	}
	return page, nil
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
