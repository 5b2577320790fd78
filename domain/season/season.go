// Package season defines seasons: ranges of time with a leaderboard of their own, beside the one of all time. A customer's points in a season
// are the sum of the entries that occurred within it, whenever their orders were placed.
package season

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"loyalty/domain"
)

// Season is a range of time, From (inclusive) until Until (exclusive), both UTC.
type Season struct {
	// ID identifies the season: "2026", "2026-Q4", "2026-11", or a name.
	ID          string
	From, Until time.Time
}

// Contains reports whether a time is within the season.
func (s Season) Contains(t time.Time) bool {
	return !t.Before(s.From) && t.Before(s.Until)
}

// String is the season's id and range, for people.
func (s Season) String() string {
	return fmt.Sprintf("%s (%s to %s)", s.ID, s.From.Format(time.RFC3339), s.Until.Format(time.RFC3339))
}

// unit is the length of a calendar season, in months.
type unit int

const (
	month   unit = 1
	quarter unit = 3
	year    unit = 12
)

var units = map[string]unit{"month": month, "quarter": quarter, "year": year}

// at is the unit's season at a time.
func (u unit) at(t time.Time) Season {
	t = t.UTC()
	first := (int(t.Month()) - 1) / int(u) * int(u)
	return u.from(time.Date(t.Year(), time.Month(1+first), 1, 0, 0, 0, 0, time.UTC))
}

func (u unit) from(begin time.Time) Season {
	s := Season{From: begin, Until: begin.AddDate(0, int(u), 0)}
	switch u {
	case month:
		s.ID = begin.Format("2006-01")
	case quarter:
		s.ID = fmt.Sprintf("%04d-Q%d", begin.Year(), 1+int(begin.Month()-1)/3)
	case year:
		s.ID = fmt.Sprintf("%04d", begin.Year())
	}
	return s
}

var calendarID = regexp.MustCompile(`^(\d{4})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])))?$`)

// parseID parses the id of a year, a quarter or a month.
func parseID(id string) (Season, bool) {
	parts := calendarID.FindStringSubmatch(id)
	if parts == nil {
		return Season{}, false
	}
	number := func(text string) int {
		n, _ := strconv.Atoi(text) // the expression matches only digits, or nothing for a missing part
		return n
	}
	u, first := year, 1
	switch {
	case parts[2] != "":
		u, first = quarter, 3*number(parts[2])-2
	case parts[3] != "":
		u, first = month, number(parts[3])
	}
	return u.from(time.Date(number(parts[1]), time.Month(first), 1, 0, 0, 0, 0, time.UTC)), true
}

// invalid is an error in the configuration of seasons.
func invalid(code, detail string, values ...any) error {
	return domain.Invalid("seasons", code, fmt.Sprintf(detail, values...))
}
