// Package history keeps what is needed to say how the leaderboard stood at any moment: every change of points under the
// customer's proxy key, in the order of the log, and now and then the whole leaderboard. It is kept in a folder of one
// process, folded from the log, and can be thrown away and folded again. Like the leaderboard it knows proxy keys only.
package history

import (
	"context"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Moment is a point in the past: either a position, and all up to and with it has happened, or a time, and all has happened
// before the first event that was stored later than that. The one that is not set is zero. As no append changes points twice,
// every position gives a leaderboard that somebody may have seen.
type Moment struct {
	Position domain.Position
	Time     time.Time
}

// Reader is the history as the query side sees it. Its methods may be called from many goroutines at once, each of which takes
// time in proportion to the number of customers unless it says otherwise. AsOf and Changes return domain.ErrInvalid, in the field that they are given, for a moment
// before the first change (code moment_too_early) or after what is known (moment_too_late). They and Begins return
// domain.ErrNotCaughtUp while nothing is known yet.
type Reader interface {
	// AsOf reads the dashboard as it stood at a moment: as leaderboard.Reader's, with the State of that moment. The rows of
	// those who were forgotten since are in their places, with a zero Key.
	AsOf(ctx context.Context, field string, moment Moment, key domain.ProxyKey, top, around int, d *leaderboard.Dashboard) error
	// Begins is the first moment that can be looked back at: when the first change of anybody's points was stored. It takes no longer
	// with more customers.
	Begins(ctx context.Context) (time.Time, error)
	// Changes says why a customer's rank is another than it was.
	Changes(ctx context.Context, field string, since Moment, key domain.ProxyKey) (Changes, error)
	// Wait blocks until the history reflects position. It returns domain.ErrNotCaughtUp, wrapped, when ctx ends first.
	Wait(ctx context.Context, position domain.Position) error
}

// Place is where a customer stood at a moment.
type Place struct {
	// Ranked tells whether the customer was on the leaderboard. If not, Rank and Points are zero.
	Ranked bool
	Rank   int64
	Points domain.Points
	// Customers counts everybody on the leaderboard then.
	Customers int64
	leaderboard.State
}

// Changes is what happened between Then and Now. Now.Rank is Then.Rank + Overtaken − Overtook − Left, if the customer is ranked
// in both.
type Changes struct {
	Then, Now Place
	// Awarded, Reversed (zero or less) and Adjusted are the sums of the customer's own changes by kind.
	Awarded, Reversed, Adjusted domain.Points
	// Overtaken counts those who are above the customer now and were below or not ranked then, Overtook those who were above
	// and are below now, Left those who were above and were forgotten. All are zero unless the customer is ranked in both.
	Overtaken, Overtook, Left int64
	// Fell counts those of Overtook whose own points went down: not the customer rose past them, they fell.
	Fell int64
}

// Kind is why points changed.
type Kind uint8

// The kinds of change.
const (
	Awarded Kind = iota + 1
	Reversed
	Adjusted
	// Forgotten retires the key; it changes no points.
	Forgotten
)

// Change is what one event did to one customer. A change of zero points neither enters a customer nor moves the minute in which
// they reached their total; after Forgotten no change of the key has any effect.
type Change struct {
	Kind     Kind
	Key      domain.ProxyKey
	Points   domain.Points
	Minute   int64 // since the Unix epoch, within leaderboard's range
	Position domain.Position
	// Stored is when the event store stored the event, of which a history keeps 100 nanoseconds apart, as event stores do.
	Stored time.Time
}

// Batch is a run of changes in the order of the log, with the checkpoint it starts from and the one it leads to.
type Batch struct {
	From, To domain.Position
	// AsOf is a time at which everything in the log up to To was known and nothing later was; zero if there is none.
	AsOf time.Time
	// Changes stand after From and not after To.
	Changes []Change
}

// Writer is the history as its projection sees it.
type Writer interface {
	// Checkpoint is the position up to which the history has the log; zero for a new one.
	Checkpoint(ctx context.Context) (domain.Position, error)
	// Apply adds a batch and moves the checkpoint, at once or not at all, also if the process dies meanwhile. A batch whose
	// From is not the checkpoint is domain.ErrCheckpointMoved.
	Apply(ctx context.Context, b Batch) error
}
