package domain

import "fmt"

// Points are whole loyalty points. A change may be negative, and so may a total.
type Points int64

// MaxChange bounds the points of one stored event to ±MaxChange. A total is the sum of at most 2^36 of them, so 64 bits hold every total.
const MaxChange Points = 1<<27 - 1

// MaxRanked bounds the points by which leaderboards rank to ±MaxRanked. With 27 bits, points and a minute of 26 bits fit into the 53 bits that
// a double holds exactly, the score of a Redis sorted set.
const MaxRanked Points = 1<<27 - 1

// Ranked is the total by which a leaderboard ranks: p, clamped to ±MaxRanked.
func (p Points) Ranked() Points { return min(max(p, -MaxRanked), MaxRanked) }

// Points is what an amount earns. It is the rounding rule: the amount divided by the spend per point, rounded to the nearest integer, halves
// up, that is floor((2·amount + spend) / (2·spend)), in integer arithmetic that no amount overflows. A negative amount, or a currency that
// is not in the policy, is ErrInvalid with the field's name in an order. A result above MaxChange is ErrOrderPoints.
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
	if points > MaxChange {
		return 0, fmt.Errorf("points of %s: %w", m, &PointsLimitError{ErrOrderPoints, MaxChange})
	}
	return points, nil
}
