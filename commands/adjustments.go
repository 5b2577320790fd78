package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
)

// AdjustPoints gives a customer points, or takes them, for a stated reason.
type AdjustPoints struct {
	Caller
	Customer domain.CustomerID
	// ID makes the adjustment safe to repeat; empty makes up a new one.
	ID     domain.LoyaltyID
	Points domain.Points
	Reason string
	// Limit is the most points that the caller may give or take alone; 0 is no limit. More waits for a second person.
	Limit domain.Points
	// Preview decides and tells what would happen, and appends nothing.
	Preview bool
}

// ApproveAdjustment makes an adjustment that waits for a second person, who is the caller.
type ApproveAdjustment struct {
	Caller
	Customer domain.CustomerID
	ID       domain.LoyaltyID
	Preview  bool
}

// DeclineAdjustment turns an adjustment down that waits for a second person.
type DeclineAdjustment struct {
	Caller
	Customer domain.CustomerID
	ID       domain.LoyaltyID
	Reason   string
}

// Adjusted is what became of an adjustment.
type Adjusted struct {
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

func accountStream(id domain.CustomerID) string { return "account-" + string(id) }

// AdjustPoints makes an adjustment, or has it wait for a second person. The same one again (by its id) tells what became of it;
// domain.ErrConflict is the id with other content. Other errors are domain.ErrInvalid, domain.ErrPointsLimit and
// domain.ErrUnavailable.
func (h *Handler) AdjustPoints(ctx context.Context, c AdjustPoints) (Adjusted, error) {
	id := h.newID()
	if c.ID == "" {
		c.ID = domain.LoyaltyID(id.String())
	}
	return h.adjust(ctx, adjustment{c.Caller, c.Customer, c.ID, id, c.Preview}, account.Adjust{
		Customer: c.Customer, ID: c.ID, Points: c.Points, Reason: c.Reason, Actor: c.Actor, Limit: c.Limit, At: h.now(),
	})
}

// ApproveAdjustment makes an adjustment that waits. Approving what was approved changes nothing. Errors are domain.ErrNotFound (no
// such request), domain.ErrOwnRequest, domain.ErrDecided (it was declined), domain.ErrPointsLimit and domain.ErrUnavailable.
func (h *Handler) ApproveAdjustment(ctx context.Context, c ApproveAdjustment) (Adjusted, error) {
	return h.adjust(ctx, adjustment{c.Caller, c.Customer, c.ID, h.newID(), c.Preview}, account.Approve{
		Customer: c.Customer, ID: c.ID, Actor: c.Actor, At: h.now(),
	})
}

// DeclineAdjustment turns down an adjustment that waits. Declining what was declined changes nothing. Errors are domain.ErrInvalid,
// domain.ErrNotFound, domain.ErrDecided (it was approved) and domain.ErrUnavailable.
func (h *Handler) DeclineAdjustment(ctx context.Context, c DeclineAdjustment) (Adjusted, error) {
	return h.adjust(ctx, adjustment{c.Caller, c.Customer, c.ID, h.newID(), false}, account.Decline{
		Customer: c.Customer, ID: c.ID, Reason: c.Reason, Actor: c.Actor, At: h.now(),
	})
}

// adjustment is what carrying out a command about one takes beside the command.
type adjustment struct {
	caller   Caller
	customer domain.CustomerID
	id       domain.LoyaltyID
	command  uuid.UUID
	preview  bool
}

// adjust decides a command about an adjustment and appends what it comes to.
func (h *Handler) adjust(ctx context.Context, a adjustment, command account.Command) (Adjusted, error) {
	stream := accountStream(a.customer)
	var err error
	for range maxAttempts {
		var past history[account.State]
		if past, err = load(ctx, h.store, stream, account.Evolve); err != nil {
			break
		}
		var events []domain.Event
		if events, err = account.Decide(command, past.state); err != nil {
			return Adjusted{}, err
		}
		if len(events) == 0 {
			return h.adjustedBefore(ctx, a, past)
		}
		revision, before := past.revision(), past.state.Points
		state := past.state
		for _, event := range events {
			state = account.Evolve(state, event)
		}
		result := standing(state, a.id)
		if a.preview {
			return result, nil
		}
		result.Position, err = h.totals.within(ctx, a.customer, state.Points-before, func(ctx context.Context) (domain.Position, error) {
			return h.store.Append(ctx, stream, revision, a.command, h.metadata(a.caller, a.command), events...)
		})
		if err == nil {
			return result, nil
		}
		if !errors.Is(err, domain.ErrWrongRevision) {
			break
		}
	}
	return Adjusted{}, fmt.Errorf("adjust the points of %s: %w", a.customer, contended(err))
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

// adjustedBefore answers for a command that has nothing more to do.
func (h *Handler) adjustedBefore(ctx context.Context, a adjustment, past history[account.State]) (Adjusted, error) {
	result := standing(past.state, a.id)
	result.Replayed = true
	var err error
	switch result.Status {
	case AdjustmentMade:
		_, result.Position, err = find(ctx, h.store, past.events, func(e account.PointsAdjusted) bool { return e.LoyaltyID == a.id })
	case AdjustmentDeclined:
		_, result.Position, err = find(ctx, h.store, past.events, func(e account.AdjustmentDeclined) bool { return e.LoyaltyID == a.id })
	default:
		_, result.Position, err = find(ctx, h.store, past.events, func(e account.AdjustmentRequested) bool { return e.LoyaltyID == a.id })
	}
	if err != nil {
		return Adjusted{}, fmt.Errorf("find adjustment %s: %w", a.id, err)
	}
	return result, nil
}
