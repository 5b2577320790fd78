package account

import (
	"fmt"
	"time"

	"loyalty/domain"
)

// Approve approves a requested adjustment, which is then made.
type Approve struct {
	Customer domain.CustomerID
	// ID is the id of the adjustment.
	ID domain.LoyaltyID
	// Actor is who approves, and must not be who requested it.
	Actor string
	At    time.Time
}

// Decline declines a requested adjustment. Whoever requested it may do so too, to withdraw it.
type Decline struct {
	Customer domain.CustomerID
	ID       domain.LoyaltyID
	Reason   string
	Actor    string
	At       time.Time
}

func (c Approve) decide(s State) ([]domain.Event, error) {
	request, known := s.Requests[c.ID]
	_, declined := s.Declined[c.ID]
	_, made := s.Made[c.ID]
	switch {
	case !known:
		return nil, fmt.Errorf("request %s: %w", c.ID, domain.ErrNotFound)
	case declined:
		return nil, fmt.Errorf("request %s was declined: %w", c.ID, domain.ErrDecided)
	case made:
		return nil, nil
	case s.Forgotten:
		return nil, fmt.Errorf("request %s: %w", c.ID, domain.ErrForgotten)
	case request.Actor == c.Actor:
		return nil, fmt.Errorf("request %s: %w", c.ID, domain.ErrOwnRequest)
	}
	about := domain.About{CustomerID: c.Customer, OccurredAt: c.At.UTC()}
	return []domain.Event{
		AdjustmentApproved{About: about, LoyaltyID: c.ID, Points: request.Points, RequestedBy: request.Actor, Actor: c.Actor},
		PointsAdjusted{About: about, LoyaltyID: c.ID, Points: request.Points, Reason: request.Reason, Actor: request.Actor},
	}, nil
}

func (c Decline) decide(s State) ([]domain.Event, error) {
	if err := domain.CheckReason("reason", c.Reason); err != nil {
		return nil, err
	}
	_, known := s.Requests[c.ID]
	_, declined := s.Declined[c.ID]
	_, made := s.Made[c.ID]
	switch {
	case !known:
		return nil, fmt.Errorf("request %s: %w", c.ID, domain.ErrNotFound)
	case made:
		return nil, fmt.Errorf("request %s was approved: %w", c.ID, domain.ErrDecided)
	case declined:
		return nil, nil
	}
	return []domain.Event{AdjustmentDeclined{
		About: domain.About{CustomerID: c.Customer, OccurredAt: c.At.UTC()}, LoyaltyID: c.ID, Reason: c.Reason, Actor: c.Actor,
	}}, nil
}
