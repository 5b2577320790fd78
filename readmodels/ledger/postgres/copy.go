package postgres

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// copyEntries takes its rows as copyRows makes them.
const copyEntries = `COPY ledger.entries (customer, commit_position, prepare_position, event_id, kind, points, total, occurred_at,
	stream, revision, order_id, return_id, loyalty_id, amount_minor, currency, channel, actor, reason, correlation) FROM STDIN (FORMAT binary)`

const copyColumns = 19

// copyRows writes entries in the binary format of COPY, as the manual of Postgres describes it: a header of 19 bytes; for
// each row the number of its fields (2 bytes) and each field with its length (4) before it, all big endian; and a row of -1
// fields at the end. It is written here, and not by the driver, because entries go in by the thousand, and the driver
// allocates memory for every field.
func copyRows(entries []ledger.Entry, totals []domain.Points) ([]byte, error) {
	const ofEach = 384 // bytes that a row takes, or less
	rows := make([]byte, 0, 32+ofEach*len(entries))
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
		rows = appendInteger(rows, int32(totals[i]))
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

// epoch is where Postgres counts the microseconds of a time from.
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
