package export

import (
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

// row is one event in the columns of an export. An empty text is absent.
type row struct {
	Commit, Prepare      int64
	Type, Stream         string
	Revision             int64
	EventID              string
	StoredAt, OccurredAt int64 // microseconds since 1970
	CustomerID           string
	Channel, Actor       string
	OrderID, ReturnID    string
	LoyaltyID            string
	Currency             string
	Amount               number
	NetBefore, NetAfter  number
	Points               number
	Policy               string
	SpendPerPoint        number
	Items                number
	Method, Reason       string
	Correlation          string
	Causation            string
	Requested            number
}

// number is a value that may be absent.
type number struct {
	value int64
	known bool
}

func whole(value int64) number { return number{value: value, known: true} }

// set fills the row with an event.
func (r *row) set(raw *eventstore.Raw, e domain.Event, m eventstore.Metadata) {
	*r = row{
		Commit: int64(raw.Position.Commit), Prepare: int64(raw.Position.Prepare),
		Type: e.EventType(), Stream: raw.Stream, Revision: int64(raw.Revision), EventID: raw.ID.String(),
		StoredAt: raw.Created.UnixMicro(), OccurredAt: e.Occurred().UnixMicro(), CustomerID: string(e.Customer()),
		Channel: string(m.Channel), Actor: m.Actor, Correlation: m.Correlation, Causation: m.Causation,
	}
	switch event := e.(type) {
	case order.Placed:
		r.OrderID, r.Method = string(event.OrderID), event.Method
		r.Items = whole(int64(len(event.Items)))
		r.money(event.Paid)
	case order.PointsAwarded:
		r.OrderID = string(event.OrderID)
		r.Points = whole(int64(event.Points))
		r.money(event.Paid)
		r.policy(event.Policy)
	case order.ItemsReturned:
		r.OrderID, r.ReturnID, r.Reason = string(event.OrderID), string(event.ReturnID), event.Reason
		r.money(event.Refunded)
	case order.PointsReversed:
		r.OrderID, r.ReturnID, r.Reason = string(event.OrderID), string(event.ReturnID), event.Reason
		r.Points = whole(-int64(event.Points))
		r.NetBefore = whole(event.NetBefore.Minor)
		r.NetAfter = whole(event.NetAfter.Minor)
		r.money(domain.Money{Minor: event.NetBefore.Minor - event.NetAfter.Minor, Currency: event.NetBefore.Currency})
		r.policy(event.Policy)
	case account.PointsAdjusted:
		r.LoyaltyID, r.Reason, r.Actor = string(event.LoyaltyID), event.Reason, event.Actor
		r.Points = whole(int64(event.Points))
	case account.AdjustmentRequested:
		r.LoyaltyID, r.Reason, r.Actor = string(event.LoyaltyID), event.Reason, event.Actor
		r.Requested = whole(int64(event.Points))
	case account.AdjustmentApproved:
		r.LoyaltyID, r.Actor = string(event.LoyaltyID), event.Actor
		r.Requested = whole(int64(event.Points))
	case account.AdjustmentDeclined:
		r.LoyaltyID, r.Reason, r.Actor = string(event.LoyaltyID), event.Reason, event.Actor
	case account.CustomerForgotten:
		r.Reason, r.Actor = event.Reason, event.Actor
	case account.ErasureCertified:
		r.Actor = event.Actor
	case account.ProxyNameRevealed:
		r.Reason, r.Actor = event.Reason, event.Actor
	case account.AllowanceUsed:
		r.LoyaltyID, r.Actor = string(event.LoyaltyID), event.Actor
		r.Requested = whole(int64(event.Points))
	case account.CustomerViewed:
		r.Actor = event.Actor
	}
}

func (r *row) money(m domain.Money) {
	r.Currency = string(m.Currency)
	r.Amount = whole(m.Minor)
}

// policy sets the policy of the award, and its spend per point in the currency of the row.
func (r *row) policy(p domain.Policy) {
	r.Policy = p.ID
	if spend, known := p.SpendPerPoint[domain.Currency(r.Currency)]; known {
		r.SpendPerPoint = whole(spend)
	}
}

// cells calls a function for each cell of the row, in the order of Columns.
func (r *row) cells(text func(name, value string), integer func(name string, value number), at func(name string, micros int64)) {
	integer(Commit, whole(r.Commit))
	integer(Prepare, whole(r.Prepare))
	text(Type, r.Type)
	text(Stream, r.Stream)
	integer(Revision, whole(r.Revision))
	text(EventID, r.EventID)
	at(StoredAt, r.StoredAt)
	at(OccurredAt, r.OccurredAt)
	text(CustomerID, r.CustomerID)
	text(Channel, r.Channel)
	text(Actor, r.Actor)
	text(OrderID, r.OrderID)
	text(ReturnID, r.ReturnID)
	text(LoyaltyID, r.LoyaltyID)
	text(Currency, r.Currency)
	integer(Amount, r.Amount)
	integer(NetBefore, r.NetBefore)
	integer(NetAfter, r.NetAfter)
	integer(Points, r.Points)
	text(Policy, r.Policy)
	integer(SpendPerPoint, r.SpendPerPoint)
	integer(Items, r.Items)
	text(Method, r.Method)
	text(Reason, r.Reason)
	text(Correlation, r.Correlation)
	text(Causation, r.Causation)
	integer(Requested, r.Requested)
}

// Types are the event types that an export can have: all that are stored.
func Types() []string {
	return []string{
		order.TypePlaced, order.TypePointsAwarded, order.TypeItemsReturned, order.TypePointsReversed,
		account.TypePointsAdjusted, account.TypeAdjustmentRequested, account.TypeAdjustmentApproved, account.TypeAdjustmentDeclined,
		account.TypeCustomerForgotten, account.TypeErasureCertified, account.TypeProxyNameRevealed, account.TypeAllowanceUsed, account.TypeCustomerViewed,
	}
}
