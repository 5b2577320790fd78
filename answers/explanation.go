package answers

import (
	"encoding/json"
	"time"

	"loyalty/domain"
	"loyalty/evidence"
)

// Explanation says in JSON how an entry's points came about.
type Explanation struct {
	Entry  Entry   `json:"entry"`
	Text   string  `json:"text"`
	Steps  []Step  `json:"steps"`
	Proof  Proof   `json:"proof"`
	Events []Event `json:"events"`
}

// Step is one change of points, or a decision that led to one.
type Step struct {
	EventID string        `json:"eventId"`
	Text    string        `json:"text"`
	Points  domain.Points `json:"points"`
	// This tells that it is the entry that was asked for.
	This bool `json:"this"`
}

// Proof holds what must agree, and what does not.
type Proof struct {
	Sum      domain.Points `json:"sum"`
	Computed domain.Points `json:"computed"`
	Before   domain.Points `json:"before"`
	After    domain.Points `json:"after"`
	Agrees   bool          `json:"agrees"`
	Trouble  []string      `json:"trouble"`
}

// Event is an event as it is stored.
type Event struct {
	EventID  string `json:"eventId"`
	Type     string `json:"type"`
	Stream   string `json:"stream"`
	Revision uint64 `json:"revision"`
	// Position is nil where the event store does not tell it.
	Position *domain.Position `json:"position,omitempty"`
	StoredAt time.Time        `json:"storedAt"`
	Data     json.RawMessage  `json:"data"`
	Metadata json.RawMessage  `json:"metadata"`
}

// ExplanationOf is an explanation as it is seen.
func ExplanationOf(x evidence.Explanation) Explanation {
	answer := Explanation{
		Entry: EntryOf(x.Entry), Text: x.Text, Steps: make([]Step, len(x.Steps)), Proof: Proof(x.Proof), Events: make([]Event, len(x.Events)),
	}
	answer.Proof.Trouble = append([]string{}, x.Proof.Trouble...)
	for i, step := range x.Steps {
		answer.Steps[i] = Step(step)
	}
	for i, e := range x.Events {
		answer.Events[i] = Event{
			EventID: e.ID, Type: e.Type, Stream: e.Stream, Revision: e.Revision, StoredAt: e.StoredAt.UTC(), Data: e.Data, Metadata: e.Metadata,
		}
		if e.Position != (domain.Position{}) {
			answer.Events[i].Position = &e.Position
		}
	}
	return answer
}
