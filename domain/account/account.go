// Package account decides commands about one customer: adjustments of points (goodwill, corrections), of which large ones need a second
// person's approval, and erasure. Their events are in one stream for each customer. Beside them it decides reveals of the customers behind
// a proxy name, which have a stream each, and what staff may give or take alone on a day, in a stream for each person and day.
package account

import (
	"fmt"
	"time"

	"loyalty/domain"
)

// Stream is the name of the stream with all that was done about a customer by hand.
func Stream(id domain.CustomerID) string { return "account-" + string(id) }

// Command is Adjust, Approve, Decline, Forget or Certify.
type Command interface {
	decide(State) ([]domain.Event, error)
}

// Adjust gives a customer points, or takes them if Points is negative.
type Adjust struct {
	Customer domain.CustomerID
	// ID is the full id of the adjustment. A repeated command with the same id and content changes nothing.
	ID     domain.LoyaltyID
	Points domain.Points
	Reason string
	// Actor is the subject of the token of whoever adjusts.
	Actor string
	// Limit is the most points that Actor may give or take alone. More becomes a request, which somebody else approves or declines. 0 is
	// no limit. With Ask it is a request whatever its points.
	Limit domain.Points
	Ask   bool
	// MaxPoints is the most points that an adjustment may give or take, whoever approves it; 0 is domain.MaxChange.
	MaxPoints domain.Points
	At        time.Time
}

// State is folded from a customer's events. The zero State has none.
type State struct {
	// Points is the sum of all adjustments.
	Points domain.Points
	Made   map[domain.LoyaltyID]PointsAdjusted
	// Requests are the adjustments that need approval. An approved one is also in Made, a declined one in Declined; the others wait.
	Requests map[domain.LoyaltyID]AdjustmentRequested
	Declined map[domain.LoyaltyID]AdjustmentDeclined
	// Forgotten is true once the customer was forgotten: the proxy key is retired.
	Forgotten bool
}

// Decide returns the events of a command. No events and no error means that the same command was carried out before. Errors:
//   - domain.ErrInvalid for an invalid field;
//   - Adjust: domain.ErrConflict if the id was used with other content;
//   - Approve and Decline: domain.ErrNotFound if there is no such request, domain.ErrDecided if it was decided the other way;
//   - Approve: domain.ErrOwnRequest;
//   - Adjust: domain.ErrAdjustmentPoints if an adjustment that was not made or requested before is of too many points;
//   - Adjust and Approve: domain.ErrForgotten if the customer was forgotten;
//   - Certify: domain.ErrNotFound if the customer was not forgotten, domain.ErrNotForgotten if a check was not clean.
func Decide(c Command, s State) ([]domain.Event, error) { return c.decide(s) }

func (c Adjust) decide(s State) ([]domain.Event, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if earlier, known := s.adjustment(s.Standing(c.ID, c.Actor)); known {
		if earlier.Points == c.Points && earlier.Reason == c.Reason {
			return nil, nil
		}
		return nil, fmt.Errorf("adjustment %s: %w", c.ID, domain.ErrConflict)
	}
	if s.Forgotten {
		return nil, fmt.Errorf("adjustment %s: %w", c.ID, domain.ErrForgotten)
	}
	if c.MaxPoints > 0 && magnitude(c.Points) > c.MaxPoints {
		return nil, fmt.Errorf("adjustment %s: %w", c.ID, &domain.PointsLimitError{Kind: domain.ErrAdjustmentPoints, Limit: c.MaxPoints})
	}
	about := domain.About{CustomerID: c.Customer, OccurredAt: c.At.UTC()}
	if c.Ask || c.Limit > 0 && magnitude(c.Points) > c.Limit {
		return []domain.Event{AdjustmentRequested{About: about, LoyaltyID: c.ID, Points: c.Points, Reason: c.Reason, Actor: c.Actor}}, nil
	}
	return []domain.Event{PointsAdjusted{About: about, LoyaltyID: c.ID, Points: c.Points, Reason: c.Reason, Actor: c.Actor}}, nil
}

// Standing is the id under which an adjustment of an actor stands in the account: its full id, unless the same actor made or requested it
// before ids had issuers. Then it stands under its bare id; that of another is another adjustment.
func (s State) Standing(full domain.LoyaltyID, actor string) domain.LoyaltyID {
	if _, known := s.adjustment(full); known {
		return full
	}
	_, bare := domain.SplitID(full)
	if earlier, known := s.adjustment(bare); known && earlier.Actor == actor {
		return bare
	}
	return full
}

// adjustment is one that was made or requested.
func (s State) adjustment(id domain.LoyaltyID) (PointsAdjusted, bool) {
	if made, done := s.Made[id]; done {
		return made, true
	}
	requested, known := s.Requests[id]
	return PointsAdjusted(requested), known
}

func (c Adjust) validate() error {
	var errs []error
	if c.Points == 0 {
		errs = append(errs, domain.Invalid("loyalty-points", "points_zero", "an adjustment gives or takes at least one point"))
	}
	if c.Points > domain.MaxChange || c.Points < -domain.MaxChange {
		errs = append(errs, domain.Invalid("loyalty-points", "points_out_of_range", fmt.Sprintf("an adjustment is at most %d points either way", domain.MaxChange)))
	}
	errs = append(errs, domain.CheckReason("reason", c.Reason))
	return domain.JoinInvalid(errs...)
}

// Evolve applies one event to the state. It is total: an event of another kind changes nothing. The given state must not be used afterwards.
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
