package domain

import (
	"cmp"
	"strconv"
	"strings"
)

// Position is a place in the log of all events. The zero Position is before the first event. Both parts matter: a checkpoint with the commit
// part alone can skip an event (KurrentDB issue 4970).
type Position struct{ Commit, Prepare uint64 }

// Compare orders positions by commit, then prepare: -1, 0 or 1.
func (p Position) Compare(other Position) int {
	return cmp.Or(cmp.Compare(p.Commit, other.Commit), cmp.Compare(p.Prepare, other.Prepare))
}

// Before reports whether p is before other in the log.
func (p Position) Before(other Position) bool { return p.Compare(other) < 0 }

// String is "commit", or "commit-prepare" if they differ. Callers treat it as opaque; ParsePosition parses it.
func (p Position) String() string {
	if p.Commit == p.Prepare {
		return strconv.FormatUint(p.Commit, 10)
	}
	return strconv.FormatUint(p.Commit, 10) + "-" + strconv.FormatUint(p.Prepare, 10)
}

// MarshalText is String. In JSON a position is a string, because many languages can't represent all 64-bit numbers.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText parses a position as ParsePosition does.
func (p *Position) UnmarshalText(text []byte) error {
	parsed, err := ParsePosition("position", string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// offsetBits is the size of a log offset. Greater values occur only as the protocol's "unknown".
const offsetBits = 63

// ParsePosition parses what String returns. The error names field and has the code position_malformed.
func ParsePosition(field, text string) (Position, error) {
	first, second, two := strings.Cut(text, "-")
	commit, err := strconv.ParseUint(first, 10, offsetBits)
	prepare := commit
	if two && err == nil {
		prepare, err = strconv.ParseUint(second, 10, offsetBits)
	}
	if err != nil {
		return Position{}, Invalid(field, "position_malformed", "a position is what an earlier answer gave as its position")
	}
	return Position{Commit: commit, Prepare: prepare}, nil
}
