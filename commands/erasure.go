package commands

import (
	"context"
	"fmt"

	"loyalty/domain"
	"loyalty/domain/account"
)

// ForgetCustomer retires a customer's proxy key. What links the customer's id to a person is not in this system.
type ForgetCustomer struct {
	Caller
	Customer domain.CustomerID
	Reason   string
}

// CertifyErasure records that every read model was looked at after a customer was forgotten.
type CertifyErasure struct {
	Caller
	Customer domain.CustomerID
	Checks   []account.Check
}

// ForgetCustomer has every read model let go of a customer, and returns the position from which on they have. Once is enough:
// later it returns the position of the first time. Errors are domain.ErrInvalid and domain.ErrUnavailable.
func (h *Handler) ForgetCustomer(ctx context.Context, c ForgetCustomer) (domain.Position, error) {
	done, err := h.carryOut(ctx, onAccount{c.Caller, c.Customer, account.Forget{
		Customer: c.Customer, Reason: c.Reason, Actor: c.Actor, At: h.now(),
	}, h.newID(), false})
	if err == nil && done.events == 0 {
		done.position, err = firstPosition[account.CustomerForgotten](ctx, h, done)
	}
	if err != nil {
		return domain.Position{}, fmt.Errorf("forget a customer: %w", err)
	}
	return done.position, nil
}

// CertifyErasure appends the certificate and returns its position. Errors are domain.ErrNotFound (the customer was not
// forgotten), domain.ErrNotForgotten (a check was not clean), domain.ErrInvalid and domain.ErrUnavailable.
func (h *Handler) CertifyErasure(ctx context.Context, c CertifyErasure) (domain.Position, error) {
	done, err := h.carryOut(ctx, onAccount{c.Caller, c.Customer, account.Certify{
		Customer: c.Customer, Checks: c.Checks, Actor: c.Actor, At: h.now(),
	}, h.newID(), false})
	if err != nil {
		return domain.Position{}, fmt.Errorf("certify that a customer is forgotten: %w", err)
	}
	return done.position, nil
}

// firstPosition is that of the first event of a type in the account before.
func firstPosition[E domain.Event](ctx context.Context, h *Handler, done carriedOut) (domain.Position, error) {
	_, at, err := find(ctx, h.store, done.past, func(E) bool { return true })
	return at, err
}
