package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	// accountsPerPiece is about how many accounts a piece has. One takes some hundred milliseconds. The server reads a piece in the order of the table, so
	// that a page is read once in a piece, and sorts nothing.
	accountsPerPiece = 200_000
	// accountReaders is how many connections read pieces at once.
	accountReaders = 4
	// accountSample is the percentage of the table's pages among whose customers the bounds of the pieces are.
	accountSample = 0.5
)

// selectPiece selects the position of the ledger now and which table that is from, in a row without a customer, and the accounts
// after $1, and up to $2 if that is not empty, as they are now, and whether they may have changed after the position $3, $4. It is
// one statement, and so one snapshot.
const selectPiece = `SELECT NULL AS customer, s.commit_position AS points, NULL::timestamptz AS reached_at, s.prepare_position AS entries,
		false AS forgotten, false AS changed, s.tableoid::bigint AS state
	FROM ` + latestState + ` s
	UNION ALL SELECT customer, points, reached_at, entries, forgotten, (commit_position, prepare_position) > ($3::bigint, $4::bigint), NULL::bigint
	FROM ledger.accounts WHERE customer > $1 AND ($2 = '' OR customer <= $2)`

// Accounts streams every account that ever changed or is forgotten; see ledger.Reader. It reads ranges of customers at once over several
// connections, each with a statement of its own, and holds nothing between two of them.
//
// It is domain.ErrUnavailable if another ledger takes the place of this one meanwhile, or the ledger goes back, as at a failover to a
// standby that is behind.
func (l *Ledger) Accounts(ctx context.Context, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	at, table, err := l.now(ctx)
	if err != nil {
		return ledger.Snapshot{}, fmt.Errorf("ledger accounts: %w", err)
	}
	bounds, err := ask(ctx, l, l.sample)
	if err != nil {
		return ledger.Snapshot{}, fmt.Errorf("ledger accounts: %w", err)
	}
	bounds = append(append([]string{""}, bounds...), "")
	ranges := make(chan accountRange, len(bounds))
	for i := range bounds[1:] {
		ranges <- accountRange{Ledger: l, at: at.Position, table: table, after: bounds[i], last: bounds[i+1], yield: yield}
	}
	close(ranges)
	if err := readAll(ctx, l.readers, ranges); err != nil {
		return ledger.Snapshot{}, err
	}
	return at, nil
}

// readAll reads ranges, so many at once, until one fails.
func readAll(ctx context.Context, atOnce int, ranges <-chan accountRange) (failed error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var first sync.Once
	var readers sync.WaitGroup
	read := func() {
		for r := range ranges {
			if err := r.read(ctx); err != nil {
				first.Do(func() { failed = err })
				stop()
				return
			}
		}
	}
	for range min(atOnce, len(ranges)) - 1 {
		readers.Go(read)
	}
	read()
	readers.Wait()
	return failed
}

// sample is some customers in order, between whom there are about as many as in a piece; of few accounts it may be nobody.
func (l *Ledger) sample(ctx context.Context, q querier) (some []string, err error) {
	found, err := q.Query(ctx, l.in(`SELECT customer FROM ledger.accounts TABLESAMPLE SYSTEM ($1::real)`), l.sampled)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(found, pgx.RowTo[string])
	slices.Sort(all) // as the server does
	each := max(int(float32(l.perPiece)*l.sampled/100), 1)
	for i := each; i < len(all); i += each {
		some = append(some, all[i])
	}
	return some, err
}

// accountRange is the customers after one and up to the last, or from there on if that is empty.
type accountRange struct {
	*Ledger
	at          domain.Position
	table       int64
	after, last string
	yield       func(ledger.Piece) error
}

func (r accountRange) read(ctx context.Context) error {
	p, err := ask(ctx, r.Ledger, r.piece)
	if err == nil && (p.position.Before(r.at) || p.table != r.table) {
		err = fmt.Errorf("%w: the ledger was replaced or went back while it was read", domain.ErrUnavailable)
	}
	if err != nil {
		return fmt.Errorf("ledger accounts: %w", err)
	}
	for _, some := range []ledger.Piece{{Accounts: p.same}, {At: p.position, Accounts: p.changed}} {
		if len(some.Accounts) > 0 {
			if err := r.yield(some); err != nil {
				return err
			}
		}
	}
	return nil
}

// piece is the accounts of a range that are to be listed. position is where the ledger was, and table identifies it.
type piece struct {
	position      domain.Position
	table         int64
	same, changed []ledger.Account
}

// piece reads the range. It decodes the few columns of the very many rows itself, which takes a quarter of the time.
func (r accountRange) piece(ctx context.Context, q querier) (p piece, err error) {
	found, err := q.Query(ctx, r.in(selectPiece), pgx.QueryExecModeCacheDescribe, pgx.QueryResultFormats{pgx.BinaryFormatCode},
		r.after, r.last, int64(r.at.Commit), int64(r.at.Prepare))
	if err != nil {
		return p, err
	}
	defer found.Close()
	var customers []byte // of all, so that they are one text
	var lengths []int32
	var accounts []ledger.Account
	var changed []bool
	known := false
	for found.Next() {
		row := found.RawValues()
		if row[0] == nil {
			known, p.table = true, number(row[6])
			p.position = domain.Position{Commit: uint64(number(row[1])), Prepare: uint64(number(row[3]))}
			continue
		}
		customers = append(customers, row[0]...)
		lengths = append(lengths, int32(len(row[0])))
		a := ledger.Account{Points: domain.Points(number(row[1])), Entries: number(row[3]), Forgotten: row[4][0] != 0}
		if row[2] != nil {
			a.ReachedAt = time.UnixMicro(number(row[2]) + sinceUnix).UTC()
		}
		accounts, changed = append(accounts, a), append(changed, row[5][0] != 0)
	}
	if err := found.Err(); err != nil {
		return p, err
	}
	if !known {
		return p, errReplaced
	}
	text := string(customers)
	p.same = accounts[:0]
	for i, a := range accounts {
		customer := text[:lengths[i]]
		text = text[lengths[i]:]
		a.Customer = domain.CustomerID(customer)
		switch {
		case a.ReachedAt.IsZero() && !a.Forgotten:
		case changed[i]:
			p.changed = append(p.changed, a)
		default:
			p.same = append(p.same, a)
		}
	}
	return p, nil
}

// number decodes a bigint or a timestamp in the binary form of the protocol.
func number(value []byte) int64 { return int64(binary.BigEndian.Uint64(value)) }

// sinceUnix is the beginning of the server's timestamps, in microseconds since 1970.
var sinceUnix = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

// selectSeason sums the entries of a range of time by customer. It reads the partitions of these months alone. The greatest array is
// of the last entry, and its third element is the time. Forgotten customers are included with or without entries.
const selectSeason = `SELECT s.commit_position, s.prepare_position, s.as_of, s.origin, a.customer, coalesce(a.points, 0),
		to_timestamp(0) + a.last[3] * interval '1 microsecond', coalesce(a.entries, 0), coalesce(a.forgotten, false)
	FROM ` + latestState + ` s LEFT JOIN (
		SELECT coalesce(e.customer, f.customer) AS customer, e.points, e.last, e.entries, f.customer IS NOT NULL AS forgotten
		FROM (
			SELECT customer, sum(points) AS points, count(*) AS entries, max(ARRAY[commit_position, prepare_position,
				(extract(epoch FROM occurred_at) * 1000000)::bigint]) FILTER (WHERE points <> 0) AS last
			FROM ledger.entries WHERE occurred_at >= $1 AND occurred_at < $2 GROUP BY customer
			HAVING bool_or(points <> 0)
		) e FULL JOIN (SELECT customer FROM ledger.accounts WHERE forgotten) f ON f.customer = e.customer
	) a ON true`

// AccountsWithin streams the accounts of a range of time; see ledger.Seasons. It is one statement, since the entries of a time lie together and
// those of a customer do not. While it runs, vacuum can't remove row versions that are newer than its snapshot.
func (l *Ledger) AccountsWithin(ctx context.Context, from, until time.Time, yield func(ledger.Account) error) (ledger.Snapshot, error) {
	var a accountRow
	var origin string
	var customer pgtype.Text
	state, err := l.stream(ctx, "ledger accounts", selectSeason, []any{from.Truncate(time.Microsecond), until.Truncate(time.Microsecond)},
		append([]any{&origin, &customer}, a.targets()...), func() error {
			if !customer.Valid {
				return nil
			}
			return yield(a.account(domain.CustomerID(customer.String)))
		})
	if err != nil {
		return ledger.Snapshot{}, err
	}
	return ledger.NewSnapshot(state, origin)
}
