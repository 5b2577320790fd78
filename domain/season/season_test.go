package season_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/domain/season"
)

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func calendar(t testing.TB, text string) season.Calendar {
	t.Helper()
	c, err := season.ParseCalendar(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func said(seasons []season.Season) string {
	var texts []string
	for _, s := range seasons {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, "\n")
}

func TestTheSeasonsOfACalendar(t *testing.T) {
	for _, c := range []struct{ configured, at, want string }{
		{"", "2026-11-23T12:00:00Z", ""},
		{"month", "2026-11-23T12:00:00Z", "2026-11 (2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z)"},
		{"month", "2026-12-31T23:59:59Z", "2026-12 (2026-12-01T00:00:00Z to 2027-01-01T00:00:00Z)"},
		{"month", "2027-01-01T00:30:00+01:00", "2026-12 (2026-12-01T00:00:00Z to 2027-01-01T00:00:00Z)"},
		{"quarter", "2026-02-28T00:00:00Z", "2026-Q1 (2026-01-01T00:00:00Z to 2026-04-01T00:00:00Z)"},
		{"year", "2026-11-23T12:00:00Z", "2026 (2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z)"},
		{"month+2", "2026-01-15T00:00:00Z", "2025-11 (2025-11-01T00:00:00Z to 2025-12-01T00:00:00Z)\n2025-12 (2025-12-01T00:00:00Z to 2026-01-01T00:00:00Z)\n2026-01 (2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z)"},
		{"2025, 2025-Q4 ,2025-12", "2026-01-15T00:00:00Z", "2025 (2025-01-01T00:00:00Z to 2026-01-01T00:00:00Z)\n2025-Q4 (2025-10-01T00:00:00Z to 2026-01-01T00:00:00Z)\n2025-12 (2025-12-01T00:00:00Z to 2026-01-01T00:00:00Z)"},
		{"month,2026-11", "2026-11-23T12:00:00Z", "2026-11 (2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z)"},
		{"2027", "2026-11-23T12:00:00Z", ""},
		{"sale=2026-11-27/2026-12-01", "2026-11-27T00:00:00Z", "sale (2026-11-27T00:00:00Z to 2026-12-01T00:00:00Z)"},
		{"sale=2026-11-27T18:00Z/2026-12-01T06:00+01:00", "2026-11-28T00:00:00Z", "sale (2026-11-27T18:00:00Z to 2026-12-01T05:00:00Z)"},
	} {
		t.Run(c.configured+" at "+c.at, func(t *testing.T) {
			if got := said(calendar(t, c.configured).At(moment(t, c.at))); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestASeasonBeginsWithItsFirstMomentAndEndsBeforeItsLast(t *testing.T) {
	s := calendar(t, "2026-11").At(moment(t, "2026-11-23T12:00:00Z"))[0]
	for text, within := range map[string]bool{
		"2026-10-31T23:59:59.999999999Z": false, "2026-11-01T00:00:00Z": true, "2026-11-30T23:59:59.999999999Z": true,
		"2026-12-01T00:00:00Z": false, "2026-12-01T00:59:00+01:00": true,
	} {
		if s.Contains(moment(t, text)) != within {
			t.Errorf("that %s is within it is %v", text, !within)
		}
	}
}

func TestACalendarIsRefusedWhere(t *testing.T) {
	for name, c := range map[string]struct{ text, code string }{
		"a word is unknown":             {"week", "season_unknown"},
		"a month is none":               {"2026-13", "season_unknown"},
		"a quarter is none":             {"2026-Q5", "season_unknown"},
		"something is empty":            {"month,,year", "season_unknown"},
		"a number is none":              {"month+many", "season_count"},
		"a number is nothing":           {"month+0", "season_count"},
		"one is there twice":            {"2026-11,2026-11", "season_twice"},
		"a current one is there twice":  {"month,month+2", "season_twice"},
		"a name is a calendar's":        {"2026-11=2026-11-01/2026-11-02", "season_name_taken"},
		"a name is a unit's":            {"month=2026-11-01/2026-11-02", "season_name_taken"},
		"a name is no id":               {"black friday=2026-11-01/2026-11-02", "id_malformed"},
		"there is only one bound":       {"sale=2026-11-01", "season_bounds"},
		"a bound is no time":            {"sale=yesterday/2026-11-02", "season_time"},
		"a bound is finer than seconds": {"sale=2026-11-01T00:00:00.5Z/2026-11-02", "season_time"},
		"it ends before it begins":      {"sale=2026-11-02/2026-11-02", "season_empty"},
		"there are too many":            {"month+40,quarter+40", "season_too_many"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := season.ParseCalendar(c.text)
			var invalid *domain.InvalidError
			if !errors.As(err, &invalid) || invalid.Fields[0].Field != "seasons" || invalid.Fields[0].Code != c.code {
				t.Errorf("got %v, want %s of the field seasons", err, c.code)
			}
		})
	}
	if _, err := season.ParseCalendar("week,2026-13"); !strings.Contains(fmt.Sprint(err), "week") || !strings.Contains(fmt.Sprint(err), "2026-13") {
		t.Errorf("not every mistake is named: %v", err)
	}
}

// TestWhatTheCalendarSaysChangesAtNextAndNotBefore walks from one Next to another.
func TestWhatTheCalendarSaysChangesAtNextAndNotBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(rapid.SampledFrom([]string{
			"month", "quarter+1", "year+2", "2026-11", "2027", "2027-Q2", "sale=2026-11-27/2026-12-01",
		}), 0, 5).Draw(t, "parts")))), ",")
		c, err := season.ParseCalendar(text)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(rapid.Int64Range(1790000000, 1850000000).Draw(t, "now"), 0)
		next := c.Next(now)
		if next.IsZero() {
			if was, will := said(c.At(now)), said(c.At(now.AddDate(5, 0, 0))); was != will {
				t.Fatalf("%s never changes, and is\n%s\nthen\n%s", text, was, will)
			}
			return
		}
		if was, before := said(c.At(now)), said(c.At(next.Add(-time.Nanosecond))); was != before {
			t.Fatalf("%s changes before %s: from\n%s\nto\n%s", text, next, was, before)
		}
		if was, is := said(c.At(now)), said(c.At(next)); was == is && !strings.Contains(text, "20") {
			t.Fatalf("%s does not change at %s", text, next)
		}
		// Those of one unit follow each other without a gap.
		for _, s := range c.At(now) {
			if !s.From.Before(s.Until) || s.From.After(now) {
				t.Fatalf("%s has begun at %s", s, now)
			}
		}
	})
}

// FuzzParseCalendar feeds the reader anything: it refuses it by the field seasons, or what it read has sane seasons.
func FuzzParseCalendar(f *testing.F) {
	for _, text := range []string{"", "month+2,quarter,2025", "sale=2026-11-27T18:00Z/2026-12-01", "2026-Q4", "a=b/c", "month+", ",="} {
		f.Add(text)
	}
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := season.ParseCalendar(text)
		if err != nil {
			if !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		seasons := c.At(at)
		if len(seasons) > season.MaxSeasons {
			t.Errorf("%q has %d seasons", text, len(seasons))
		}
		for _, s := range seasons {
			if s.ID == "" || !s.From.Before(s.Until) {
				t.Errorf("%q has the season %s", text, s)
			}
		}
	})
}
