package flags

import (
	"fmt"

	"loyalty/domain/season"
)

// Calendar say which leaderboards there are beside the one of all time.
type Calendar struct {
	Seasons string `help:"Leaderboards of seasons: month, quarter, year for the current one (month+2 keeps two before it), 2026, 2026-Q4, 2026-11, or name=FROM/UNTIL, with commas between them." env:"LOYALTY_SEASONS" placeholder:"SEASON,…"`
}

func (f Calendar) Parse() (season.Calendar, error) {
	calendar, err := season.ParseCalendar(f.Seasons)
	if err != nil {
		return calendar, Usage(fmt.Errorf("--seasons: %w", err))
	}
	return calendar, nil
}
