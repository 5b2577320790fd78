package commands

import (
	"context"
	"fmt"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
)

// AdjustPoints gives a customer points, or takes them, for a stated reason.
type AdjustPoints struct {
	Caller
	Customer domain.CustomerID
	// ID makes the adjustment safe to repeat, and is the caller's own: with their issuer it becomes the full id. Only a preview may be without.
	ID     domain.LoyaltyID
	Points domain.Points
	Reason string
	// Limit is the most points that the caller may give or take alone; 0 is no limit. More waits for a second person.
	Limit domain.Points
	// DayLimit is the most points that the caller may give or take alone on a day in UTC, all adjustments together; 0 is no limit. What
	// is beyond it waits for a second person.
	DayLimit domain.Points
	// Preview decides and tells what would happen, and appends nothing.
	Preview bool
}

// ApproveAdjustment makes an adjustment that waits for a second person, who is the caller. ID is its id in full.
type ApproveAdjustment struct {
	Caller
	Customer domain.CustomerID
	ID       domain.LoyaltyID
	Preview  bool
}

// DeclineAdjustment turns an adjustment down that waits for a second person. ID is its id in full.
type DeclineAdjustment struct {
	Caller
	Customer domain.CustomerID
	ID       domain.LoyaltyID
	Reason   string
}

// Adjusted is what became of an adjustment.
type Adjusted struct {
	// ID is the full id, or the bare one under which the adjustment was stored before ids had issuers.
	ID     domain.LoyaltyID
	Status AdjustmentStatus
	// Points are those of the adjustment, made or not.
	Points domain.Points
	// Position is that of the last event about the adjustment; zero in a preview.
	Position domain.Position
	// Replayed tells that the same had been asked for before, and nothing was appended now.
	Replayed bool
}

// AdjustmentStatus says where an adjustment stands.
type AdjustmentStatus string

// An adjustment is made, or it waits for a second person, who approves it, so that it is made, or declines it.
const (
	AdjustmentMade     AdjustmentStatus = "made"
	AdjustmentWaiting  AdjustmentStatus = "waiting"
	AdjustmentDeclined AdjustmentStatus = "declined"
)

// AdjustPoints makes an adjustment, or has it wait for a second person. The same one again (by its id) tells what became of it;
// domain.ErrConflict is the id with other content. Other errors are domain.ErrInvalid, domain.ErrAdjustmentPoints and
// domain.ErrUnavailable.
func (h *Handler) AdjustPoints(ctx context.Context, c AdjustPoints) (Adjusted, error) {
	id := h.newID()
	if c.ID == "" {
		if !c.Preview {
			return Adjusted{}, errNoID
		}
		c.ID = domain.LoyaltyID(id.String())
	}
	c.ID = domain.FullID(c.Issuer, c.ID)
	adjust := account.Adjust{
		Customer: c.Customer, ID: c.ID, Points: c.Points, Reason: c.Reason, Actor: c.Actor, Limit: c.Limit, MaxPoints: h.maxAdjustmentPoints, At: h.now(),
	}
	decide := deciding(adjust)
	if c.DayLimit > 0 {
		decide = h.withinAllowance(c, adjust, id)
	}
	return h.adjust(ctx, onAccount{c.Caller, c.Customer, decide, id, c.Preview}, c.ID)
}

// ApproveAdjustment makes an adjustment that waits. Approving what was approved changes nothing. Errors are domain.ErrNotFound (no
// such request), domain.ErrOwnRequest, domain.ErrDecided (it was declined) and domain.ErrUnavailable.
func (h *Handler) ApproveAdjustment(ctx context.Context, c ApproveAdjustment) (Adjusted, error) {
	return h.adjust(ctx, onAccount{c.Caller, c.Customer, deciding(account.Approve{
		Customer: c.Customer, ID: c.ID, Actor: c.Actor, At: h.now(),
	}), h.newID(), c.Preview}, c.ID)
}

// DeclineAdjustment turns down an adjustment that waits. Declining what was declined changes nothing. Errors are domain.ErrInvalid,
// domain.ErrNotFound, domain.ErrDecided (it was approved) and domain.ErrUnavailable.
func (h *Handler) DeclineAdjustment(ctx context.Context, c DeclineAdjustment) (Adjusted, error) {
	return h.adjust(ctx, onAccount{c.Caller, c.Customer, deciding(account.Decline{
		Customer: c.Customer, ID: c.ID, Reason: c.Reason, Actor: c.Actor, At: h.now(),
	}), h.newID(), false}, c.ID)
}

// adjust carries out a command about the adjustment id.
func (h *Handler) adjust(ctx context.Context, c onAccount, id domain.LoyaltyID) (Adjusted, error) {
	done, err := h.carryOut(ctx, c)
	if err != nil {
		return Adjusted{}, fmt.Errorf("adjust a customer's points: %w", err)
	}
	result := standing(done.state, done.state.Standing(id, c.caller.Actor))
	result.Position = done.position
	if done.events == 0 {
		result.Replayed = true
		result.Position, err = h.lastAbout(ctx, done.past, result)
	}
	return result, err
}

// standing is where an adjustment stands that the state knows of.
func standing(s account.State, id domain.LoyaltyID) Adjusted {
	if made, known := s.Made[id]; known {
		return Adjusted{ID: id, Status: AdjustmentMade, Points: made.Points}
	}
	result := Adjusted{ID: id, Status: AdjustmentWaiting, Points: s.Requests[id].Points}
	if _, declined := s.Declined[id]; declined {
		result.Status = AdjustmentDeclined
	}
	return result
}

// lastAbout is the position of the event that brought an adjustment to where it stands.
func (h *Handler) lastAbout(ctx context.Context, past []eventstore.Recorded, a Adjusted) (at domain.Position, err error) {
	switch a.Status {
	case AdjustmentMade:
		_, at, err = find(ctx, h.store, past, func(e account.PointsAdjusted) bool { return e.LoyaltyID == a.ID })
	case AdjustmentDeclined:
		_, at, err = find(ctx, h.store, past, func(e account.AdjustmentDeclined) bool { return e.LoyaltyID == a.ID })
	default:
		_, at, err = find(ctx, h.store, past, func(e account.AdjustmentRequested) bool { return e.LoyaltyID == a.ID })
	}
	if err != nil {
		return at, fmt.Errorf("find adjustment %s: %w", a.ID, err)
	}
	return at, nil
}
