package commands

import (
	"context"
	"errors"
	"fmt"

	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

// PlaceOrder says that a customer bought.
type PlaceOrder struct {
	Caller
	// Order is the id that the caller chose.
	Order    domain.OrderID
	Customer domain.CustomerID
	Items    []string
	Paid     domain.Money
	// Method is how it was paid in a word; may be empty.
	Method string
}

// Placed is what became of PlaceOrder.
type Placed struct {
	// Order is the id as the caller gave it; so are those of the other results.
	Order  domain.OrderID
	Points domain.Points
	// Position is the order's place in the log; a read at or after it shows the points.
	Position domain.Position
	// Replayed tells that the same order had been placed before, and this is what was answered then.
	Replayed bool
}

// ReturnItems says that part or all of what was paid for an order goes back to the customer.
type ReturnItems struct {
	Caller
	// Order is a full id, or the bare one of an order of the caller's.
	Order domain.OrderID
	// Return is the id that the caller chose.
	Return domain.ReturnID
	// Amount is in minor units (pence, cents) of the order's currency.
	Amount int64
	// Reason may be empty.
	Reason string
	// Preview decides and tells what would happen, and appends nothing.
	Preview bool
}

// Returned is what became of ReturnItems.
type Returned struct {
	Return domain.ReturnID
	// Points taken back, 0 or more.
	Points domain.Points
	// Position is zero in a preview.
	Position domain.Position
	// Replayed tells that the same return had been made before, and this is what was answered then.
	Replayed bool
}

func orderStream(id domain.OrderID) string { return "order-" + string(id) }

// PlaceOrder places an order and awards its points in one append. The same order of the same issuer again gives the first answer;
// domain.ErrConflict is the id with other content. What others placed under the same id makes no difference. Other errors are
// domain.ErrInvalid, domain.ErrOrderPoints and domain.ErrUnavailable; only after the last may the order have been placed, and repeating the
// command is then safe.
func (h *Handler) PlaceOrder(ctx context.Context, c PlaceOrder) (Placed, error) {
	if c.Issuer == "" {
		return Placed{}, errNoIssuer
	}
	command := order.Place{
		Order: domain.FullID(c.Issuer, c.Order), Customer: c.Customer, Items: c.Items, Paid: c.Paid, Method: c.Method,
		Policy: h.policy, MaxPoints: h.maxOrderPoints, At: h.now(),
	}
	// An order is nearly always new: it is decided for a new stream, and the store says if that was wrong.
	events, refused := order.Decide(command, order.State{})
	if refused != nil && !errors.Is(refused, domain.ErrOrderPoints) {
		return Placed{}, refused
	}
	id := h.newID()
	var placed Placed
	err := h.store.RetryWrongRevision(ctx, func() (err error) {
		bare, err := h.ownBareOrder(ctx, c.Caller, c.Order)
		switch {
		case err != nil:
		case len(bare.events) > 0:
			placed, err = h.placedBefore(ctx, command, bare, domain.ErrWrongRevision)
		case refused != nil:
			placed, err = h.loadPlaced(ctx, command, refused)
		default:
			placed.Points = events[len(events)-1].(order.PointsAwarded).Points
			placed.Position, err = h.store.Append(ctx, orderStream(command.Order), eventstore.NoStream, id, h.metadata(c.Caller, id), events...)
			if errors.Is(err, domain.ErrWrongRevision) {
				placed, err = h.loadPlaced(ctx, command, err)
			}
		}
		return err
	})
	if err != nil {
		return Placed{}, fmt.Errorf("place order %s: %w", c.Order, err)
	}
	placed.Order = c.Order
	return placed, nil
}

// loadPlaced answers for an order that could not be placed as a new one, for the reason given.
func (h *Handler) loadPlaced(ctx context.Context, command order.Place, reason error) (Placed, error) {
	past, err := load(ctx, h.store, orderStream(command.Order), order.Evolve)
	if err != nil {
		return Placed{}, err
	}
	return h.placedBefore(ctx, command, past, reason)
}

// placedBefore answers for an order that was placed before; if its history does not show that, the error is the reason to think so.
func (h *Handler) placedBefore(ctx context.Context, command order.Place, past history[order.State], reason error) (Placed, error) {
	if past.state.Placed == nil {
		return Placed{}, reason
	}
	if _, err := order.Decide(command, past.state); err != nil {
		return Placed{}, err
	}
	award, position, err := find(ctx, h.store, past.events, func(order.PointsAwarded) bool { return true })
	if err != nil {
		return Placed{}, fmt.Errorf("find the award: %w", err)
	}
	return Placed{Points: award.Points, Position: position, Replayed: true}, nil
}

// ReturnItems takes back what the returned amount had earned. The same return of the same issuer again gives the first answer;
// domain.ErrConflict is the return's id with other content. Other errors are domain.ErrInvalid, domain.ErrOrderNotFound,
// domain.ErrReturnExceedsPaid and domain.ErrUnavailable.
func (h *Handler) ReturnItems(ctx context.Context, c ReturnItems) (Returned, error) {
	if c.Issuer == "" {
		return Returned{}, errNoIssuer
	}
	command, id := order.Return{Amount: c.Amount, Reason: c.Reason, At: h.now()}, h.newID()
	var returned Returned
	err := h.store.RetryWrongRevision(ctx, func() error {
		stored, past, err := h.findOrder(ctx, c.Caller, c.Order)
		if err != nil {
			return err
		}
		command.Order, command.Return = stored, storedReturnID(c, past.events)
		events, err := order.Decide(command, past.state)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			returned, err = h.returnedBefore(ctx, command, past)
			return err
		}
		reversed := events[len(events)-1].(order.PointsReversed)
		if returned = (Returned{Points: reversed.Points}); c.Preview {
			return nil
		}
		returned.Position, err = h.store.Append(ctx, orderStream(stored), past.revision, id, h.metadata(c.Caller, id), events...)
		return err
	})
	if err != nil {
		return Returned{}, fmt.Errorf("return %s of order %s: %w", c.Return, domain.LogID(c.Order), err)
	}
	returned.Return = c.Return
	return returned, nil
}

// findOrder finds the order that a caller means, and the id under which it is stored. A bare id is of the caller's own order, a full one of
// its issuer's: under the full id, or else under the bare one. Support places no orders, and means by a bare id the order under it,
// whoever placed it. An order that there is not has no events.
func (h *Handler) findOrder(ctx context.Context, c Caller, wanted domain.OrderID) (domain.OrderID, history[order.State], error) {
	issuer, id := domain.SplitID(wanted)
	anyones := issuer == "" && c.Issuer == domain.Staff
	if issuer == "" {
		issuer = c.Issuer
	}
	if !anyones {
		full := domain.FullID(issuer, id)
		past, err := load(ctx, h.store, orderStream(full), order.Evolve)
		if err != nil || past.revision != eventstore.NoStream {
			return full, past, err
		}
	}
	past, err := load(ctx, h.store, orderStream(id), order.Evolve)
	if err == nil && !anyones && !placedBy(past.events, issuer, c.Actor) {
		past = history[order.State]{}
	}
	return id, past, err
}

func (h *Handler) returnedBefore(ctx context.Context, c order.Return, past history[order.State]) (Returned, error) {
	reversal, position, err := find(ctx, h.store, past.events, func(e order.PointsReversed) bool { return e.ReturnID == c.Return })
	if err != nil {
		return Returned{}, fmt.Errorf("find it: %w", err)
	}
	return Returned{Points: reversal.Points, Position: position, Replayed: true}, nil
}
