package account

import "loyalty/domain"

// The stored names of the events, which never change.
const (
	TypePointsAdjusted      = "points-adjusted.v1"
	TypeAdjustmentRequested = "points-adjustment-requested.v1"
	TypeAdjustmentApproved  = "points-adjustment-approved.v1"
	TypeAdjustmentDeclined  = "points-adjustment-declined.v1"
	TypeCustomerForgotten   = "customer-forgotten.v1"
	TypeErasureCertified    = "erasure-certified.v1"
	TypeProxyNameRevealed   = "proxy-name-revealed.v1"
	TypeAllowanceUsed       = "allowance-used.v1"
	TypeCustomerViewed      = "customer-viewed.v1"
)

// PointsAdjusted: a customer's points were adjusted, as goodwill or as a correction.
type PointsAdjusted struct {
	domain.About
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	// Points given, or taken where negative; never 0.
	Points domain.Points `json:"points"`
	Reason string        `json:"reason"`
	// Actor is the subject of the token of whoever adjusted the points; of an approved adjustment, of whoever requested it.
	Actor string `json:"actor"`
}

// EventType is TypePointsAdjusted.
func (PointsAdjusted) EventType() string { return TypePointsAdjusted }

// AdjustmentRequested: somebody wants to adjust a customer's points by more than they may alone.
type AdjustmentRequested struct {
	domain.About
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	// Points to give, or to take where negative; never 0.
	Points domain.Points `json:"points"`
	Reason string        `json:"reason"`
	// Actor is the subject of the requester's token.
	Actor string `json:"actor"`
}

// EventType is TypeAdjustmentRequested.
func (AdjustmentRequested) EventType() string { return TypeAdjustmentRequested }

// AdjustmentApproved: a second person approved the request. Its PointsAdjusted is the next event.
type AdjustmentApproved struct {
	domain.About
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	Points    domain.Points    `json:"points"`
	// RequestedBy and Actor are who requested it and who approved it. They are never the same.
	RequestedBy string `json:"requestedBy"`
	Actor       string `json:"actor"`
}

// EventType is TypeAdjustmentApproved.
func (AdjustmentApproved) EventType() string { return TypeAdjustmentApproved }

// AdjustmentDeclined: the request was declined or withdrawn.
type AdjustmentDeclined struct {
	domain.About
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	Reason    string           `json:"reason"`
	// Actor is who declined or withdrew it.
	Actor string `json:"actor"`
}

// EventType is TypeAdjustmentDeclined.
func (AdjustmentDeclined) EventType() string { return TypeAdjustmentDeclined }

// CustomerForgotten: the customer's proxy key is retired for ever.
type CustomerForgotten struct {
	domain.About
	Reason string `json:"reason"`
	Actor  string `json:"actor"`
}

// EventType is TypeCustomerForgotten.
func (CustomerForgotten) EventType() string { return TypeCustomerForgotten }

// ErasureCertified: every read model was checked after the customer was forgotten, and was clean.
type ErasureCertified struct {
	domain.About
	Checks []Check `json:"checks"`
	Actor  string  `json:"actor"`
}

// EventType is TypeErasureCertified.
func (ErasureCertified) EventType() string { return TypeErasureCertified }

// ProxyNameRevealed: Actor was told which customer is behind a proxy name, for a reason. The event does not hold the name: with the proxy
// secret it follows from the customer's id, and without the secret nobody may know it.
type ProxyNameRevealed struct {
	domain.About
	Reason string `json:"reason"`
	Actor  string `json:"actor"`
}

// EventType is TypeProxyNameRevealed.
func (ProxyNameRevealed) EventType() string { return TypeProxyNameRevealed }

// AllowanceUsed: Actor is about to adjust a customer's points alone, and the points are taken out of what they may give or take alone that
// day. It changes nobody's points: that does the PointsAdjusted with the same id, which may be missing if it failed.
type AllowanceUsed struct {
	domain.About
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	// Points are always positive. Of several events about one adjustment the most points count.
	Points domain.Points `json:"points"`
	Actor  string        `json:"actor"`
}

// EventType is TypeAllowanceUsed.
func (AllowanceUsed) EventType() string { return TypeAllowanceUsed }

// CustomerViewed: a member of staff asked for what the system knows of a customer.
type CustomerViewed struct {
	domain.About
	// Route is what was asked: "/loyalty/:userId/trail".
	Route string `json:"route"`
	Actor string `json:"actor"`
}

// EventType is TypeCustomerViewed.
func (CustomerViewed) EventType() string { return TypeCustomerViewed }
