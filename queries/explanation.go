package queries

import (
	"encoding/json"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Explanation says how the points of one entry came about.
type Explanation struct {
	Entry ledger.Entry
	// Text is the calculation of the entry's points: "£129.99 ÷ £10.00 = 12.999 → 13, policy of 2026-01".
	Text string
	// Steps are the changes of the same order, or the adjustment and the decisions that led to it, oldest first.
	Steps []Step
	Proof Proof
	// Events are the stored events about the order or the adjustment, oldest first.
	Events []Event
}

// Step is one change of points, or a decision that led to one.
type Step struct {
	EventID string `json:"eventId"`
	Text    string `json:"text"`
	// Points is the change; zero for a decision.
	Points domain.Points `json:"points"`
	// This is true of the step that is the explained entry.
	This bool `json:"this"`
}

// Proof compares the stored events with the ledger.
type Proof struct {
	// Sum is the sum of the steps' points.
	Sum domain.Points `json:"sum"`
	// Computed is what Sum must be: by the policy pinned in the order on what is left of the payment, or by the request of the
	// adjustment.
	Computed domain.Points `json:"computed"`
	// Before and After are the customer's total before and after the entry, by the ledger.
	Before domain.Points `json:"before"`
	After  domain.Points `json:"after"`
	// Agrees is true if Sum equals Computed, the stored event equals the ledger's entry, and Before plus the entry is After.
	Agrees bool `json:"agrees"`
	// Mismatches says in words what does not agree; empty if Agrees.
	Mismatches []string `json:"trouble"`
}

// Event is an event as it is stored.
type Event struct {
	EventID  string `json:"eventId"`
	Type     string `json:"type"`
	Stream   string `json:"stream"`
	Revision uint64 `json:"revision"`
	// Position is zero where the event store does not tell it when a stream is read.
	Position domain.Position `json:"position,omitzero"`
	StoredAt time.Time       `json:"storedAt"`
	Data     json.RawMessage `json:"data"`
	Metadata json.RawMessage `json:"metadata"`
}
