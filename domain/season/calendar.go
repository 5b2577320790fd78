package season

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"loyalty/domain"
)

// Calendar is the configured seasons, each of which has a leaderboard.
type Calendar struct {
	fixed   []Season
	rolling []rolling
}

// rolling is the current season of a unit and a number of seasons before it.
type rolling struct {
	unit   unit
	before int
}

// MaxSeasons is the most seasons that a calendar may have at a time.
const MaxSeasons = 64

// ParseCalendar parses a comma-separated list of seasons, of three kinds:
//
//	month, quarter, year      the current month, quarter or year; month+2 also keeps the two before it
//	2026, 2026-Q4, 2026-11    a year, a quarter or a month
//	sale=2026-11-27/2026-12-01  a named season, from the beginning of the first day (inclusive) to that of the second (exclusive);
//	                          times such as 2026-11-27T18:00Z are allowed too
//
// All are in UTC. The empty text is no seasons. Errors are domain.ErrInvalid of the field seasons.
func ParseCalendar(text string) (Calendar, error) {
	var c Calendar
	if strings.TrimSpace(text) == "" {
		return c, nil
	}
	var errs []error
	for _, part := range strings.Split(text, ",") {
		errs = append(errs, c.add(strings.TrimSpace(part)))
	}
	if err := domain.JoinInvalid(errs...); err != nil {
		return Calendar{}, err
	}
	return c, c.check()
}

func (c *Calendar) add(text string) error {
	if id, bounds, named := strings.Cut(text, "="); named {
		s, err := parseNamed(id, bounds)
		c.fixed = append(c.fixed, s)
		return err
	}
	if s, known := parseID(text); known {
		c.fixed = append(c.fixed, s)
		return nil
	}
	name, before, more := strings.Cut(text, "+")
	u, known := units[name]
	if !known {
		return invalid("season_unknown", "%q is no season: use month, quarter, year, an id such as 2026-11, 2026-Q4 or 2026, or name=FROM/UNTIL", text)
	}
	r := rolling{unit: u}
	if more {
		n, err := strconv.Atoi(before)
		if err != nil || n < 1 || n >= MaxSeasons {
			return invalid("season_count", "%q: after the + stands how many earlier ones to keep, 1 to %d", text, MaxSeasons-1)
		}
		r.before = n
	}
	c.rolling = append(c.rolling, r)
	return nil
}

func parseNamed(id, bounds string) (s Season, _ error) {
	if _, err := domain.ParseID[string]("seasons", id); err != nil {
		return s, err
	}
	if _, calendar := parseID(id); calendar || units[id] != 0 {
		return s, invalid("season_name_taken", "%q has a meaning already: choose another name", id)
	}
	from, until, both := strings.Cut(bounds, "/")
	if !both {
		return s, invalid("season_bounds", "%s=%s: a season of its own is name=FROM/UNTIL", id, bounds)
	}
	s.ID = id
	var noFrom, noUntil error
	s.From, noFrom = parseTime(from)
	s.Until, noUntil = parseTime(until)
	if err := domain.JoinInvalid(noFrom, noUntil); err != nil {
		return s, err
	}
	if !s.From.Before(s.Until) {
		return s, invalid("season_empty", "season %s ends before it begins", id)
	}
	return s, nil
}

func parseTime(text string) (time.Time, error) {
	if t, _, ok := domain.ParseTime(text); ok && t.Nanosecond() == 0 {
		return t, nil
	}
	return time.Time{}, invalid("season_time", "%q must be a day such as 2026-11-27, or a time such as 2026-11-27T18:00Z, to the second", text)
}

// check finds duplicates, and too many seasons.
func (c Calendar) check() error {
	count := len(c.fixed)
	seen := map[string]bool{}
	for _, s := range c.fixed {
		if seen[s.ID] {
			return invalid("season_twice", "season %s is there twice", s.ID)
		}
		seen[s.ID] = true
	}
	kinds := map[unit]bool{}
	for _, r := range c.rolling {
		if kinds[r.unit] {
			return invalid("season_twice", "the current season of %d months is there twice", r.unit)
		}
		kinds[r.unit] = true
		count += 1 + r.before
	}
	if count > MaxSeasons {
		return invalid("season_too_many", "these are %d seasons, and each has a leaderboard of its own: have at most %d", count, MaxSeasons)
	}
	return nil
}

// At lists the seasons at a time, ordered by beginning, then id: the fixed ones that have begun, and the rolling ones. There are no
// duplicates.
func (c Calendar) At(t time.Time) []Season {
	var seasons []Season
	for _, s := range c.fixed {
		if !t.Before(s.From) {
			seasons = append(seasons, s)
		}
	}
	for _, r := range c.rolling {
		s := r.unit.at(t)
		for range r.before + 1 {
			seasons = append(seasons, s)
			s = r.unit.at(s.From.Add(-time.Nanosecond))
		}
	}
	slices.SortFunc(seasons, func(a, b Season) int {
		if order := a.From.Compare(b.From); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
	return slices.CompactFunc(seasons, func(a, b Season) bool { return a.ID == b.ID })
}

// Next is the first time after after at which At changes; zero if it never does.
func (c Calendar) Next(after time.Time) time.Time {
	var next time.Time
	consider := func(t time.Time) {
		if after.Before(t) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, s := range c.fixed {
		consider(s.From)
	}
	for _, r := range c.rolling {
		consider(r.unit.at(after).Until)
	}
	return next
}
