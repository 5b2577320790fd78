// Package projections folds the log into read models. A projection declares the types of events it handles, and applies batches of them. A
// runner subscribes to the log, gathers batches, and reconnects after failures. The package also compares read models with the log
// (Fold) and rebuilds them.
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
	// Types are the types of events it handles.
	Types() []string
	// Fold is the version of its fold, from 1. It is raised whenever a program with the version before would fold something wrong after this one has
	// written to the read model, or would never get its batches in: such a program then refuses to go on.
	Fold() int
	// Names is the fingerprint of the secret that it makes names with, empty if it makes none. A read model with the names of another secret is
	// left alone.
	Names() string
	// Checkpoint is how far the read model has applied the log. It first prepares the read model if that is necessary.
	Checkpoint(ctx context.Context) (domain.Checkpoint, error)
	// Apply commits the changes of a batch and its checkpoint atomically. It is domain.ErrCheckpointMoved if another runner has moved the
	// checkpoint.
	Apply(ctx context.Context, b Batch) error
}

// Reloadable is a projection whose read model can be loaded anew from another read model.
type Reloadable interface {
	// Source is the checkpoint of what it is loaded from.
	Source(ctx context.Context) (domain.Checkpoint, error)
	// Load replaces the read model.
	Load(ctx context.Context) error
}

// Batch is a number of events in the order of the log, with the checkpoints before and after them.
type Batch struct {
	From, To domain.Checkpoint
	// AsOf is a time at which the log ended at To; zero if it is not known.
	AsOf   time.Time
	Events []eventstore.Recorded
}

// pointsTypes are the events that change a customer's points.
func pointsTypes() []string {
	return []string{order.TypePointsAwarded, order.TypePointsReversed, account.TypePointsAdjusted}
}

// rankingTypes are the events that change a leaderboard.
func rankingTypes() []string { return append(pointsTypes(), account.TypeCustomerForgotten) }

// ledgerTypes are the events of a ledger: those of rankingTypes, and those of the audit log.
func ledgerTypes() []string {
	return append(rankingTypes(), account.TypeAdjustmentRequested, account.TypeAdjustmentApproved, account.TypeAdjustmentDeclined,
		account.TypeErasureCertified, account.TypeProxyNameRevealed, account.TypeCustomerViewed)
}

// pointsOf is the change of the customer's points by an event.
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
