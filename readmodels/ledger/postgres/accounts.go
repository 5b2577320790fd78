package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

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

// selectPiece selects the position of the ledger now and which ledger it is, in a row without a customer, and the accounts after $1, and up to $2 if that is
// not empty, as they are now, with the place in the log where those have changed last that have since the position $3, $4.
const selectPiece = `SELECT NULL AS customer, s.commit_position AS points, NULL::timestamptz AS reached_at, s.prepare_position AS entries,
		false AS forgotten, NULL::bigint AS changed_commit, NULL::bigint AS changed_prepare, s.ledger
	FROM ` + latestState + ` s
	UNION ALL SELECT customer, points, reached_at, entries, forgotten,
		CASE WHEN (commit_position, prepare_position) > ($3::bigint, $4::bigint) THEN commit_position END,
		CASE WHEN (commit_position, prepare_position) > ($3::bigint, $4::bigint) THEN prepare_position END, NULL::bigint
	FROM ledger.accounts WHERE customer > $1 AND ($2 = '' OR customer <= $2)`

// Accounts streams every account that ever changed or is forgotten; see ledger.Reader. It reads ranges of customers at once over several
// connections, each with a statement of its own, and holds nothing between two of them.
//
// It is domain.ErrUnavailable if another ledger takes the place of this one meanwhile, or the ledger goes back, as at a failover to a
// standby that is behind.
func (l *Ledger) Accounts(ctx context.Context, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	return l.pieces(ctx, selectPiece, nil, yield)
}

// pieces streams what a statement selects of all accounts, like selectPiece, with more arguments from $5 on.
func (l *Ledger) pieces(ctx context.Context, statement string, more []any, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	at, ledgerID, err := l.settled(ctx)
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
		ranges <- accountRange{l, statement, more, at.Position, ledgerID, bounds[i], bounds[i+1], yield}
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
	statement   string
	more        []any
	at          domain.Position
	ledgerID    int64
	after, last string
	yield       func(ledger.Piece) error
}

func (r accountRange) read(ctx context.Context) error {
	p, err := ask(ctx, r.Ledger, r.piece)
	if err == nil && (p.position.Before(r.at) || p.ledgerID != r.ledgerID) {
		err = fmt.Errorf("%w: the ledger was replaced or went back while it was read", domain.ErrUnavailable)
	}
	if err != nil {
		return fmt.Errorf("ledger accounts: %w", err)
	}
	if len(p.same) > 0 {
		err = r.yield(ledger.Piece{Accounts: p.same})
	}
	for i := 0; err == nil && i < len(p.changed); i++ {
		err = r.yield(p.changed[i])
	}
	return err
}

// piece is the accounts of a range that are to be listed: the same as at the beginning, and others, each where it changed last. position is where the
// ledger was, and ledgerID identifies it.
type piece struct {
	position domain.Position
	ledgerID int64
	same     []ledger.Account
	changed  []ledger.Piece
}

// piece reads the range. It decodes the few columns of the very many rows itself, which takes a quarter of the time.
func (r accountRange) piece(ctx context.Context, q querier) (p piece, err error) {
	arguments := append([]any{pgx.QueryExecModeCacheDescribe, pgx.QueryResultFormats{pgx.BinaryFormatCode},
		r.after, r.last, int64(r.at.Commit), int64(r.at.Prepare)}, r.more...)
	found, err := q.Query(ctx, r.in(r.statement), arguments...)
	if err != nil {
		return p, err
	}
	defer found.Close()
	var customers []byte // of all, so that they are one text
	var lengths []int32
	var accounts []ledger.Account
	var changed []domain.Position
	known := false
	for found.Next() {
		row := found.RawValues()
		if row[0] == nil {
			known, p.ledgerID = true, number(row[7])
			p.position = domain.Position{Commit: uint64(number(row[1])), Prepare: uint64(number(row[3]))}
			continue
		}
		customers = append(customers, row[0]...)
		lengths = append(lengths, int32(len(row[0])))
		a := ledger.Account{Points: domain.Points(number(row[1])), Entries: number(row[3]), Forgotten: row[4][0] != 0}
		if row[2] != nil {
			a.ReachedAt = time.UnixMicro(number(row[2]) + epoch).UTC()
		}
		var at domain.Position
		if row[5] != nil {
			at = domain.Position{Commit: uint64(number(row[5])), Prepare: uint64(number(row[6]))}
		}
		accounts, changed = append(accounts, a), append(changed, at)
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
		case changed[i] != domain.Position{}:
			p.changed = append(p.changed, ledger.Piece{At: changed[i], Accounts: []ledger.Account{a}})
		default:
			p.same = append(p.same, a)
		}
	}
	return p, nil
}

// number decodes a bigint or a timestamp in the binary form of the protocol.
func number(value []byte) int64 { return int64(binary.BigEndian.Uint64(value)) }

// selectSeason is selectPiece for a season. It sums by customer: the months from $5 (inclusive) until $6 (exclusive), and the entries from $7 until $8 and from
// $9 until $10. The greatest place is of the last entry that changed the total, and its third element is the time.
const selectSeason = `SELECT NULL AS customer, s.commit_position AS points, NULL::timestamptz AS reached_at, s.prepare_position AS entries,
		false AS forgotten, NULL::bigint AS changed_commit, NULL::bigint AS changed_prepare, s.ledger
	FROM ` + latestState + ` s
	UNION ALL SELECT a.customer, coalesce(e.points, 0), to_timestamp(0) + e.place[3] * interval '1 microsecond', coalesce(e.entries, 0),
		a.forgotten, CASE WHEN (a.commit_position, a.prepare_position) > ($3::bigint, $4::bigint) THEN a.commit_position END,
		CASE WHEN (a.commit_position, a.prepare_position) > ($3::bigint, $4::bigint) THEN a.prepare_position END, NULL::bigint
	FROM ledger.accounts a LEFT JOIN (
		SELECT customer, sum(points)::bigint AS points, sum(entries)::bigint AS entries, max(place) AS place FROM (
			SELECT customer, points, entries, CASE WHEN (changed_commit, changed_prepare) <> (0, 0) THEN ARRAY[changed_commit, changed_prepare,
				(extract(epoch FROM reached_at) * 1000000)::bigint] END AS place
			FROM ledger.sums WHERE month >= $5 AND month < $6 AND customer > $1 AND ($2 = '' OR customer <= $2)
			UNION ALL
			SELECT customer, month_points, month_entries, CASE WHEN (month_changed_commit, month_changed_prepare) <> (0, 0)
				THEN ARRAY[month_changed_commit, month_changed_prepare, (extract(epoch FROM month_reached_at) * 1000000)::bigint] END
			FROM ledger.accounts WHERE month >= $5 AND month < $6 AND month_entries > 0 AND customer > $1 AND ($2 = '' OR customer <= $2)
			UNION ALL
			SELECT customer, points, 1, CASE WHEN points <> 0 THEN ARRAY[commit_position, prepare_position, (extract(epoch FROM occurred_at) * 1000000)::bigint] END
			FROM ledger.entries WHERE (occurred_at >= $7 AND occurred_at < $8 OR occurred_at >= $9 AND occurred_at < $10)
				AND customer > $1 AND ($2 = '' OR customer <= $2)
		) parts GROUP BY customer HAVING max(place) IS NOT NULL) e ON e.customer = a.customer
	WHERE (e.customer IS NOT NULL OR a.forgotten) AND a.customer > $1 AND ($2 = '' OR a.customer <= $2)`

// span is a range of time, from inclusive, until exclusive.
type span struct{ from, until time.Time }

// split divides a range of time into the whole months that it contains, from first (inclusive) until end (exclusive), and what is left before and after.
func (s span) split() (first, end month, rest [2]span) {
	first, end = monthOf(s.from), monthOf(s.until)
	if first.start().Before(s.from) {
		first++
	}
	if first >= end {
		return 0, 0, [2]span{s, {s.until, s.until}}
	}
	return first, end, [2]span{{s.from, first.start()}, {end.start(), s.until}}
}

// AccountsWithin streams the accounts of a range of time, in pieces as Accounts does; see ledger.Seasons. It reads the sums of whole months, and the entries of
// what is left of a month at the beginning and the end.
func (l *Ledger) AccountsWithin(ctx context.Context, from, until time.Time, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	first, end, rest := span{from.Truncate(time.Microsecond), until.Truncate(time.Microsecond)}.split()
	at, err := l.pieces(ctx, selectSeason, []any{int32(first), int32(end), rest[0].from, rest[0].until, rest[1].from, rest[1].until}, yield)
	if err != nil {
		return ledger.Snapshot{}, err
	}
	// A partition that was there all the time is still there.
	if err := l.archived(ctx, rest); err != nil {
		return ledger.Snapshot{}, fmt.Errorf("ledger accounts: %w", err)
	}
	return at, nil
}
