package account

import (
	"time"

	"loyalty/domain"
)

// AllowanceStream is the name of the stream with what somebody gave or took alone on a day, in UTC.
func AllowanceStream(actor string, day time.Time) string {
	return "allowance-" + day.UTC().Format(time.DateOnly) + "." + actor
}

// UseAllowance takes the points of an adjustment out of what its actor may give or take alone on a day.
type UseAllowance struct {
	// Customer and ID identify the adjustment. It is paid for once, however often it is asked for.
	Customer domain.CustomerID
	ID       domain.LoyaltyID
	// Points are those of the adjustment; given or taken is the same here.
	Points domain.Points
	Actor  string
	// Limit is the most points of the day.
	Limit domain.Points
	At    time.Time
}

// Allowance is folded from what somebody gave or took alone on a day. The zero Allowance is nothing.
type Allowance struct {
	Used domain.Points
	by   map[adjustmentKey]domain.Points
}

// adjustmentKey identifies an adjustment among those of all customers.
type adjustmentKey struct {
	customer domain.CustomerID
	id       domain.LoyaltyID
}

// DecideAllowance tells whether an adjustment is within the limit of the day, and returns the event that says so. An adjustment for which
// so many points were used before is granted without an event.
func DecideAllowance(c UseAllowance, s Allowance) (events []domain.Event, granted bool) {
	points, before := magnitude(c.Points), s.by[adjustmentKey{c.Customer, c.ID}]
	switch {
	case points <= before:
		return nil, true
	case s.Used-before+points > c.Limit:
		return nil, false
	}
	return []domain.Event{AllowanceUsed{
		About: domain.About{CustomerID: c.Customer, OccurredAt: c.At.UTC()}, LoyaltyID: c.ID, Points: points, Actor: c.Actor,
	}}, true
}

// EvolveAllowance applies one event. It is total: an event of another kind changes nothing. Of an adjustment that was asked for with
// different points the most counts, since nobody knows which were made. The given Allowance must not be used afterwards.
func EvolveAllowance(s Allowance, e domain.Event) Allowance {
	used, is := e.(AllowanceUsed)
	if !is {
		return s
	}
	key := adjustmentKey{used.CustomerID, used.LoyaltyID}
	if before := s.by[key]; used.Points > before {
		if s.by == nil {
			s.by = make(map[adjustmentKey]domain.Points)
		}
		s.by[key] = used.Points
		s.Used += used.Points - before
	}
	return s
}

func magnitude(p domain.Points) domain.Points { return max(p, -p) }
