package flags

import (
	"fmt"

	"loyalty/domain/season"
)

// Seasons is the flag for the leaderboards beside the one of all time.
type Seasons struct {
	List string `name:"seasons" help:"Leaderboards of seasons: month, quarter, year for the current one (month+2 keeps two before it), 2026, 2026-Q4, 2026-11, or name=FROM/UNTIL, with commas between them." env:"LOYALTY_SEASONS" placeholder:"SEASON,…"`
}

// Calendar reads the flag. What it can't read is a usage error.
func (f Seasons) Calendar() (season.Calendar, error) {
	calendar, err := season.ParseCalendar(f.List)
	if err != nil {
		return calendar, Usage(fmt.Errorf("--seasons: %w", err))
	}
	return calendar, nil
}
