// Package season says what a season is: a stretch of time with a leaderboard of its own, beside the one of all time. A customer's
// points of a season are those of the entries that occurred within it, whatever order they go back to.
package season

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"loyalty/domain"
)

// Season is a stretch of time, from From on and before Until, both UTC.
type Season struct {
	// ID names it: "2026", "2026-Q4", "2026-11", or a name of its own.
	ID          string
	From, Until time.Time
}

// Contains tells whether a moment is within the season.
func (s Season) Contains(moment time.Time) bool {
	return !moment.Before(s.From) && moment.Before(s.Until)
}

// String is the season for people: its id, and when it is.
func (s Season) String() string {
	return fmt.Sprintf("%s (%s to %s)", s.ID, s.From.Format(time.RFC3339), s.Until.Format(time.RFC3339))
}

// unit is a length of the calendar's own seasons, in months.
type unit int

const (
	month   unit = 1
	quarter unit = 3
	year    unit = 12
)

var units = map[string]unit{"month": month, "quarter": quarter, "year": year}

// at is the unit's season at a moment.
func (u unit) at(moment time.Time) Season {
	moment = moment.UTC()
	first := (int(moment.Month()) - 1) / int(u) * int(u)
	return u.from(time.Date(moment.Year(), time.Month(1+first), 1, 0, 0, 0, 0, time.UTC))
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

// parseID reads the id of a year, a quarter or a month.
func parseID(id string) (Season, bool) {
	parts := calendarID.FindStringSubmatch(id)
	if parts == nil {
		return Season{}, false
	}
	number := func(text string) int {
		n, _ := strconv.Atoi(text) // the expression lets digits through, and nothing for what is missing
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

// invalid is a mistake in the configuration of seasons.
func invalid(code, detail string, values ...any) error {
	return domain.Invalid("seasons", code, fmt.Sprintf(detail, values...))
}
