package account

import (
	"fmt"
	"time"

	"loyalty/domain"
)

// Forget retires a customer's proxy key: they leave the leaderboard, their proxy name leads to nobody any more, and there are no more
// adjustments. Their entries stay, under an id that identifies nobody once the shop has erased its record of the customer.
type Forget struct {
	Customer domain.CustomerID
	Reason   string
	Actor    string
	At       time.Time
}

// Certify records that every read model was checked after a customer was forgotten.
type Certify struct {
	Customer domain.CustomerID
	Checks   []Check
	Actor    string
	At       time.Time
}

// Check is the result of checking one read model.
type Check struct {
	// Model is the read model: "ledger", "leaderboard".
	Model string `json:"model"`
	// Position is the position that it reflected.
	Position domain.Position `json:"position"`
	// Clean is true if it has no data that leads from a proxy name or a rank to the customer.
	Clean bool `json:"clean"`
}

func (c Forget) decide(s State) ([]domain.Event, error) {
	if err := domain.CheckReason("reason", c.Reason); err != nil || s.Forgotten {
		return nil, err
	}
	return []domain.Event{CustomerForgotten{About: domain.About{CustomerID: c.Customer, OccurredAt: c.At.UTC()}, Reason: c.Reason, Actor: c.Actor}}, nil
}

func (c Certify) decide(s State) ([]domain.Event, error) {
	if !s.Forgotten {
		return nil, fmt.Errorf("the customer was not forgotten: %w", domain.ErrNotFound)
	}
	if len(c.Checks) == 0 {
		return nil, domain.Invalid("checks", "checks_missing", "a certificate says what was checked")
	}
	for _, check := range c.Checks {
		if !check.Clean {
			return nil, fmt.Errorf("the %s at position %s: %w", check.Model, check.Position, domain.ErrNotForgotten)
		}
	}
	return []domain.Event{ErasureCertified{About: domain.About{CustomerID: c.Customer, OccurredAt: c.At.UTC()}, Checks: c.Checks, Actor: c.Actor}}, nil
}
