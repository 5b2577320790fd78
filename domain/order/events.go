package order

import "loyalty/domain"

// The names under which the events of an order are stored, for ever.
const (
	TypePlaced         = "order-placed.v1"
	TypePointsAwarded  = "points-awarded.v1"
	TypeItemsReturned  = "items-returned.v1"
	TypePointsReversed = "points-reversed.v1"
)

// Placed says that a customer bought.
type Placed struct {
	domain.About
	OrderID domain.OrderID `json:"orderId"`
	Items   []string       `json:"itemIds"`
	Paid    domain.Money   `json:"paid"`
	// Method is how it was paid in a word: "card". Nothing else of the payment is kept.
	Method string `json:"method,omitempty"`
}

// PointsAwarded says what the order earned, and under which policy, whole.
type PointsAwarded struct {
	domain.About
	OrderID domain.OrderID `json:"orderId"`
	Points  domain.Points  `json:"points"`
	Paid    domain.Money   `json:"paid"`
	Policy  domain.Policy  `json:"policy"`
}

// ItemsReturned says that part or all of what was paid went back to the customer.
type ItemsReturned struct {
	domain.About
	OrderID  domain.OrderID  `json:"orderId"`
	ReturnID domain.ReturnID `json:"returnId"`
	Refunded domain.Money    `json:"refunded"`
	Reason   string          `json:"reason,omitempty"`
}

// PointsReversed says how many points the return took back: f(net before) − f(net after) under the order's own policy.
type PointsReversed struct {
	domain.About
	OrderID  domain.OrderID  `json:"orderId"`
	ReturnID domain.ReturnID `json:"returnId"`
	// Points taken back, 0 or more.
	Points    domain.Points `json:"points"`
	NetBefore domain.Money  `json:"netBefore"`
	NetAfter  domain.Money  `json:"netAfter"`
	Policy    domain.Policy `json:"policy"`
	// Reason is that of the return; may be empty.
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
