package account

import "loyalty/domain"

// The names under which the events are stored, for ever.
const (
	TypePointsAdjusted      = "points-adjusted.v1"
	TypeAdjustmentRequested = "points-adjustment-requested.v1"
	TypeAdjustmentApproved  = "points-adjustment-approved.v1"
	TypeAdjustmentDeclined  = "points-adjustment-declined.v1"
	TypeCustomerForgotten   = "customer-forgotten.v1"
	TypeErasureCertified    = "erasure-certified.v1"
	TypeProxyNameRevealed   = "proxy-name-revealed.v1"
)

// PointsAdjusted says that a customer's points were changed by hand: goodwill, or the correction of a mistake.
type PointsAdjusted struct {
	domain.About
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	// Points given, or taken where negative; never 0.
	Points domain.Points `json:"points"`
	Reason string        `json:"reason"`
	// Actor is who did it, the subject of their token; where a second person approved it, who requested it.
	Actor string `json:"actor"`
}

// EventType is TypePointsAdjusted.
func (PointsAdjusted) EventType() string { return TypePointsAdjusted }

// AdjustmentRequested says that somebody wants to change a customer's points by more than they may alone.
type AdjustmentRequested struct {
	domain.About
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	// Points to give, or to take where negative; never 0.
	Points domain.Points `json:"points"`
	Reason string        `json:"reason"`
	// Actor is who wants it, the subject of their token.
	Actor string `json:"actor"`
}

// EventType is TypeAdjustmentRequested.
func (AdjustmentRequested) EventType() string { return TypeAdjustmentRequested }

// AdjustmentApproved says that a second person agreed. The PointsAdjusted that it led to stands right after it.
type AdjustmentApproved struct {
	domain.About
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	Points    domain.Points    `json:"points"`
	// RequestedBy and Actor are who wanted it and who approved it. They are never the same.
	RequestedBy string `json:"requestedBy"`
	Actor       string `json:"actor"`
}

// EventType is TypeAdjustmentApproved.
func (AdjustmentApproved) EventType() string { return TypeAdjustmentApproved }

// AdjustmentDeclined says that nothing came of a request.
type AdjustmentDeclined struct {
	domain.About
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	Reason    string           `json:"reason"`
	// Actor is who declined it, or took it back.
	Actor string `json:"actor"`
}

// EventType is TypeAdjustmentDeclined.
func (AdjustmentDeclined) EventType() string { return TypeAdjustmentDeclined }

// CustomerForgotten says that the customer's proxy key is retired, for ever.
type CustomerForgotten struct {
	domain.About
	Reason string `json:"reason"`
	Actor  string `json:"actor"`
}

// EventType is TypeCustomerForgotten.
func (CustomerForgotten) EventType() string { return TypeCustomerForgotten }

// ErasureCertified says that every read model was checked after the customer was forgotten, and was clean.
type ErasureCertified struct {
	domain.About
	Checks []Check `json:"checks"`
	Actor  string  `json:"actor"`
}

// EventType is TypeErasureCertified.
func (ErasureCertified) EventType() string { return TypeErasureCertified }

// ProxyNameRevealed says that Actor was told which customer is behind a proxy name, and why. The name is not in it: with the
// proxy secret it follows from the id, and without it nobody is to know.
type ProxyNameRevealed struct {
	domain.About
	Reason string `json:"reason"`
	Actor  string `json:"actor"`
}

// EventType is TypeProxyNameRevealed.
func (ProxyNameRevealed) EventType() string { return TypeProxyNameRevealed }
