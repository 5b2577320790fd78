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
	Order    domain.OrderID
	Customer domain.CustomerID
	Items    []string
	Paid     domain.Money
	// Method is how it was paid in a word; may be empty.
	Method string
}

// Placed is what became of PlaceOrder.
type Placed struct {
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
	Order  domain.OrderID
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

// PlaceOrder places an order and awards its points in one append. The same order again gives the first answer;
// domain.ErrConflict is the id with other content. Other errors are domain.ErrInvalid, domain.ErrOrderPoints and
// domain.ErrUnavailable; only after the last may the order have been placed, and repeating the command is then safe.
func (h *Handler) PlaceOrder(ctx context.Context, c PlaceOrder) (Placed, error) {
	command := order.Place{
		Order: c.Order, Customer: c.Customer, Items: c.Items, Paid: c.Paid, Method: c.Method,
		Policy: h.policy, MaxPoints: h.maxOrderPoints, At: h.now(),
	}
	id, stream := h.newID(), orderStream(c.Order)
	// An order is nearly always new: it is decided for a new stream, and the store says if that was wrong.
	events, err := order.Decide(command, order.State{})
	var placed Placed
	switch {
	case errors.Is(err, domain.ErrOrderPoints):
		placed, err = h.placedBefore(ctx, command, err)
	case err != nil:
		return Placed{}, err
	default:
		points := events[len(events)-1].(order.PointsAwarded).Points
		err = h.store.RetryWrongRevision(ctx, func() error {
			position, err := h.store.Append(ctx, stream, eventstore.NoStream, id, h.metadata(c.Caller, id), events...)
			if placed = (Placed{Order: c.Order, Points: points, Position: position}); errors.Is(err, domain.ErrWrongRevision) {
				placed, err = h.placedBefore(ctx, command, err)
			}
			return err
		})
	}
	if err != nil {
		return Placed{}, fmt.Errorf("place order %s: %w", c.Order, err)
	}
	return placed, nil
}

// placedBefore answers for an order that could not be placed as a new one, for the reason given, which is its error if no such order is found.
func (h *Handler) placedBefore(ctx context.Context, command order.Place, reason error) (Placed, error) {
	past, err := load(ctx, h.store, orderStream(command.Order), order.Evolve)
	if err != nil {
		return Placed{}, err
	}
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
	return Placed{Order: command.Order, Points: award.Points, Position: position, Replayed: true}, nil
}

// ReturnItems takes back what the returned amount had earned. The same return again gives the first answer;
// domain.ErrConflict is the return's id with other content. Other errors are domain.ErrInvalid, domain.ErrNotFound (no
// such order), domain.ErrReturnExceedsPaid and domain.ErrUnavailable.
func (h *Handler) ReturnItems(ctx context.Context, c ReturnItems) (Returned, error) {
	command := order.Return{Order: c.Order, Return: c.Return, Amount: c.Amount, Reason: c.Reason, At: h.now()}
	id, stream := h.newID(), orderStream(c.Order)
	var returned Returned
	err := h.store.RetryWrongRevision(ctx, func() error {
		past, err := load(ctx, h.store, stream, order.Evolve)
		if err != nil {
			return err
		}
		events, err := order.Decide(command, past.state)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			returned, err = h.returnedBefore(ctx, command, past)
			return err
		}
		reversed := events[len(events)-1].(order.PointsReversed)
		if returned = (Returned{Return: c.Return, Points: reversed.Points}); c.Preview {
			return nil
		}
		returned.Position, err = h.store.Append(ctx, stream, past.revision, id, h.metadata(c.Caller, id), events...)
		return err
	})
	if err != nil {
		return Returned{}, fmt.Errorf("return %s of order %s: %w", c.Return, c.Order, err)
	}
	return returned, nil
}

func (h *Handler) returnedBefore(ctx context.Context, c order.Return, past history[order.State]) (Returned, error) {
	reversal, position, err := find(ctx, h.store, past.events, func(e order.PointsReversed) bool { return e.ReturnID == c.Return })
	if err != nil {
		return Returned{}, fmt.Errorf("find it: %w", err)
	}
	return Returned{Return: c.Return, Points: reversal.Points, Position: position, Replayed: true}, nil
}
