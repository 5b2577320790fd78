// Package account decides on changes of a customer's points that come from no order: goodwill, and corrections. Small ones
// are made at once; of large ones a second person decides. One customer's adjustments are one stream.
package account

import (
	"fmt"
	"strings"
	"time"

	"loyalty/domain"
)

// Stream is the name of the stream with all that was done about a customer by hand.
func Stream(id domain.CustomerID) string { return "account-" + string(id) }

// Command is Adjust, Approve, Decline, Forget, Certify or Reveal.
type Command interface {
	decide(State) ([]domain.Event, error)
}

// Adjust gives a customer points, or takes them where Points is negative, for a stated reason.
type Adjust struct {
	Customer domain.CustomerID
	// ID names this adjustment. The same id with the same content is the same adjustment, made once.
	ID     domain.LoyaltyID
	Points domain.Points
	Reason string
	// Actor is who does it.
	Actor string
	// Limit is the most points that Actor may give or take alone; more is a request, on which somebody else decides. 0 is
	// no limit.
	Limit domain.Points
	At    time.Time
}

// State is what a customer's adjustments add up to. The zero State is a customer without any.
type State struct {
	// Points is the sum of all adjustments.
	Points domain.Points
	Made   map[domain.LoyaltyID]PointsAdjusted
	// Requests are the adjustments that needed a second person. One that was approved is also in Made; one that is neither
	// there nor in Declined waits.
	Requests map[domain.LoyaltyID]AdjustmentRequested
	Declined map[domain.LoyaltyID]AdjustmentDeclined
	// Forgotten tells that the customer's proxy key is retired.
	Forgotten bool
}

// Decide gives the events that a command leads to. No events and no error means that the very same was done before. The
// errors are domain.ErrInvalid (a field at fault) and domain.ErrPointsLimit (the sum of all adjustments would pass
// ±domain.MaxTotal); domain.ErrConflict of Adjust (the id was used with other content); domain.ErrNotFound (there is no such
// request), domain.ErrDecided (it was decided the other way) and domain.ErrOwnRequest of Approve and Decline;
// domain.ErrNotFound and domain.ErrNotForgotten of Certify; and domain.ErrForgotten of whatever comes for a forgotten customer.
func Decide(c Command, s State) ([]domain.Event, error) { return c.decide(s) }

func (c Adjust) decide(s State) ([]domain.Event, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	earlier, known := s.Requests[c.ID]
	points, reason := earlier.Points, earlier.Reason
	if made, done := s.Made[c.ID]; done {
		known, points, reason = true, made.Points, made.Reason
	}
	if known {
		if points == c.Points && reason == c.Reason {
			return nil, nil
		}
		return nil, fmt.Errorf("adjustment %s: %w", c.ID, domain.ErrConflict)
	}
	if s.Forgotten {
		return nil, fmt.Errorf("adjustment %s: %w", c.ID, domain.ErrForgotten)
	}
	if _, err := s.Points.Plus(c.Points); err != nil {
		return nil, fmt.Errorf("adjustment %s: %w", c.ID, err)
	}
	about := domain.About{CustomerID: c.Customer, OccurredAt: c.At.UTC()}
	if c.Limit > 0 && max(c.Points, -c.Points) > c.Limit {
		return []domain.Event{AdjustmentRequested{About: about, LoyaltyID: c.ID, Points: c.Points, Reason: c.Reason, Actor: c.Actor}}, nil
	}
	return []domain.Event{PointsAdjusted{About: about, LoyaltyID: c.ID, Points: c.Points, Reason: c.Reason, Actor: c.Actor}}, nil
}

func (c Adjust) validate() error {
	var errs []error
	if c.Points == 0 {
		errs = append(errs, domain.Invalid("loyalty-points", "points_zero", "an adjustment gives or takes at least one point"))
	}
	if c.Points > domain.MaxTotal || c.Points < -domain.MaxTotal {
		errs = append(errs, domain.Invalid("loyalty-points", "points_out_of_range", fmt.Sprintf("an adjustment is at most %d points either way", domain.MaxTotal)))
	}
	errs = append(errs, checkReason(c.Reason))
	return domain.JoinInvalid(errs...)
}

func checkReason(reason string) error {
	var missing error
	if strings.TrimSpace(reason) == "" {
		missing = domain.Invalid("reason", "reason_missing", "say why, for whoever audits this later")
	}
	return domain.JoinInvalid(missing, domain.CheckText("reason", "reason", reason, domain.MaxReasonLength))
}

// Evolve applies one event to the state. It is total: an event that is not an account's changes nothing. The state
// given is not to be used again.
func Evolve(s State, e domain.Event) State {
	switch e := e.(type) {
	case PointsAdjusted:
		s.Made = with(s.Made, e.LoyaltyID, e)
		s.Points += e.Points
	case AdjustmentRequested:
		s.Requests = with(s.Requests, e.LoyaltyID, e)
	case AdjustmentDeclined:
		s.Declined = with(s.Declined, e.LoyaltyID, e)
	case CustomerForgotten:
		s.Forgotten = true
	}
	return s
}

func with[E any](m map[domain.LoyaltyID]E, id domain.LoyaltyID, e E) map[domain.LoyaltyID]E {
	if m == nil {
		m = make(map[domain.LoyaltyID]E)
	}
	m[id] = e
	return m
}
