package commands

import (
	"context"
	"fmt"
	"slices"

	"loyalty/domain"
	"loyalty/domain/account"
)

// RevealProxyName records that the caller is told which customers have a proxy name.
type RevealProxyName struct {
	Caller
	// ID makes the reveal safe to repeat. It is one that the caller chose.
	ID domain.RevealID
	// Customers are those who have the name.
	Customers []domain.CustomerID
	Reason    string
}

// Revealed are the customers behind a proxy name that the caller may be told.
type Revealed struct {
	// Customers are in the order of their ids. It is empty, not nil, if there are none.
	Customers []domain.CustomerID
	// Position is that of the last event of the reveal; zero if there is none.
	Position domain.Position
	// Replayed tells that the same had been asked for before, and nothing was appended now.
	Replayed bool
}

// RevealProxyName appends who is told of whom and why, in one append of all, and returns whom the caller may be told of: only after that may
// they be told. Whoever was forgotten is left out, and if that is everybody, nothing is appended. The same reveal again (by its id) tells
// the same. Errors are domain.ErrInvalid (no reason), domain.ErrConflict (the id with other content) and domain.ErrUnavailable.
func (h *Handler) RevealProxyName(ctx context.Context, c RevealProxyName) (Revealed, error) {
	if c.ID == "" {
		return Revealed{}, errNoID
	}
	customers, err := h.notForgotten(ctx, c.Customers)
	if err != nil {
		return Revealed{}, fmt.Errorf("reveal a proxy name: %w", err)
	}
	command := account.Reveal{ID: domain.FullID(c.Issuer, c.ID), Customers: customers, Reason: c.Reason, Actor: c.Actor, At: h.now()}
	id, stream := h.newID(), account.RevealStream(command.ID)
	revealed := Revealed{Customers: customers}
	err = h.store.RetryWrongRevision(ctx, func() error {
		past, err := load(ctx, h.store, stream, account.EvolveRevealed)
		if err != nil {
			return err
		}
		events, err := account.DecideReveal(command, past.state)
		switch {
		case err != nil || len(customers) == 0:
			return err
		case len(events) == 0:
			revealed.Replayed = true
			revealed.Position, err = h.store.PositionOf(ctx, past.events[len(past.events)-1])
			return err
		}
		revealed.Position, err = h.store.Append(ctx, stream, past.revision, id, h.metadata(c.Caller, id), events...)
		return err
	})
	if err != nil {
		return Revealed{}, fmt.Errorf("reveal a proxy name: %w", err)
	}
	return revealed, nil
}

// notForgotten are the customers who were not forgotten, in the order of their ids.
func (h *Handler) notForgotten(ctx context.Context, customers []domain.CustomerID) ([]domain.CustomerID, error) {
	left := make([]domain.CustomerID, 0, len(customers))
	for _, customer := range slices.Sorted(slices.Values(customers)) {
		past, err := load(ctx, h.store, account.Stream(customer), account.Evolve)
		if err != nil {
			return nil, err
		}
		if !past.state.Forgotten {
			left = append(left, customer)
		}
	}
	return left, nil
}
