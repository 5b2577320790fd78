package account

import "loyalty/domain"

// TypePointsAdjusted is the name under which an adjustment is stored, for ever.
const TypePointsAdjusted = "points-adjusted.v1"

// PointsAdjusted says that a customer's points were changed by hand: goodwill, or the correction of a mistake.
type PointsAdjusted struct {
	domain.About
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	// Points given, or taken where negative; never 0.
	Points domain.Points `json:"points"`
	Reason string        `json:"reason"`
	// Actor is who did it, the subject of their token.
	Actor string `json:"actor"`
}

// EventType is TypePointsAdjusted.
func (PointsAdjusted) EventType() string { return TypePointsAdjusted }
