package request

import (
	"testing"
	"time"

	"loyalty/domain"
)

func TestAMomentIsATimeADayOrAPosition(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-10-01":                         time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC),
		"2026-10-01T12:30Z":                  time.Date(2026, 10, 1, 12, 30, 0, 0, time.UTC),
		"2026-10-01T12:30+01:00":             time.Date(2026, 10, 1, 11, 30, 0, 0, time.UTC),
		"2026-10-01T12:30:15Z":               time.Date(2026, 10, 1, 12, 30, 15, 0, time.UTC),
		"2026-10-01T12:30:15.123456789-0030": {},
		"2026-10-01T12:30:15.123456789Z":     time.Date(2026, 10, 1, 12, 30, 15, 123456789, time.UTC),
	} {
		got, err := Moment("since", text)
		if !got.Time.Equal(want) || got.Position != (domain.Position{}) || (err == nil) == want.IsZero() {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]domain.Position{
		"0": {}, "1042": {Commit: 1042, Prepare: 1042}, "1042-17": {Commit: 1042, Prepare: 17}, "20261001": {Commit: 20261001, Prepare: 20261001},
	} {
		if got, err := Moment("since", text); err != nil || got.Position != want || !got.Time.IsZero() {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
	}
}

func FuzzMoment(f *testing.F) {
	for _, text := range []string{"2026-10-01", "2026-10-01T12:30Z", "1042-17", "", "-1", "2026-10-01T12:30:15.5+01:00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Moment("since", text)
		if err == nil && got.Position != (domain.Position{}) && !got.Time.IsZero() {
			t.Errorf("%q is both %s and %s", text, got.Position, got.Time)
		}
		if err != nil && (got.Position != (domain.Position{}) || !got.Time.IsZero()) {
			t.Errorf("%q is %+v in spite of %v", text, got, err)
		}
	})
}
