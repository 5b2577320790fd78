// Package view is how entries, explanations, matches and audit records look in JSON and CSV, over HTTP and on the command line.
package view

import (
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Entry is an entry of a trail in JSON.
type Entry struct {
	EntryID     string           `json:"entryId"`
	Kind        ledger.Kind      `json:"kind"`
	Points      domain.Points    `json:"points"`
	Total       domain.Points    `json:"total"`
	OccurredAt  time.Time        `json:"occurredAt"`
	OrderID     domain.OrderID   `json:"orderId,omitempty"`
	ReturnID    domain.ReturnID  `json:"returnId,omitempty"`
	LoyaltyID   domain.LoyaltyID `json:"loyaltyId,omitempty"`
	Amount      *Money           `json:"amount,omitempty"`
	Channel     domain.Channel   `json:"channel,omitempty"`
	Actor       string           `json:"actor,omitempty"`
	Reason      string           `json:"reason,omitempty"`
	Correlation string           `json:"correlationId,omitempty"`
	Position    domain.Position  `json:"position"`
	Stream      string           `json:"stream"`
	Revision    uint64           `json:"revision"`
}

// Money is an amount as a decimal, and its currency.
type Money struct {
	Amount   string          `json:"amount"`
	Currency domain.Currency `json:"currency"`
}

// EntryOf converts an entry.
func EntryOf(e ledger.Entry) Entry {
	converted := Entry{
		EntryID: e.EventID, Kind: e.Kind, Points: e.Points, Total: e.Total, OccurredAt: e.OccurredAt.UTC(),
		OrderID: e.Order, ReturnID: e.Return, LoyaltyID: e.Loyalty, Channel: e.Channel, Actor: e.Actor, Reason: e.Reason,
		Correlation: e.Correlation, Position: e.Position, Stream: e.Stream, Revision: e.Revision,
	}
	if e.Amount.Currency != "" {
		converted.Amount = &Money{domain.FormatMinor(e.Amount.Minor), e.Amount.Currency}
	}
	return converted
}

// OptionalTime is t in UTC, or nil if t is zero.
func OptionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
