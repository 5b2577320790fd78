package commands

import (
	"context"
	"errors"
	"fmt"

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
}

// Adjusted is what became of AdjustPoints.
type Adjusted struct {
	ID       domain.LoyaltyID
	Position domain.Position
	// Replayed tells that the same adjustment had been made before, and this is what was answered then.
	Replayed bool
}

func accountStream(id domain.CustomerID) string { return "account-" + string(id) }

// AdjustPoints makes an adjustment. The same one again (by its id) gives the first answer; domain.ErrConflict is the id
// with other content. Other errors are domain.ErrInvalid, domain.ErrPointsLimit and domain.ErrUnavailable.
func (h *Handler) AdjustPoints(ctx context.Context, c AdjustPoints) (Adjusted, error) {
	id, stream := h.newID(), accountStream(c.Customer)
	command := account.Adjust{Customer: c.Customer, ID: c.ID, Points: c.Points, Reason: c.Reason, Actor: c.Actor, At: h.now()}
	if command.ID == "" {
		command.ID = domain.LoyaltyID(id.String())
	}
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
			return h.adjustedBefore(ctx, command, past)
		}
		var position domain.Position
		position, err = h.totals.within(ctx, c.Customer, c.Points, func(ctx context.Context) (domain.Position, error) {
			return h.store.Append(ctx, stream, past.revision(), id, h.metadata(c.Caller, id), events...)
		})
		if err == nil {
			return Adjusted{ID: command.ID, Position: position}, nil
		}
		if !errors.Is(err, domain.ErrWrongRevision) {
			break
		}
	}
	return Adjusted{}, fmt.Errorf("adjust the points of %s: %w", c.Customer, contended(err))
}

func (h *Handler) adjustedBefore(ctx context.Context, c account.Adjust, past history[account.State]) (Adjusted, error) {
	_, position, err := find(ctx, h.store, past.events, func(e account.PointsAdjusted) bool { return e.LoyaltyID == c.ID })
	if err != nil {
		return Adjusted{}, fmt.Errorf("find adjustment %s: %w", c.ID, err)
	}
	return Adjusted{ID: c.ID, Position: position, Replayed: true}, nil
}
