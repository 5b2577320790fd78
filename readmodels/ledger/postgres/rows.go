package postgres

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// stateRow, accountRow and entryRow receive one row after another. NULL is zero.
type stateRow struct {
	commit, prepare int64
	asOf            pgtype.Timestamptz
}

func (s *stateRow) targets() []any { return []any{&s.commit, &s.prepare, &s.asOf} }

func (s *stateRow) state() ledger.State {
	return ledger.State{Position: domain.Position{Commit: uint64(s.commit), Prepare: uint64(s.prepare)}, AsOf: s.asOf.Time.UTC()}
}

type accountRow struct {
	points, entries pgtype.Int8
	reachedAt       pgtype.Timestamptz
	forgotten       pgtype.Bool
}

func (a *accountRow) targets() []any {
	return []any{&a.points, &a.reachedAt, &a.entries, &a.forgotten}
}

func (a *accountRow) account(customer domain.CustomerID) ledger.Account {
	return ledger.Account{Customer: customer, Points: domain.Points(a.points.Int64), ReachedAt: a.reachedAt.Time.UTC(), Entries: a.entries.Int64, Forgotten: a.forgotten.Bool}
}

type entryRow struct {
	commit, prepare, points, total, revision, amount          pgtype.Int8
	id                                                        pgtype.UUID
	occurredAt                                                pgtype.Timestamptz
	kind, stream, order, returned, loyalty, currency, channel pgtype.Text
	actor, reason, correlation                                pgtype.Text
}

// entryColumns are the columns of an entry, in the order of entryRow.targets.
const entryColumns = `e.commit_position, e.prepare_position, e.event_id, e.kind, e.points, e.total, e.occurred_at, e.stream, e.revision,
	e.order_id, e.return_id, e.loyalty_id, e.amount_minor, e.currency, e.channel, e.actor, e.reason, e.correlation`

func (e *entryRow) targets() []any {
	return []any{&e.commit, &e.prepare, &e.id, &e.kind, &e.points, &e.total, &e.occurredAt, &e.stream, &e.revision,
		&e.order, &e.returned, &e.loyalty, &e.amount, &e.currency, &e.channel, &e.actor, &e.reason, &e.correlation}
}

func (e *entryRow) entry(customer domain.CustomerID) ledger.Entry {
	return ledger.Entry{
		EventID: uuid.UUID(e.id.Bytes).String(), Customer: customer, Kind: ledger.Kind(e.kind.String),
		Points: domain.Points(e.points.Int64), Total: domain.Points(e.total.Int64), OccurredAt: e.occurredAt.Time.UTC(),
		Position: domain.Position{Commit: uint64(e.commit.Int64), Prepare: uint64(e.prepare.Int64)},
		Stream:   e.stream.String, Revision: uint64(e.revision.Int64),
		Order: domain.OrderID(e.order.String), Return: domain.ReturnID(e.returned.String), Loyalty: domain.LoyaltyID(e.loyalty.String),
		Amount:  domain.Money{Minor: e.amount.Int64, Currency: domain.Currency(e.currency.String)},
		Channel: domain.Channel(e.channel.String), Actor: e.actor.String, Reason: e.reason.String, Correlation: e.correlation.String,
	}
}

// copyEntries takes rows in the format of copyRows.
const copyEntries = `COPY ledger.entries (customer, commit_position, prepare_position, event_id, kind, points, total, occurred_at,
	stream, revision, order_id, return_id, loyalty_id, amount_minor, currency, channel, actor, reason, correlation) FROM STDIN (FORMAT binary)`

const copyColumns = 19

// copyRows encodes entries in the binary format of COPY (PostgreSQL documentation, COPY, "Binary Format"): a header of 19 bytes; for
// each row the number of its fields (2 bytes), and each field after its length (4 bytes), all big endian; and -1 as the number of
// fields at the end. The driver's own encoding allocates for every field, which is too slow for batches of thousands of entries.
func copyRows(entries []ledger.Entry, totals []domain.Points) ([]byte, error) {
	const rowSize = 384 // bytes; most rows take less
	rows := make([]byte, 0, 32+rowSize*len(entries))
	rows = append(rows, "PGCOPY\n\xff\r\n\x00"...)
	rows = append(rows, make([]byte, 8)...) // no flags, no extension
	for i := range entries {
		e := &entries[i]
		id, err := uuid.Parse(e.EventID)
		if err != nil {
			return nil, err
		}
		rows = binary.BigEndian.AppendUint16(rows, copyColumns)
		rows = appendField(rows, e.Customer)
		rows = appendBigint(rows, int64(e.Position.Commit))
		rows = appendBigint(rows, int64(e.Position.Prepare))
		rows = appendField(rows, id[:])
		rows = appendField(rows, e.Kind)
		rows = appendInteger(rows, int32(e.Points))
		rows = appendBigint(rows, int64(totals[i]))
		rows = appendBigint(rows, e.OccurredAt.UnixMicro()-epoch)
		rows = appendField(rows, e.Stream)
		rows = appendBigint(rows, int64(e.Revision))
		rows = appendField(rows, e.Order)
		rows = appendField(rows, e.Return)
		rows = appendField(rows, e.Loyalty)
		rows = appendBigint(rows, e.Amount.Minor)
		rows = appendField(rows, e.Amount.Currency)
		rows = appendField(rows, e.Channel)
		rows = appendField(rows, e.Actor)
		rows = appendField(rows, e.Reason)
		rows = appendField(rows, e.Correlation)
	}
	return append(rows, 0xff, 0xff), nil
}

// epoch is the zero of Postgres's timestamps, in microseconds since 1970.
var epoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

func appendField[T ~string | ~[]byte](rows []byte, value T) []byte {
	return append(binary.BigEndian.AppendUint32(rows, uint32(len(value))), value...)
}

func appendBigint(rows []byte, value int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(rows, 8), uint64(value))
}

func appendInteger(rows []byte, value int32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(rows, 4), uint32(value))
}
