package domain

import "time"

// ParseTime parses a time with its zone (RFC 3339; the seconds may be omitted: "2026-10-01T00:00Z"), or a day ("2026-10-01"), which is its
// beginning in UTC. day is true for a day. For any other text, ok is false.
func ParseTime(text string) (at time.Time, day, ok bool) {
	for _, form := range []string{time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(form, text); err == nil {
			return at.UTC(), form == time.DateOnly, true
		}
	}
	return time.Time{}, false, false
}
