package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
)

// EraseCustomer forgets a customer and certifies that every read model is clean of them.
type EraseCustomer struct {
	Caller
	Customer domain.CustomerID
	// Reason must be set even if the customer is forgotten already.
	Reason string
	// Checks has one check for each read model, in the order in which they are to be made.
	Checks []ErasureCheck
}

// ErasureCheck waits until one read model reflects the position at which a customer was forgotten, and says whether anything in it
// still leads to the customer.
type ErasureCheck func(ctx context.Context, forgotten domain.Position) (account.Check, error)

// Erased says how far the erasure of a customer has come.
type Erased struct {
	// Since is when the customer was forgotten, and Position the place of that event in the log.
	Since    time.Time
	Position domain.Position
	// Before is true if they had been forgotten before this command.
	Before bool
	// Certificate is nil if a check was not clean.
	Certificate *Certificate
}

// Certificate is the record that every read model was clean of a forgotten customer.
type Certificate struct {
	Position domain.Position
	Actor    string
	At       time.Time
	// Before is true if an earlier command appended it.
	Before bool
}

// EraseCustomer forgets the customer, makes every check, and appends a certificate once all are clean. It is safe to repeat: a customer
// is forgotten once, everything is checked again, and a certificate is appended only if the last one does not cover every read model
// checked now. A failed check ends it with that check's error, and the customer stays forgotten. Other errors are domain.ErrInvalid
// and domain.ErrUnavailable.
func (h *Handler) EraseCustomer(ctx context.Context, c EraseCustomer) (erased Erased, err error) {
	done, err := h.forget(ctx, ForgetCustomer{c.Caller, c.Customer, c.Reason})
	if err != nil {
		return erased, fmt.Errorf("forget a customer: %w", err)
	}
	event, _, err := last[account.CustomerForgotten](ctx, h, c.Customer)
	if err != nil {
		return erased, fmt.Errorf("read when a customer was forgotten: %w", err)
	}
	erased = Erased{Since: event.OccurredAt, Position: done.position, Before: done.events == 0}
	checks := make([]account.Check, len(c.Checks))
	for i, check := range c.Checks {
		if checks[i], err = check(ctx, done.position); err != nil {
			return erased, err
		}
	}
	if !slices.ContainsFunc(checks, func(c account.Check) bool { return !c.Clean }) {
		erased.Certificate, err = h.certificate(ctx, CertifyErasure{c.Caller, c.Customer, checks})
	}
	return erased, err
}

// certificate is the last one if it covers all that was checked, and otherwise a new one.
func (h *Handler) certificate(ctx context.Context, c CertifyErasure) (*Certificate, error) {
	event, position, err := last[account.ErasureCertified](ctx, h, c.Customer)
	before := err == nil && covers(event.Checks, c.Checks)
	if !before && (err == nil || errors.Is(err, domain.ErrNotFound)) {
		if _, err := h.CertifyErasure(ctx, c); err != nil {
			return nil, err
		}
		event, position, err = last[account.ErasureCertified](ctx, h, c.Customer)
	}
	if err != nil {
		return nil, fmt.Errorf("read the certificate of an erasure: %w", err)
	}
	return &Certificate{Position: position, Actor: event.Actor, At: event.OccurredAt, Before: before}, nil
}

// covers tells whether a certificate is about every read model that was checked now.
func covers(certified, now []account.Check) bool {
	for _, check := range now {
		if !slices.ContainsFunc(certified, func(c account.Check) bool { return c.Model == check.Model }) {
			return false
		}
	}
	return true
}

// ForgetCustomer retires a customer's proxy key. What links the customer's id to a person is not in this system.
type ForgetCustomer struct {
	Caller
	Customer domain.CustomerID
	Reason   string
}

// CertifyErasure records that every read model was checked after a customer was forgotten.
type CertifyErasure struct {
	Caller
	Customer domain.CustomerID
	Checks   []account.Check
}

// ForgetCustomer appends that a customer is forgotten, and returns the position of that event: a read model that reflects it has let go
// of them. Repeating it returns the position of the first time. Errors are domain.ErrInvalid and domain.ErrUnavailable.
func (h *Handler) ForgetCustomer(ctx context.Context, c ForgetCustomer) (domain.Position, error) {
	done, err := h.forget(ctx, c)
	if err != nil {
		return domain.Position{}, fmt.Errorf("forget a customer: %w", err)
	}
	return done.position, nil
}

// forget gives the position of the event even if it was there before, in which case no event was appended.
func (h *Handler) forget(ctx context.Context, c ForgetCustomer) (carriedOut, error) {
	done, err := h.carryOut(ctx, onAccount{c.Caller, c.Customer, deciding(account.Forget{
		Customer: c.Customer, Reason: c.Reason, Actor: c.Actor, At: h.now(),
	}), h.newID(), false})
	if err == nil && done.events == 0 {
		_, done.position, err = find(ctx, h.store, done.past, func(account.CustomerForgotten) bool { return true })
	}
	return done, err
}

// CertifyErasure appends the certificate and returns its position. Errors are domain.ErrNotFound (the customer was not
// forgotten), domain.ErrNotForgotten (a check was not clean), domain.ErrInvalid and domain.ErrUnavailable.
func (h *Handler) CertifyErasure(ctx context.Context, c CertifyErasure) (domain.Position, error) {
	done, err := h.carryOut(ctx, onAccount{c.Caller, c.Customer, deciding(account.Certify{
		Customer: c.Customer, Checks: c.Checks, Actor: c.Actor, At: h.now(),
	}), h.newID(), false})
	if err != nil {
		return domain.Position{}, fmt.Errorf("certify that a customer is forgotten: %w", err)
	}
	return done.position, nil
}

// last is the last event of type E about a customer, and its position; domain.ErrNotFound if there is none.
func last[E domain.Event](ctx context.Context, h *Handler, customer domain.CustomerID) (event E, at domain.Position, err error) {
	stored, _, err := h.store.Load(ctx, account.Stream(customer))
	if err != nil {
		return event, at, err
	}
	slices.Reverse(stored)
	return find(ctx, h.store, stored, func(E) bool { return true })
}
