package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"loyalty/domain"
)

// A cursor is the position of the last entry or audit record of a page, so it means the same however many have arrived since, and in a
// ledger that was folded again. In bytes: the format (2), commit and prepare (8 each, big endian), and a tag (8) that binds them
// to what is read, the trail of a customer or the audit records, and to the filter. The tag keeps a cursor from being used by mistake; who
// may read what is decided elsewhere.
const (
	cursorFormat = 2
	cursorTag    = 8
	cursorSize   = 1 + 8 + 8 + cursorTag
)

var cursorText = base64.RawURLEncoding

// ErrCursor is domain.ErrInvalid with the field cursor and the code cursor_invalid.
var ErrCursor = domain.Invalid("cursor", "cursor_invalid", "a cursor is what an earlier page of the same list, read with the same filter, gave as its next")

// EncodeCursor makes the cursor that leads to a customer's entries that a filter lets through before a position of at most
// math.MaxInt64 in both parts.
func EncodeCursor(customer domain.CustomerID, filter Filter, before domain.Position) string {
	return encodeCursor(trailOf(customer), filter, before)
}

// DecodeCursor reads the position before which the next page starts. The empty cursor is the first page: it leads to the
// last position there can be. Anything that EncodeCursor did not make for this customer and filter is ErrCursor.
func DecodeCursor(customer domain.CustomerID, filter Filter, cursor string) (before domain.Position, err error) {
	return decodeCursor(trailOf(customer), filter, cursor)
}

// EncodeAuditCursor makes the cursor that leads to the audit records that a filter lets through before a position; see EncodeCursor.
func EncodeAuditCursor(filter AuditFilter, before domain.Position) string {
	return encodeCursor(auditLog, filter, before)
}

// DecodeAuditCursor reads the position before which the next page of audit records starts; see DecodeCursor.
func DecodeAuditCursor(filter AuditFilter, cursor string) (before domain.Position, err error) {
	return decodeCursor(auditLog, filter, cursor)
}

// What is read, as a cursor's tag has it.
const auditLog = "acts"

func trailOf(customer domain.CustomerID) string { return "trail of " + string(customer) }

func encodeCursor(list string, filter interface{ appendTo([]byte) []byte }, before domain.Position) string {
	raw := make([]byte, 0, cursorSize)
	raw = append(raw, cursorFormat)
	raw = binary.BigEndian.AppendUint64(raw, before.Commit)
	raw = binary.BigEndian.AppendUint64(raw, before.Prepare)
	tag := sha256.Sum256(filter.appendTo(append([]byte(list+"\x00"), raw...)))
	return cursorText.EncodeToString(append(raw, tag[:cursorTag]...))
}

func decodeCursor(list string, filter interface{ appendTo([]byte) []byte }, cursor string) (before domain.Position, err error) {
	if cursor == "" {
		return domain.Position{Commit: math.MaxInt64, Prepare: math.MaxInt64}, nil
	}
	if raw, err := cursorText.DecodeString(cursor); err == nil && len(raw) == cursorSize {
		before.Commit = binary.BigEndian.Uint64(raw[1:])
		before.Prepare = binary.BigEndian.Uint64(raw[9:])
		// Writing it again is the strictest check: it catches the tag, the format and every other spelling of base64.
		if storable(before) && encodeCursor(list, filter, before) == cursor {
			return before, nil
		}
	}
	return domain.Position{}, ErrCursor
}

// CheckLimit refuses a page size outside 1 to MaxPage as domain.ErrInvalid, its field limit and its code
// limit_out_of_range.
func CheckLimit(limit int) error {
	if limit < 1 || limit > MaxPage {
		return domain.Invalid("limit", "limit_out_of_range", fmt.Sprintf("a page holds 1 to %d entries", MaxPage))
	}
	return nil
}
