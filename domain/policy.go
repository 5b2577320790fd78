package domain

import (
	"fmt"
	"maps"
	"slices"
)

// Policy is the rule by which spend earns points. Every award holds its whole policy, so that what an order earned, and what a return of it
// reverses, never depends on today's settings.
type Policy struct {
	// ID names the policy for people: "2026-01".
	ID string `json:"id"`
	// SpendPerPoint is the spend that earns one point, in minor units, by currency; each is 1 to MaxMinor. Orders in other currencies are
	// invalid.
	SpendPerPoint map[Currency]int64 `json:"spendPerPoint"`
}

// DefaultPolicy is one point per 10.00 GBP or 11.50 EUR.
func DefaultPolicy() Policy {
	return Policy{ID: "2026-01", SpendPerPoint: map[Currency]int64{GBP: 1000, EUR: 1150}}
}

// Validate checks that the policy has an id and at least one currency, and that currencies and spends are valid. Errors are ErrInvalid.
func (p Policy) Validate() error {
	if p.ID == "" {
		return Invalid("policy.id", "policy_id_missing", "name the policy")
	}
	if len(p.SpendPerPoint) == 0 {
		return Invalid("policy.spendPerPoint", "policy_empty", "state the spend per point of at least one currency")
	}
	var errs []error
	for _, currency := range slices.Sorted(maps.Keys(p.SpendPerPoint)) { // in order, so that the error is deterministic
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

// Equal reports whether two policies have the same id and the same spends.
func (p Policy) Equal(other Policy) bool {
	return p.ID == other.ID && maps.Equal(p.SpendPerPoint, other.SpendPerPoint)
}
