package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	selectEntry = `SELECT ` + entryColumns + ` FROM main.entries WHERE event_id = ?1 AND customer = ?2`
	// The indexes are divided into parts of 2^14 entries (see the migration), each of which is searched. Every branch stops after ?2
	// entries, because thousands of returns may share an id such as "1". An order has few entries. Ids ascend in the order of the log.
	selectFound = `WITH RECURSIVE
		last AS MATERIALIZED (SELECT commit_position, prepare_position, as_of, entries >> 14 AS part FROM main.state),
		parts (part) AS (SELECT 0 UNION ALL SELECT parts.part + 1 FROM parts, last WHERE parts.part < last.part),
		matches (rank, found_by, id, customer, order_id, event_id, occurred_at) AS (
			SELECT 1, 'customer', 0, customer, '', NULL, NULL FROM main.accounts WHERE customer = ?1 AND entries > 0
			UNION ALL
			SELECT * FROM (SELECT 2, 'order', min(e.id), e.customer, e.order_id, e.event_id, e.occurred_at
				FROM parts CROSS JOIN main.entries e ON e.id >> 14 = parts.part AND e.order_id IN (SELECT value FROM json_each(?3)) GROUP BY e.order_id, e.customer LIMIT ?2)
			UNION ALL
			SELECT * FROM (SELECT 3, 'return', e.id, e.customer, e.order_id, e.event_id, e.occurred_at
				FROM parts CROSS JOIN main.entries e ON e.id >> 14 = parts.part AND e.return_id IN (SELECT value FROM json_each(?3)) AND e.return_id <> '' LIMIT ?2)
			UNION ALL
			SELECT * FROM (SELECT 4, 'loyalty', e.id, e.customer, '', e.event_id, e.occurred_at
				FROM parts CROSS JOIN main.entries e ON e.id >> 14 = parts.part AND e.loyalty_id IN (SELECT value FROM json_each(?3)) AND e.loyalty_id <> '' LIMIT ?2))
		SELECT last.commit_position, last.prepare_position, last.as_of, m.found_by, m.customer, m.order_id, m.event_id, m.occurred_at
		FROM last LEFT JOIN matches m ORDER BY m.rank, m.id LIMIT ?2`
	selectBucket = `SELECT customer FROM main.accounts WHERE drawer = ?1 AND drawer > 0`
)

// Entry reads one of a customer's entries; see ledger.Finder.
func (l *Ledger) Entry(ctx context.Context, customer domain.CustomerID, eventID string) (ledger.Entry, error) {
	var e entryRow
	id, err := uuid.Parse(eventID)
	if err == nil {
		err = l.entry.QueryRowContext(ctx, id[:], string(customer)).Scan(e.targets()...)
	} else {
		err = domain.ErrNotFound
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = domain.ErrNotFound
	}
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("ledger entry: %w", classify(err))
	}
	return e.entry(customer), nil
}

// Search looks for an id; see ledger.Finder.
func (l *Ledger) Search(ctx context.Context, id string) (ledger.Found, error) {
	if _, err := domain.ParseFullID[string]("id", id); err != nil {
		_, state, err := l.Account(ctx, "")
		return ledger.Found{State: state}, err
	}
	found, err := l.search(ctx, id)
	if err != nil {
		return ledger.Found{}, fmt.Errorf("ledger search: %w", classify(err))
	}
	if len(found.Matches) > ledger.MaxMatches {
		found.Matches, found.More = found.Matches[:ledger.MaxMatches], true
	}
	return found, nil
}

func (l *Ledger) search(ctx context.Context, id string) (found ledger.Found, err error) {
	ids, err := json.Marshal(domain.FullIDs(id))
	if err != nil {
		return found, err
	}
	rows, err := l.found.QueryContext(ctx, id, ledger.MaxMatches+1, string(ids))
	if err != nil {
		return found, err
	}
	defer rows.Close()
	var s stateRow
	var by, customer, order sql.Null[string]
	var event []byte
	var occurred sql.Null[int64]
	targets := append(s.targets(), &by, &customer, &order, &event, &occurred)
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return found, err
		}
		found.State = s.state()
		if !by.Valid {
			continue
		}
		match := ledger.Match{By: ledger.By(by.V), Customer: domain.CustomerID(customer.V), Order: domain.OrderID(order.V)}
		if len(event) > 0 {
			match.EventID, match.OccurredAt = uuid.UUID(event).String(), fromMicros(occurred)
		}
		found.Matches = append(found.Matches, match)
	}
	return found, rows.Err()
}

// Bucket lists the customers in a bucket; see ledger.Finder.
func (l *Ledger) Bucket(ctx context.Context, bucket ledger.Bucket) (customers []domain.CustomerID, err error) {
	rows, err := l.bucket.QueryContext(ctx, int64(bucket))
	if err != nil {
		return nil, fmt.Errorf("ledger bucket: %w", classify(err))
	}
	defer rows.Close()
	for rows.Next() {
		var customer domain.CustomerID
		if err := rows.Scan(&customer); err != nil {
			return nil, fmt.Errorf("ledger bucket: %w", classify(err))
		}
		customers = append(customers, customer)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ledger bucket: %w", classify(err))
	}
	return customers, nil
}
