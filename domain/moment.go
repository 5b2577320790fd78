package domain

import "time"

// ParseTime reads a time with its zone, of which the seconds may be left out ("2026-10-01T00:00Z"), or a day, of which it gives the
// first moment in UTC. It is not ok with any other text.
func ParseTime(text string) (at time.Time, day, ok bool) {
	for _, form := range []string{time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(form, text); err == nil {
			return at.UTC(), form == time.DateOnly, true
		}
	}
	return time.Time{}, false, false
}
