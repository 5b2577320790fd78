package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
	"loyalty/evidence"
)

type explanationAnswer struct {
	Entry  entryAnswer   `json:"entry"`
	Text   string        `json:"text"`
	Steps  []stepAnswer  `json:"steps"`
	Proof  proofAnswer   `json:"proof"`
	Events []eventAnswer `json:"events"`
}

type stepAnswer struct {
	EventID string        `json:"eventId"`
	Text    string        `json:"text"`
	Points  domain.Points `json:"points"`
	This    bool          `json:"this"`
}

type proofAnswer struct {
	Sum      domain.Points `json:"sum"`
	Computed domain.Points `json:"computed"`
	Before   domain.Points `json:"before"`
	After    domain.Points `json:"after"`
	Agrees   bool          `json:"agrees"`
	Trouble  []string      `json:"trouble"`
}

type eventAnswer struct {
	EventID  string           `json:"eventId"`
	Type     string           `json:"type"`
	Stream   string           `json:"stream"`
	Revision uint64           `json:"revision"`
	Position *domain.Position `json:"position,omitempty"`
	StoredAt time.Time        `json:"storedAt"`
	Data     json.RawMessage  `json:"data"`
	Metadata json.RawMessage  `json:"metadata"`
}

func (s *Server) explain(ctx context.Context, c echo.Context, caller Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	id, badID := pathID[string](c, "entryId")
	position, badPosition := minPosition(c)
	if err := domain.JoinInvalid(badCustomer, badID, badPosition); err != nil {
		return err
	}
	if err := catchUp(ctx, s.config.Ledger, position); err != nil {
		return err
	}
	entry, err := s.config.Finder.Entry(ctx, customer, id)
	if err != nil {
		return err
	}
	explained, err := s.config.Evidence.Explain(ctx, entry)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answerExplanation(explained, caller.Role))
}

func answerExplanation(x evidence.Explanation, role Role) explanationAnswer {
	answer := explanationAnswer{
		Entry: answerEntry(x.Entry, role), Text: x.Text,
		Steps: make([]stepAnswer, len(x.Steps)), Events: make([]eventAnswer, len(x.Events)),
		Proof: proofAnswer{
			Sum: x.Proof.Sum, Computed: x.Proof.Computed, Before: x.Proof.Before, After: x.Proof.After,
			Agrees: x.Proof.Agrees, Trouble: append([]string{}, x.Proof.Trouble...),
		},
	}
	for i, step := range x.Steps {
		answer.Steps[i] = stepAnswer(step)
	}
	for i, e := range x.Events {
		answer.Events[i] = eventAnswer{
			EventID: e.ID, Type: e.Type, Stream: e.Stream, Revision: e.Revision, StoredAt: e.StoredAt.UTC(), Data: e.Data, Metadata: e.Metadata,
		}
		if e.Position != (domain.Position{}) {
			answer.Events[i].Position = &e.Position
		}
	}
	return answer
}
