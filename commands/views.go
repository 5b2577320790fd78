package commands

import (
	"context"
	"fmt"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
)

// ViewCustomer records that the caller, a member of staff, is shown what the system knows of a customer.
type ViewCustomer struct {
	Caller
	Customer domain.CustomerID
	// Route is what was asked: "/loyalty/:userId/trail".
	Route string
}

// ViewCustomer appends who is shown what of whom: only after that may it be shown. Each view has a stream of its own, so that views never
// wait for each other. It returns domain.ErrUnavailable where it could not be appended.
func (h *Handler) ViewCustomer(ctx context.Context, c ViewCustomer) error {
	id := h.newID()
	viewed := account.CustomerViewed{About: domain.About{CustomerID: c.Customer, OccurredAt: h.now().UTC()}, Route: c.Route, Actor: c.Actor}
	if _, err := h.store.Append(ctx, "view-"+id.String(), eventstore.NoStream, id, h.metadata(c.Caller, id), viewed); err != nil {
		return fmt.Errorf("record who is shown a customer: %w", err)
	}
	return nil
}
