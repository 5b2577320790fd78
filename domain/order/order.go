// Package order decides commands about one order: it is placed once and earns points, and returns reverse what the returned amount earned.
// Each order is one stream; an order and its points are appended together or not at all.
package order

import (
	"fmt"
	"slices"
	"time"

	"loyalty/domain"
)

// Command is Place or Return.
type Command interface {
	decide(State) ([]domain.Event, error)
}

// MaxItems is the most items an order may list.
const MaxItems = 500

// MaxMethodLength is the greatest length of the payment method, in bytes.
const MaxMethodLength = 32

// Place places an order. Ids and Paid must be valid already, as their parse functions make sure; Items, Method and Policy are checked here.
type Place struct {
	Order    domain.OrderID
	Customer domain.CustomerID
	Items    []string
	Paid     domain.Money
	Method   string
	Policy   domain.Policy
	// MaxPoints is the most points that the order may earn; 0 is domain.MaxChange.
	MaxPoints domain.Points
	At        time.Time
}

// Return refunds Amount of an order to the customer, at least 1, in minor units of the order's currency.
type Return struct {
	Order  domain.OrderID
	Return domain.ReturnID
	Amount int64
	Reason string
	At     time.Time
}

// State is folded from an order's events. The zero State is an order that was not placed.
type State struct {
	Placed *Placed
	// Policy is the policy of the award.
	Policy domain.Policy
	// Refunded is the sum of all returns, in minor units.
	Refunded int64
	// Points is the award less all reversals.
	Points  domain.Points
	Returns map[domain.ReturnID]ItemsReturned
}

// Net is the amount paid less all returns.
func (s State) Net() domain.Money {
	if s.Placed == nil {
		return domain.Money{}
	}
	return domain.Money{Minor: s.Placed.Paid.Minor - s.Refunded, Currency: s.Placed.Paid.Currency}
}

// Decide returns the events of a command. No events and no error means that the same command was carried out before. Errors are
// domain.ErrInvalid, domain.ErrConflict if the id was used with other content, domain.ErrOrderNotFound for a return,
// domain.ErrReturnExceedsPaid, and domain.ErrOrderPoints if an order that was not placed before would earn too much.
func Decide(c Command, s State) ([]domain.Event, error) { return c.decide(s) }

func (c Place) decide(s State) ([]domain.Event, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if s.Placed != nil {
		if c.sameAs(*s.Placed) {
			return nil, nil
		}
		return nil, fmt.Errorf("order %s: %w", domain.LogID(c.Order), domain.ErrConflict)
	}
	points, err := c.Policy.Points(c.Paid)
	if err != nil {
		return nil, fmt.Errorf("order %s: %w", domain.LogID(c.Order), err)
	}
	if c.MaxPoints > 0 && points > c.MaxPoints {
		return nil, fmt.Errorf("order %s: %w", domain.LogID(c.Order), &domain.PointsLimitError{Kind: domain.ErrOrderPoints, Limit: c.MaxPoints})
	}
	about := domain.About{CustomerID: c.Customer, OccurredAt: c.At.UTC()}
	return []domain.Event{
		Placed{About: about, OrderID: c.Order, Items: c.Items, Paid: c.Paid, Method: c.Method},
		PointsAwarded{About: about, OrderID: c.Order, Points: points, Paid: c.Paid, Policy: c.Policy},
	}, nil
}

func (c Place) validate() error {
	errs := []error{
		validateMethod(c.Method),
		c.Policy.Validate(),
	}
	switch {
	case len(c.Items) == 0:
		errs = append(errs, domain.Invalid("ItemIds", "items_empty", "an order has at least one item"))
	case len(c.Items) > MaxItems:
		errs = append(errs, domain.Invalid("ItemIds", "items_too_many", fmt.Sprintf("an order lists at most %d items", MaxItems)))
	default:
		for i, item := range c.Items {
			_, err := domain.ParseID[string](fmt.Sprintf("ItemIds[%d]", i), item)
			errs = append(errs, err)
		}
	}
	return domain.JoinInvalid(errs...)
}

// validateMethod accepts a word without digits, so that no card number can be stored by mistake.
func validateMethod(method string) error {
	for _, r := range method {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_' || r == '-') {
			return domain.Invalid("paymentDetails.method", "method_malformed", "the method is a word of letters, _ and -, such as card")
		}
	}
	return domain.CheckText("paymentDetails.method", "method", method, MaxMethodLength)
}

// sameAs compares the content of the channel's command. The time and today's policy are not part of it.
func (c Place) sameAs(p Placed) bool {
	return c.Customer == p.CustomerID && c.Paid == p.Paid && c.Method == p.Method && slices.Equal(c.Items, p.Items)
}

func (c Return) decide(s State) ([]domain.Event, error) {
	if err := domain.JoinInvalid(
		validateReturned(c.Amount),
		domain.CheckText("reason", "reason", c.Reason, domain.MaxReasonLength),
	); err != nil {
		return nil, err
	}
	if s.Placed == nil {
		return nil, fmt.Errorf("order %s: %w", domain.LogID(c.Order), domain.ErrOrderNotFound)
	}
	if earlier, known := s.Returns[c.Return]; known {
		if earlier.Refunded.Minor == c.Amount && earlier.Reason == c.Reason {
			return nil, nil
		}
		return nil, fmt.Errorf("return %s of order %s: %w", c.Return, domain.LogID(c.Order), domain.ErrConflict)
	}
	before := s.Net()
	if c.Amount > before.Minor {
		return nil, fmt.Errorf("return %s of order %s: %w: %s is left of it", c.Return, domain.LogID(c.Order), domain.ErrReturnExceedsPaid, before)
	}
	after := domain.Money{Minor: before.Minor - c.Amount, Currency: before.Currency}
	remaining, err := s.Policy.Points(after)
	if err != nil {
		return nil, fmt.Errorf("return %s of order %s: %w", c.Return, domain.LogID(c.Order), err)
	}
	about := domain.About{CustomerID: s.Placed.CustomerID, OccurredAt: c.At.UTC()}
	refunded := domain.Money{Minor: c.Amount, Currency: before.Currency}
	return []domain.Event{
		ItemsReturned{About: about, OrderID: c.Order, ReturnID: c.Return, Refunded: refunded, Reason: c.Reason},
		PointsReversed{
			About: about, OrderID: c.Order, ReturnID: c.Return,
			Points: s.Points - remaining, NetBefore: before, NetAfter: after, Policy: s.Policy, Reason: c.Reason,
		},
	}, nil
}

func validateReturned(minor int64) error {
	switch {
	case minor < 0:
		return domain.Invalid("amount", "amount_negative", "the amount must not be negative")
	case minor == 0:
		return domain.Invalid("amount", "amount_zero", "a return gives back at least 0.01")
	}
	return nil
}

// Evolve applies one event to the state. It is total: an event of another kind changes nothing. The given state must not be used afterwards.
func Evolve(s State, e domain.Event) State {
	switch e := e.(type) {
	case Placed:
		s.Placed = &e
	case PointsAwarded:
		s.Policy = e.Policy
		s.Points += e.Points
	case ItemsReturned:
		if s.Returns == nil {
			s.Returns = make(map[domain.ReturnID]ItemsReturned)
		}
		s.Returns[e.ReturnID] = e
		s.Refunded += e.Refunded.Minor
	case PointsReversed:
		s.Points -= e.Points
	}
	return s
}
