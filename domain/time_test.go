package domain_test

import (
	"testing"
	"time"

	"loyalty/domain"
)

func TestATimeIsReadWithItsZoneAndADayFromMidnight(t *testing.T) {
	for text, want := range map[string]string{
		"2026-10-01":                  "2026-10-01T00:00:00Z",
		"2026-10-01T00:00Z":           "2026-10-01T00:00:00Z",
		"2026-10-01T09:30:15Z":        "2026-10-01T09:30:15Z",
		"2026-10-01T09:30:15.25Z":     "2026-10-01T09:30:15.25Z",
		"2026-10-01T09:30+01:00":      "2026-10-01T08:30:00Z",
		"2026-10-01T09:30:15.5-02:30": "2026-10-01T12:00:15.5Z",
		"":                            "", "yesterday": "", "2026-13-01": "", "2026-10-01T09:30": "", "2026-10-01 09:30Z": "", "1759312800": "",
	} {
		got, day, ok := domain.ParseTime(text)
		if ok != (want != "") || day != (len(text) == len(time.DateOnly) && ok) || (ok && (got.Format(time.RFC3339Nano) != want || got.Location() != time.UTC)) {
			t.Errorf("%q is %s, a day: %t, %t; want %q", text, got, day, ok, want)
		}
	}
}
