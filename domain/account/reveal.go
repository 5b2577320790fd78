package account

import (
	"fmt"
	"slices"
	"time"

	"loyalty/domain"
)

// RevealStream is the name of the stream of one reveal. The id is a full one.
func RevealStream(id domain.RevealID) string { return "reveal-" + string(id) }

// Reveal records that somebody is told which customers have a proxy name.
type Reveal struct {
	// ID identifies the reveal, and is a full id. A repeated command with the same id and content changes nothing.
	ID domain.RevealID
	// Customers are those who have the name, without those who were forgotten.
	Customers []domain.CustomerID
	Reason    string
	// Actor is the subject of the token of whoever is told.
	Actor string
	At    time.Time
}

// Revealed is folded from the events of one reveal. The zero Revealed has none.
type Revealed struct {
	Customers     []domain.CustomerID
	Reason, Actor string
}

// DecideReveal returns an event for each customer. No events and no error means that the same reveal was recorded before: by the same
// person, for the same reason, of no fewer customers, since some may have been forgotten after it. Errors are domain.ErrInvalid, and
// domain.ErrConflict if the id was used with other content.
func DecideReveal(c Reveal, s Revealed) ([]domain.Event, error) {
	if err := domain.CheckReason("reason", c.Reason); err != nil {
		return nil, err
	}
	if len(s.Customers) > 0 {
		another := func(customer domain.CustomerID) bool { return !slices.Contains(s.Customers, customer) }
		if c.Actor != s.Actor || c.Reason != s.Reason || slices.ContainsFunc(c.Customers, another) {
			return nil, fmt.Errorf("reveal %s: %w", c.ID, domain.ErrConflict)
		}
		return nil, nil
	}
	events := make([]domain.Event, len(c.Customers))
	for i, customer := range c.Customers {
		events[i] = ProxyNameRevealed{About: domain.About{CustomerID: customer, OccurredAt: c.At.UTC()}, Reason: c.Reason, Actor: c.Actor}
	}
	return events, nil
}

// EvolveRevealed applies one event to a reveal. It is total: an event of another kind changes nothing.
func EvolveRevealed(s Revealed, e domain.Event) Revealed {
	if revealed, is := e.(ProxyNameRevealed); is {
		s.Customers = append(slices.Clip(s.Customers), revealed.CustomerID)
		s.Reason, s.Actor = revealed.Reason, revealed.Actor
	}
	return s
}
