package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"loyalty/domain"
)

// A cursor holds the position of the last entry or audit record of a page. It stays valid when others arrive, and after a rebuild of
// the ledger. Its bytes: the format (1 byte, 2), commit and prepare (8 bytes each, big endian), and a tag (8 bytes), the start of a
// SHA-256 over these, the list that is read (a customer's trail, or the audit log) and the filter. The tag finds a cursor that is
// used for another list by mistake. It is no access control.
const (
	cursorFormat = 2
	cursorTag    = 8
	cursorSize   = 1 + 8 + 8 + cursorTag
)

var cursorText = base64.RawURLEncoding

// ErrCursor is domain.ErrInvalid with the field cursor and the code cursor_invalid.
var ErrCursor = domain.Invalid("cursor", "cursor_invalid", "a cursor is what an earlier page of the same list, read with the same filter, gave as its next")

// EncodeCursor makes the cursor of a customer's matching entries before a position, each part of which is at most math.MaxInt64.
func EncodeCursor(customer domain.CustomerID, filter Filter, before domain.Position) string {
	return encodeCursor(trailOf(customer), filter, before)
}

// DecodeCursor reads the position before which the page starts. The empty cursor is the first page: its position is the greatest
// possible. Anything that EncodeCursor did not make for this customer and filter is ErrCursor.
func DecodeCursor(customer domain.CustomerID, filter Filter, cursor string) (before domain.Position, err error) {
	return decodeCursor(trailOf(customer), filter, cursor)
}

// EncodeAuditCursor makes the cursor of the matching audit records before a position; see EncodeCursor.
func EncodeAuditCursor(filter AuditFilter, before domain.Position) string {
	return encodeCursor(auditLog, filter, before)
}

// DecodeAuditCursor reads the position before which the page of audit records starts; see DecodeCursor.
func DecodeAuditCursor(filter AuditFilter, cursor string) (before domain.Position, err error) {
	return decodeCursor(auditLog, filter, cursor)
}

// auditLog names the audit log in a cursor's tag. Cursors that callers hold depend on it.
const auditLog = "acts"

// trailOf names a customer's trail in a cursor's tag.
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
		// Encoding it again checks the tag, the format and that the base64 text is canonical.
		if storable(before) && encodeCursor(list, filter, before) == cursor {
			return before, nil
		}
	}
	return domain.Position{}, ErrCursor
}

// CheckLimit accepts page sizes from 1 to MaxPage. Others are domain.ErrInvalid with the field limit and the code
// limit_out_of_range.
func CheckLimit(limit int) error {
	if limit < 1 || limit > MaxPage {
		return domain.Invalid("limit", "limit_out_of_range", fmt.Sprintf("a page holds 1 to %d entries", MaxPage))
	}
	return nil
}
