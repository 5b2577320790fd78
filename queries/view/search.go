package view

import (
	"time"

	"loyalty/domain"
	"loyalty/queries"
	"loyalty/readmodels/ledger"
)

// SearchResult is the result of a search in JSON.
type SearchResult struct {
	Matches []Match `json:"matches"`
	// More is true if there are others beyond those listed.
	More bool `json:"more"`
	// ProxyName is nil unless a proxy name was searched for.
	ProxyName *ProxyName `json:"proxyName,omitempty"`
}

// Match is something that has the id that was searched for, or a customer whose proxy name was revealed.
type Match struct {
	By         ledger.By         `json:"by"`
	CustomerID domain.CustomerID `json:"customerId"`
	OrderID    domain.OrderID    `json:"orderId,omitempty"`
	EntryID    string            `json:"entryId,omitempty"`
	OccurredAt *time.Time        `json:"occurredAt,omitempty"`
}

// ByProxyName is what a revealed customer was found by.
const ByProxyName ledger.By = "proxyName"

// ProxyName says how many customers have a proxy name, and names none of them.
type ProxyName struct {
	Name      string `json:"name"`
	Customers int    `json:"customers"`
	// Reveal is the path of the request that tells who they are; empty on the command line.
	Reveal string `json:"reveal,omitempty"`
}

// SearchResultOf converts what a search found. Matches are never null in JSON.
func SearchResultOf(found queries.Found) SearchResult {
	result := SearchResult{Matches: make([]Match, len(found.Matches)), More: found.More}
	for i, m := range found.Matches {
		result.Matches[i] = Match{By: m.By, CustomerID: m.Customer, OrderID: m.Order, EntryID: m.EventID, OccurredAt: OptionalTime(m.OccurredAt)}
	}
	if found.ProxyName != "" {
		result.ProxyName = &ProxyName{Name: found.ProxyName, Customers: found.Customers}
	}
	return result
}

// MatchColumns are the columns of a search's matches in CSV.
func MatchColumns() []string { return []string{"by", "customerId", "orderId", "occurredAt", "entryId"} }

// MatchRow is a match as a row under MatchColumns.
func MatchRow(m Match) []string {
	var at string
	if m.OccurredAt != nil {
		at = m.OccurredAt.Format(time.RFC3339Nano)
	}
	return []string{string(m.By), cell(string(m.CustomerID)), cell(string(m.OrderID)), at, m.EntryID}
}
