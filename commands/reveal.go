package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"loyalty/domain"
	"loyalty/domain/account"
)

// RevealProxyName records that the caller is told which customer is behind a proxy name.
type RevealProxyName struct {
	Caller
	Customer domain.CustomerID
	Reason   string
}

// RevealProxyName appends who is told and why, and returns its position: only after that may the customer be told. Errors are
// domain.ErrInvalid (no reason), domain.ErrForgotten and domain.ErrUnavailable.
func (h *Handler) RevealProxyName(ctx context.Context, c RevealProxyName) (domain.Position, error) {
	done, err := h.carryOut(ctx, onAccount{c.Caller, c.Customer, account.Reveal{
		Customer: c.Customer, Reason: c.Reason, Actor: c.Actor, At: h.now(),
	}, h.newID(), false})
	if err != nil {
		return domain.Position{}, fmt.Errorf("reveal a proxy name: %w", err)
	}
	return done.position, nil
}

// Revealed are the customers behind a proxy name that the caller may be told.
type Revealed struct {
	// Customers are in the order of their ids. It is empty, not nil, if there are none.
	Customers []domain.CustomerID
	// Position is that of the last reveal appended; zero if there is none.
	Position domain.Position
}

// Reveal appends a reveal of each of the customers who have a proxy name, and returns them once all of it is in the log. Whoever
// was forgotten since the customers were looked up is left out. If one reveal can't be appended, it returns that error and nobody is told.
// record is Handler.RevealProxyName, or that behind something that bounds how much is written at once.
func Reveal(
	ctx context.Context, record func(context.Context, RevealProxyName) (domain.Position, error),
	caller Caller, customers []domain.CustomerID, reason string,
) (Revealed, error) {
	revealed := Revealed{Customers: make([]domain.CustomerID, 0, len(customers))}
	for _, customer := range slices.Sorted(slices.Values(customers)) {
		position, err := record(ctx, RevealProxyName{Caller: caller, Customer: customer, Reason: reason})
		switch {
		case errors.Is(err, domain.ErrForgotten):
			continue
		case err != nil:
			return Revealed{}, err
		}
		revealed.Customers = append(revealed.Customers, customer)
		if revealed.Position.Before(position) {
			revealed.Position = position
		}
	}
	return revealed, nil
}
