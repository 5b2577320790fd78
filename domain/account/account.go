// Package account decides on changes of a customer's points that come from no order: goodwill, and corrections. One
// customer's adjustments are one stream.
package account

import (
	"fmt"
	"strings"
	"time"

	"loyalty/domain"
)

// Adjust gives a customer points, or takes them where Points is negative, for a stated reason.
type Adjust struct {
	Customer domain.CustomerID
	// ID names this adjustment. The same id with the same content is the same adjustment, made once.
	ID     domain.LoyaltyID
	Points domain.Points
	Reason string
	// Actor is who does it.
	Actor string
	At    time.Time
}

// State is what a customer's adjustments add up to. The zero State is a customer without any.
type State struct {
	// Points is the sum of all adjustments.
	Points domain.Points
	Made   map[domain.LoyaltyID]PointsAdjusted
}

// Decide gives the events that an adjustment leads to. No events and no error means that the very same adjustment was
// made before. The errors are domain.ErrInvalid (no points, no reason), domain.ErrConflict (the id was used with other
// content) and domain.ErrPointsLimit (the sum of all adjustments would pass ±domain.MaxTotal).
func Decide(c Adjust, s State) ([]domain.Event, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if earlier, known := s.Made[c.ID]; known {
		if earlier.Points == c.Points && earlier.Reason == c.Reason {
			return nil, nil
		}
		return nil, fmt.Errorf("adjustment %s: %w", c.ID, domain.ErrConflict)
	}
	if _, err := s.Points.Plus(c.Points); err != nil {
		return nil, fmt.Errorf("adjustment %s: %w", c.ID, err)
	}
	return []domain.Event{PointsAdjusted{
		About:     domain.About{CustomerID: c.Customer, OccurredAt: c.At.UTC()},
		LoyaltyID: c.ID, Points: c.Points, Reason: c.Reason, Actor: c.Actor,
	}}, nil
}

func (c Adjust) validate() error {
	var errs []error
	if c.Points == 0 {
		errs = append(errs, domain.Invalid("loyalty-points", "points_zero", "an adjustment gives or takes at least one point"))
	}
	if c.Points > domain.MaxTotal || c.Points < -domain.MaxTotal {
		errs = append(errs, domain.Invalid("loyalty-points", "points_out_of_range", fmt.Sprintf("an adjustment is at most %d points either way", domain.MaxTotal)))
	}
	if strings.TrimSpace(c.Reason) == "" {
		errs = append(errs, domain.Invalid("reason", "reason_missing", "say why, for whoever audits this later"))
	}
	errs = append(errs, domain.CheckText("reason", "reason", c.Reason, domain.MaxReasonLength))
	return domain.JoinInvalid(errs...)
}

// Evolve applies one event to the state. It is total: an event that is not an account's changes nothing. The state
// given is not to be used again.
func Evolve(s State, e domain.Event) State {
	if e, ok := e.(PointsAdjusted); ok {
		if s.Made == nil {
			s.Made = make(map[domain.LoyaltyID]PointsAdjusted)
		}
		s.Made[e.LoyaltyID] = e
		s.Points += e.Points
	}
	return s
}
