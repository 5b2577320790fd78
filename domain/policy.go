package domain

import (
	"fmt"
	"maps"
	"slices"
)

// Policy is the rule by which spend earns points. It is stamped whole into every award, so that what an order earned,
// and what a return of it takes back, never depends on today's settings.
type Policy struct {
	// ID names the policy for people: "2026-01".
	ID string `json:"id"`
	// SpendPerPoint is the spend that earns one point, in minor units of each currency, 1 to MaxMinor. A currency that
	// is not in it earns nothing and is refused.
	SpendPerPoint map[Currency]int64 `json:"spendPerPoint"`
}

// DefaultPolicy is one point per 10.00 GBP or 11.50 EUR.
func DefaultPolicy() Policy {
	return Policy{ID: "2026-01", SpendPerPoint: map[Currency]int64{GBP: 1000, EUR: 1150}}
}

// Validate says whether the policy can price anything: it needs an id and spends within their range.
func (p Policy) Validate() error {
	if p.ID == "" {
		return Invalid("policy.id", "policy_id_missing", "name the policy")
	}
	if len(p.SpendPerPoint) == 0 {
		return Invalid("policy.spendPerPoint", "policy_empty", "state the spend per point of at least one currency")
	}
	var errs []error
	for _, currency := range slices.Sorted(maps.Keys(p.SpendPerPoint)) { // in order, so that the same mistakes read the same
		spend := p.SpendPerPoint[currency]
		field := "policy.spendPerPoint." + string(currency)
		_, err := ParseCurrency(field, string(currency))
		errs = append(errs, err)
		if spend < 1 || spend > MaxMinor {
			errs = append(errs, Invalid(field, "policy_spend_out_of_range", fmt.Sprintf("the spend per point must be 1 to %d minor units", int64(MaxMinor))))
		}
	}
	return JoinInvalid(errs...)
}

// Points is what an amount of 0 or more earns: the spend divided by the spend per point, rounded to the nearest
// integer, halves up, in integer arithmetic: floor((2·amount + spend) / (2·spend)), computed so that no amount can
// overflow. A negative amount, or a currency the policy does not price, is ErrInvalid under the name the field has in an
// order; a result above MaxTotal is ErrPointsLimit.
func (p Policy) Points(m Money) (Points, error) {
	spend := p.SpendPerPoint[m.Currency]
	if spend < 1 {
		return 0, Invalid("paymentDetails.currency", "currency_not_in_policy", fmt.Sprintf("policy %q has no spend per point for this currency", p.ID))
	}
	if m.Minor < 0 {
		return 0, Invalid("paymentDetails.amount", "amount_negative", "the amount must not be negative")
	}
	points, rest := Points(m.Minor/spend), m.Minor%spend
	if rest >= spend-rest {
		points++
	}
	if points > MaxTotal {
		return 0, fmt.Errorf("points of %s: %w (%d)", m, ErrPointsLimit, MaxTotal)
	}
	return points, nil
}

// Equal tells whether two policies would price everything alike and carry the same id.
func (p Policy) Equal(other Policy) bool {
	return p.ID == other.ID && maps.Equal(p.SpendPerPoint, other.SpendPerPoint)
}
