// Package history is the read model of how the leaderboard was at any moment. It stores every change of points under the customer's proxy
// key, in the order of the log, and at times a snapshot of all customers, in a folder of one process. It is folded from the log and can be
// rebuilt at any time. Like the leaderboard, it holds proxy keys only.
package history

import (
	"context"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Moment is a point in the past: either a position, inclusive, or a time, before the first event that was stored later. The other is zero.
// No append changes points twice, so that at every position the leaderboard is one that somebody may have seen.
type Moment struct {
	Position domain.Position
	Time     time.Time
}

// Reader queries the past. It is safe for concurrent use. AsOf and Changes take time in proportion to the number of customers. They return
// domain.ErrInvalid for the given field if the moment is before the first change (code moment_too_early) or after the checkpoint's AsOf
// (moment_too_late). They and Begins return domain.ErrNotCaughtUp as long as the history is empty.
type Reader interface {
	// AsOf reads the dashboard as it was at a moment, like leaderboard.Reader.Dashboard, with the State of that moment. Rows of
	// customers who were forgotten since have a zero Key.
	AsOf(ctx context.Context, field string, moment Moment, key domain.ProxyKey, top, around int, d *leaderboard.Dashboard) error
	// Begins is the earliest time for AsOf and Changes: when the first change of points was stored.
	Begins(ctx context.Context) (time.Time, error)
	// Changes explains the change of a customer's rank since a moment.
	Changes(ctx context.Context, field string, since Moment, key domain.ProxyKey) (Changes, error)
	// Wait blocks until the history reflects position. It returns domain.ErrNotCaughtUp when ctx ends first.
	Wait(ctx context.Context, position domain.Position) error
}

// Place is a customer's place at a moment.
type Place struct {
	// Ranked is true if the customer was on the leaderboard. If not, Rank and Points are zero.
	Ranked bool
	Rank   int64
	Points domain.Points
	// Customers is the number of customers on the leaderboard.
	Customers int64
	leaderboard.State
}

// Changes explains the change of a customer's rank. If the customer is ranked in both, Now.Rank is Then.Rank + Overtaken − Overtook − Left.
type Changes struct {
	Then, Now Place
	// Awarded, Reversed (0 or less) and Adjusted are the sums of the customer's own changes by kind.
	Awarded, Reversed, Adjusted domain.Points
	// Overtaken counts the others who are above the customer now and were below, or not ranked, then; Overtook those who were above
	// and are below now; Left those who were above and were forgotten since. All are zero unless the customer is ranked in both.
	Overtaken, Overtook, Left int64
	// Fell counts those of Overtook whose own points went down.
	Fell int64
}

// Kind is the kind of a change.
type Kind uint8

// The kinds of changes.
const (
	Awarded Kind = iota + 1
	Reversed
	Adjusted
	// Forgotten retires the key. It changes no points.
	Forgotten
)

// Change is the effect of one event on one customer. A change of 0 points has no effect: it neither adds a customer to the leaderboard nor
// changes the minute in which they reached their total. After Forgotten, changes of the key have no effect.
type Change struct {
	Kind     Kind
	Key      domain.ProxyKey
	Points   domain.Points
	Minute   int64 // see leaderboard.Minute
	Position domain.Position
	// Stored is when the event store stored the event, kept to 100 nanoseconds.
	Stored time.Time
}

// Batch is a number of changes in the order of the log, with the checkpoints before and after them.
type Batch struct {
	From, To domain.Checkpoint
	// AsOf is a time at which the log ended at To; zero if it is not known.
	AsOf time.Time
	// Changes are after From and not after To.
	Changes []Change
}

// Writer feeds the history.
type Writer interface {
	// Checkpoint is how far the history has applied the log, as the last batch gave it; zero for a new one.
	Checkpoint(ctx context.Context) (domain.Checkpoint, error)
	// Apply adds a batch and moves the checkpoint, atomically, also if the process crashes. A batch whose From is not the checkpoint is
	// domain.ErrCheckpointMoved.
	Apply(ctx context.Context, b Batch) error
}
