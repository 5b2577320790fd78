package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	// OFFSET 0 makes the server use the index of event ids, not scan the customer's entries, of which there may be thousands.
	selectEntry = `SELECT ` + entryColumns + ` FROM (SELECT * FROM ledger.entries WHERE event_id = $1 OFFSET 0) e WHERE e.customer = $2`
	// Every branch stops after $2 rows, because thousands of returns may share an id such as "1". An order has few entries.
	selectFound = `SELECT s.commit_position, s.prepare_position, s.as_of, m.found_by, m.customer, m.order_id, m.event_id, m.occurred_at
		FROM ` + latestState + ` s LEFT JOIN (
			(SELECT 1 AS rank, 'customer' AS found_by, 0::bigint AS commit_position, 0::bigint AS prepare_position,
				customer, '' AS order_id, NULL::uuid AS event_id, NULL::timestamptz AS occurred_at
				FROM ledger.accounts WHERE customer = $1 AND entries > 0)
			UNION ALL
			(SELECT DISTINCT ON (order_id, customer) 2, 'order', commit_position, prepare_position, customer, order_id, event_id, occurred_at
				FROM ledger.entries WHERE order_id COLLATE "C" = ANY($3::text[])
				ORDER BY order_id, customer, commit_position, prepare_position LIMIT $2)
			UNION ALL
			(SELECT 3, 'return', commit_position, prepare_position, customer, order_id, event_id, occurred_at
				FROM ledger.entries WHERE return_id COLLATE "C" = ANY($3::text[]) AND return_id <> '' LIMIT $2)
			UNION ALL
			(SELECT 4, 'loyalty', commit_position, prepare_position, customer, '', event_id, occurred_at
				FROM ledger.entries WHERE loyalty_id COLLATE "C" = ANY($3::text[]) AND loyalty_id <> '' LIMIT $2)) m ON true
		ORDER BY m.rank, m.commit_position, m.prepare_position LIMIT $2`
	selectBucket = `SELECT customer FROM ledger.accounts WHERE drawer = $1 AND drawer > 0`
)

// Entry reads one of a customer's entries; see ledger.Finder.
func (l *Ledger) Entry(ctx context.Context, customer domain.CustomerID, eventID string) (ledger.Entry, error) {
	entry, err := ask(ctx, l, func(ctx context.Context, q querier) (ledger.Entry, error) {
		id, err := uuid.Parse(eventID)
		if err != nil {
			return ledger.Entry{}, domain.ErrNotFound
		}
		var e entryRow
		err = q.QueryRow(ctx, l.in(selectEntry), id, string(customer)).Scan(e.targets()...)
		if errors.Is(err, pgx.ErrNoRows) {
			return ledger.Entry{}, domain.ErrNotFound
		}
		return e.entry(customer), err
	})
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("ledger entry: %w", err)
	}
	return entry, nil
}

// Search looks for an id; see ledger.Finder.
func (l *Ledger) Search(ctx context.Context, id string) (ledger.Found, error) {
	if _, err := domain.ParseFullID[string]("id", id); err != nil {
		_, state, err := l.Account(ctx, "")
		return ledger.Found{State: state}, err
	}
	found, err := ask(ctx, l, func(ctx context.Context, q querier) (found ledger.Found, err error) {
		rows, err := q.Query(ctx, l.in(selectFound), id, ledger.MaxMatches+1, domain.FullIDs(id))
		if err != nil {
			return found, err
		}
		var s stateRow
		var by, customer, order pgtype.Text
		var event pgtype.UUID
		var occurred pgtype.Timestamptz
		err = eachRow(rows, append(s.targets(), &by, &customer, &order, &event, &occurred), func() error {
			found.State = s.state()
			if !by.Valid {
				return nil
			}
			match := ledger.Match{By: ledger.By(by.String), Customer: domain.CustomerID(customer.String), Order: domain.OrderID(order.String)}
			if event.Valid {
				match.EventID, match.OccurredAt = uuid.UUID(event.Bytes).String(), occurred.Time.UTC()
			}
			found.Matches = append(found.Matches, match)
			return nil
		})
		return found, err
	})
	if err != nil {
		return ledger.Found{}, fmt.Errorf("ledger search: %w", err)
	}
	if len(found.Matches) > ledger.MaxMatches {
		found.Matches, found.More = found.Matches[:ledger.MaxMatches], true
	}
	return found, nil
}

// Bucket lists the customers in a bucket; see ledger.Finder.
func (l *Ledger) Bucket(ctx context.Context, bucket ledger.Bucket) ([]domain.CustomerID, error) {
	customers, err := ask(ctx, l, func(ctx context.Context, q querier) ([]domain.CustomerID, error) {
		rows, err := q.Query(ctx, l.in(selectBucket), int16(bucket))
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[domain.CustomerID])
	})
	if err != nil {
		return nil, fmt.Errorf("ledger bucket: %w", err)
	}
	return customers, nil
}
