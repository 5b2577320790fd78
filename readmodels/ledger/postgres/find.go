package postgres

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	selectCustomer = `SELECT s.ledger, a.customer
		FROM ` + latestState + ` s LEFT JOIN (SELECT customer FROM ledger.accounts WHERE customer = $1 AND entries > 0) a ON true`
	// What is found among the entries of a time. Every branch stops after $2 rows, because thousands of returns may share an id such as
	// "1". An order has few entries.
	selectFound = `SELECT s.ledger, m.found_by, m.commit_position, m.prepare_position, m.customer, m.order_id, m.event_id, m.occurred_at
		FROM ` + latestState + ` s LEFT JOIN (
			(SELECT DISTINCT ON (order_id, customer) 'order' AS found_by, commit_position, prepare_position, customer, order_id, event_id, occurred_at
				FROM ledger.entries WHERE order_id COLLATE "C" = ANY($1::text[]) AND <within>
				ORDER BY order_id, customer, commit_position, prepare_position LIMIT $2)
			UNION ALL
			(SELECT 'return', commit_position, prepare_position, customer, order_id, event_id, occurred_at
				FROM ledger.entries WHERE return_id COLLATE "C" = ANY($1::text[]) AND return_id <> '' AND <within> LIMIT $2)
			UNION ALL
			(SELECT 'loyalty', commit_position, prepare_position, customer, '', event_id, occurred_at
				FROM ledger.entries WHERE loyalty_id COLLATE "C" = ANY($1::text[]) AND loyalty_id <> '' AND <within> LIMIT $2)) m ON true`
	// Two ranges choose the partitions as one does, but no index of a partition by the time, which would be a scan of all of it.
	within       = `(occurred_at >= $3 AND occurred_at < $4 OR occurred_at >= $4 AND occurred_at < $5)`
	selectBucket = `SELECT customer FROM ledger.accounts WHERE drawer = $1 AND drawer > 0`
)

// Entry reads one of a customer's entries; see ledger.Finder.
func (l *Ledger) Entry(ctx context.Context, customer domain.CustomerID, eventID string) (ledger.Entry, error) {
	id, err := uuid.Parse(eventID)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("ledger entry: %w", domain.ErrNotFound)
	}
	page, err := l.page(ctx, trail{customer: customer, eventID: id}, domain.Position{Commit: math.MaxInt64, Prepare: math.MaxInt64}, 1)
	if err == nil && len(page.Entries) == 0 {
		err = domain.ErrNotFound
	}
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("ledger entry: %w", err)
	}
	return page.Entries[0], nil
}

// Search looks for an id; see ledger.Finder.
func (l *Ledger) Search(ctx context.Context, id string) (ledger.Found, error) {
	if _, err := domain.ParseFullID[string]("id", id); err != nil {
		_, state, err := l.Account(ctx, "")
		return ledger.Found{State: state}, err
	}
	found, err := ask(ctx, l, func(ctx context.Context, q querier) (ledger.Found, error) { return l.search(ctx, q, id) })
	if err != nil {
		return ledger.Found{}, fmt.Errorf("ledger search: %w", err)
	}
	return found, nil
}

// partitionsAtOnce is in how many partitions of entries one statement looks. Each of them, and of their indexes, takes a lock of those that the server has
// for all its sessions.
const partitionsAtOnce = 100

// No entry is before or after these.
var firstTime, lastTime = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)

// search looks for an id among all partitions of entries as of one position, those of the newest first.
func (l *Ledger) search(ctx context.Context, q querier, id string) (found ledger.Found, err error) {
	at, ledgerID, err := l.settled(ctx)
	if err != nil {
		return found, err
	}
	found.State = at.State()
	var now int64
	var customer pgtype.Text
	if err := replacedIfNone(q.QueryRow(ctx, l.in(selectCustomer), id).Scan(&now, &customer)); err != nil {
		return found, err
	}
	if now != ledgerID {
		return found, errReplaced
	}
	parts, err := l.partitionsOf(ctx, q, "entries")
	if err != nil {
		return found, err
	}
	var all []match
	for of := (span{until: lastTime}); len(parts) > 0 && err == nil; of.until = of.from {
		parts = parts[:max(0, len(parts)-partitionsAtOnce)]
		of.from = firstTime
		if len(parts) > 0 {
			of.from = endOf(parts[len(parts)-1])
		}
		all, err = l.matches(ctx, q, all, ledgerID, domain.FullIDs(id), found.Position, of)
	}
	if err != nil {
		return found, err
	}
	slices.SortFunc(all, func(a, b match) int { return cmp.Or(cmp.Compare(ranks[a.By], ranks[b.By]), a.at.Compare(b.at)) })
	if customer.Valid {
		found.Matches = append(found.Matches, ledger.Match{By: ledger.ByCustomer, Customer: domain.CustomerID(customer.String)})
	}
	orders := map[ledger.Match]bool{}
	for _, m := range all {
		if m.By == ledger.ByOrder {
			// What comes later of an order is in another partition, perhaps.
			order := ledger.Match{Customer: m.Customer, Order: m.Order}
			if orders[order] {
				continue
			}
			orders[order] = true
		}
		if len(found.Matches) == ledger.MaxMatches {
			found.More = true
			break
		}
		found.Matches = append(found.Matches, m.Match)
	}
	return found, nil
}

// ranks is the order of what a search finds.
var ranks = map[ledger.By]int{ledger.ByOrder: 1, ledger.ByReturn: 2, ledger.ByLoyalty: 3}

// match is a match of an entry at a position.
type match struct {
	ledger.Match
	at domain.Position
}

func (l *Ledger) matches(ctx context.Context, q querier, all []match, ledgerID int64, ids []string, to domain.Position, of span) ([]match, error) {
	rows, err := q.Query(ctx, l.in(strings.ReplaceAll(selectFound, "<within>", within)), ids, ledger.MaxMatches+1, of.from, of.from, of.until)
	if err != nil {
		return nil, err
	}
	var now int64
	var commit, prepare pgtype.Int8
	var by, customer, order pgtype.Text
	var event pgtype.UUID
	var occurred pgtype.Timestamptz
	err = eachRow(rows, []any{&now, &by, &commit, &prepare, &customer, &order, &event, &occurred}, func() error {
		if now != ledgerID {
			return errReplaced
		}
		at := domain.Position{Commit: uint64(commit.Int64), Prepare: uint64(prepare.Int64)}
		if by.Valid && !to.Before(at) {
			all = append(all, match{
				ledger.Match{By: ledger.By(by.String), Customer: domain.CustomerID(customer.String), Order: domain.OrderID(order.String),
					EventID: uuid.UUID(event.Bytes).String(), OccurredAt: occurred.Time.UTC()}, at})
		}
		return nil
	})
	return all, err
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
