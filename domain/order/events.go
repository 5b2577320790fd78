package order

import "loyalty/domain"

// The stored names of the events, which never change.
const (
	TypePlaced         = "order-placed.v1"
	TypePointsAwarded  = "points-awarded.v1"
	TypeItemsReturned  = "items-returned.v1"
	TypePointsReversed = "points-reversed.v1"
)

// Placed: a customer placed an order.
type Placed struct {
	domain.About
	OrderID domain.OrderID `json:"orderId"`
	Items   []string       `json:"itemIds"`
	Paid    domain.Money   `json:"paid"`
	// Method is the payment method in a word: "card". No other payment data is stored.
	Method string `json:"method,omitempty"`
}

// PointsAwarded: the order earned points, under the policy that is in the event.
type PointsAwarded struct {
	domain.About
	OrderID domain.OrderID `json:"orderId"`
	Points  domain.Points  `json:"points"`
	Paid    domain.Money   `json:"paid"`
	Policy  domain.Policy  `json:"policy"`
}

// ItemsReturned: part or all of the amount paid was refunded.
type ItemsReturned struct {
	domain.About
	OrderID  domain.OrderID  `json:"orderId"`
	ReturnID domain.ReturnID `json:"returnId"`
	Refunded domain.Money    `json:"refunded"`
	Reason   string          `json:"reason,omitempty"`
}

// PointsReversed: a return reversed points, Policy.Points(NetBefore) − Policy.Points(NetAfter) under the order's own policy.
type PointsReversed struct {
	domain.About
	OrderID  domain.OrderID  `json:"orderId"`
	ReturnID domain.ReturnID `json:"returnId"`
	// Points is the number of points reversed, 0 or more.
	Points    domain.Points `json:"points"`
	NetBefore domain.Money  `json:"netBefore"`
	NetAfter  domain.Money  `json:"netAfter"`
	Policy    domain.Policy `json:"policy"`
	// Reason is the return's reason; it may be empty.
	Reason string `json:"reason,omitempty"`
}

// EventType is TypePlaced.
func (Placed) EventType() string { return TypePlaced }

// EventType is TypePointsAwarded.
func (PointsAwarded) EventType() string { return TypePointsAwarded }

// EventType is TypeItemsReturned.
func (ItemsReturned) EventType() string { return TypeItemsReturned }

// EventType is TypePointsReversed.
func (PointsReversed) EventType() string { return TypePointsReversed }
