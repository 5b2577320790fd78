package domain

import "time"

// ParseTime reads a time with its zone, of which the seconds may be left out ("2026-10-01T00:00Z"), or a day, which begins at
// midnight UTC. It is false for any other text.
func ParseTime(text string) (time.Time, bool) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if moment, err := time.Parse(form, text); err == nil {
			return moment.UTC(), true
		}
	}
	return time.Time{}, false
}
