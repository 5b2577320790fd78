// Package projections folds the log into read models. A projection says which events it handles and applies a batch of
// them; the runner follows the log, gathers batches, and keeps at it through lost connections. Whatever a projection
// wrote can be thrown away and folded again.
package projections

import (
	"context"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

// Projection folds events of some types into one read model.
type Projection interface {
	// Name is unique among the projections: "ledger".
	Name() string
	// Types are the events it handles.
	Types() []string
	// Checkpoint is the position up to which the read model has applied the log; the projection prepares the read model
	// if it needs that first.
	Checkpoint(ctx context.Context) (domain.Position, error)
	// Apply commits what a batch changes together with its checkpoint, at once or not at all. domain.ErrCheckpointMoved
	// says that another runner was there first.
	Apply(ctx context.Context, b Batch) error
}

// Batch is a run of events in the order of the log, with the checkpoint it starts from and the one it leads to.
type Batch struct {
	From, To domain.Position
	// AsOf is a time at which everything in the log up to To was known and nothing later was; zero if there is none.
	AsOf   time.Time
	Events []eventstore.Recorded
}

// pointsTypes are the events that change a customer's points.
func pointsTypes() []string {
	return []string{order.TypePointsAwarded, order.TypePointsReversed, account.TypePointsAdjusted}
}

// rankingTypes are the events that change who is on a leaderboard, or where.
func rankingTypes() []string { return append(pointsTypes(), account.TypeCustomerForgotten) }

// ledgerTypes are the events that are in a ledger: those, and what support did.
func ledgerTypes() []string {
	return append(rankingTypes(), account.TypeAdjustmentRequested, account.TypeAdjustmentApproved, account.TypeAdjustmentDeclined,
		account.TypeErasureCertified, account.TypeProxyNameRevealed)
}

// pointsOf is by how much an event changes its customer's points.
func pointsOf(e domain.Event) domain.Points {
	switch e := e.(type) {
	case order.PointsAwarded:
		return e.Points
	case order.PointsReversed:
		return -e.Points
	case account.PointsAdjusted:
		return e.Points
	}
	return 0
}
