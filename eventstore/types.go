package eventstore

import (
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
)

// LoyaltyEvents is the registry of every event type of this system. A new version of an event needs a type here, an upcaster from
// the old one, and a golden file in testdata/golden.
func LoyaltyEvents() (*Registry, error) {
	about := domain.About{CustomerID: "c-1", OccurredAt: time.Date(2026, 11, 22, 9, 30, 0, 123456000, time.UTC)}
	paid := domain.Money{Minor: 12999, Currency: domain.GBP}
	left := domain.Money{Minor: 8999, Currency: domain.GBP}
	policy := domain.DefaultPolicy()
	return NewRegistry([]Type{
		TypeOf(order.Placed{About: about, OrderID: "o-1", Items: []string{"sku-1", "sku-2"}, Paid: paid, Method: "card"}),
		TypeOf(order.PointsAwarded{About: about, OrderID: "o-1", Points: 13, Paid: paid, Policy: policy}),
		TypeOf(order.ItemsReturned{About: about, OrderID: "o-1", ReturnID: "r-1", Refunded: domain.Money{Minor: 4000, Currency: domain.GBP}, Reason: "too small"}),
		TypeOf(order.PointsReversed{About: about, OrderID: "o-1", ReturnID: "r-1", Points: 4, NetBefore: paid, NetAfter: left, Policy: policy, Reason: "too small"}),
		TypeOf(account.PointsAdjusted{About: about, LoyaltyID: "l-1", Points: 25, Reason: "goodwill", Actor: "s-1"}),
		TypeOf(account.AdjustmentRequested{About: about, LoyaltyID: "l-1", Points: 2500, Reason: "goodwill", Actor: "s-1"}),
		TypeOf(account.AdjustmentApproved{About: about, LoyaltyID: "l-1", Points: 2500, RequestedBy: "s-1", Actor: "s-2"}),
		TypeOf(account.AdjustmentDeclined{About: about, LoyaltyID: "l-1", Reason: "no receipt", Actor: "s-2"}),
		TypeOf(account.CustomerForgotten{About: about, Reason: "asked for it", Actor: "s-1"}),
		TypeOf(account.ErasureCertified{About: about, Checks: []account.Check{{Model: "ledger", Position: domain.Position{Commit: 4711, Prepare: 4711}, Clean: true}}, Actor: "s-1"}),
		TypeOf(account.ProxyNameRevealed{About: about, Reason: "a complaint", Actor: "s-1"}),
		TypeOf(account.AllowanceUsed{About: about, LoyaltyID: "staff.l-1", Points: 25, Actor: "s-1"}),
		TypeOf(account.CustomerViewed{About: about, Route: "/loyalty/:userId/trail", Actor: "s-1"}),
	}, nil)
}

// pointsOf is the points that an event holds, 0 for an event without any.
func pointsOf(event domain.Event) domain.Points {
	switch e := event.(type) {
	case order.PointsAwarded:
		return e.Points
	case order.PointsReversed:
		return e.Points
	case account.PointsAdjusted:
		return e.Points
	case account.AdjustmentRequested:
		return e.Points
	case account.AdjustmentApproved:
		return e.Points
	case account.AllowanceUsed:
		return e.Points
	}
	return 0
}
