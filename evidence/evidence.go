// Package evidence says how a customer came by their points: in words and numbers, with the events as they are stored, and the
// proof that they add up. It reads the stream behind an entry of the ledger anew and takes nothing from the ledger on trust.
package evidence

import (
	"encoding/json"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Explanation is what is to be said about one entry.
type Explanation struct {
	Entry ledger.Entry
	// Text says how the entry's points came about: "£129.99 ÷ £10.00 = 12.999 → 13, policy of 2026-01".
	Text string
	// Steps are all changes of the same order, or the one of an adjustment with what led to it, in their order.
	Steps []Step
	Proof Proof
	// Events are those of the stream that have to do with it, as stored.
	Events []Event
}

// Step is one change of points, or a decision that led to one.
type Step struct {
	EventID string
	Text    string
	// Points is the change; zero for a decision.
	Points domain.Points
	// This tells that it is the entry that was asked for.
	This bool
}

// Proof holds what must agree.
type Proof struct {
	// Sum is that of the steps' points, and Computed what it must be: by the policy pinned in the order on what is left of the
	// payment, or by the request of the adjustment.
	Sum, Computed domain.Points
	// Before is the customer's total before the entry and After the one after it, by the ledger.
	Before, After domain.Points
	// Agrees tells that it all does: Sum with Computed, the stored event with the ledger's entry, and Before with After.
	Agrees bool
	// Trouble says what does not, in words; empty if Agrees.
	Trouble []string
}

// Event is an event as stored.
type Event struct {
	ID       string
	Type     string
	Stream   string
	Revision uint64
	// Position is zero where the event store does not tell it with a stream's events.
	Position domain.Position
	StoredAt time.Time
	// Data is the payload as stored, and Metadata what was stored beside it.
	Data, Metadata json.RawMessage
}
