package projections

import (
	"context"
	"fmt"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
)

// History is the projection into the history: it adds every change of points under the customer's proxy key.
type History struct {
	Writer history.Writer
	// Proxies makes the customers' keys.
	Proxies domain.Proxies
}

// Name is "history".
func (History) Name() string { return "history" }

// Fold is 2: that of version 1 knows no checkpoint with Names.
func (History) Fold() int { return 2 }

// Names are those of Proxies.
func (h History) Names() string { return h.Proxies.Fingerprint() }

// Types are the events that change points or forget a customer.
func (History) Types() []string { return rankingTypes() }

// Checkpoint is the history's checkpoint.
func (h History) Checkpoint(ctx context.Context) (domain.Checkpoint, error) {
	return h.Writer.Checkpoint(ctx)
}

// Apply adds a change for each event.
func (h History) Apply(ctx context.Context, b Batch) error {
	changes := make([]history.Change, len(b.Events))
	for i, event := range b.Events {
		changes[i] = history.Change{
			Key: h.Proxies.Key(event.Event.Customer()), Points: pointsOf(event.Event), Minute: leaderboard.Minute(event.Event.Occurred()),
			Position: event.Position, Stored: event.Created,
		}
		switch event.Event.(type) {
		case order.PointsAwarded:
			changes[i].Kind = history.Awarded
		case order.PointsReversed:
			changes[i].Kind = history.Reversed
		case account.PointsAdjusted:
			changes[i].Kind = history.Adjusted
		case account.CustomerForgotten:
			changes[i].Kind = history.Forgotten
		default:
			return fmt.Errorf("%w: the history has no change for %s at position %s", domain.ErrUndecodable, event.Event.EventType(), event.Position)
		}
	}
	return h.Writer.Apply(ctx, history.Batch{From: b.From, To: b.To, AsOf: b.AsOf, Changes: changes})
}
