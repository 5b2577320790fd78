package view

import (
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Match is something that a search has found, in JSON.
type Match struct {
	By         ledger.By         `json:"by"`
	CustomerID domain.CustomerID `json:"customerId"`
	OrderID    domain.OrderID    `json:"orderId,omitempty"`
	EntryID    string            `json:"entryId,omitempty"`
	OccurredAt *time.Time        `json:"occurredAt,omitempty"`
}

// MatchesOf are matches as they are seen; none are an empty list.
func MatchesOf(found []ledger.Match) []Match {
	matches := make([]Match, len(found))
	for i, m := range found {
		matches[i] = Match{By: m.By, CustomerID: m.Customer, OrderID: m.Order, EntryID: m.EventID, OccurredAt: OptionalTime(m.OccurredAt)}
	}
	return matches
}
