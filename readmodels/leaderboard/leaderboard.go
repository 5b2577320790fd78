// Package leaderboard ranks customers by their points. It defines what a leaderboard is to those who feed and read it;
// the adapters are its packages memory and redis, and leaderboardtest is the contract that each of them passes.
//
// The order is total: points descending, then the minute in which that total was reached ascending, then the proxy key
// ascending. Ranks are 1, 2, 3 … without ties. A leaderboard knows proxy keys only, so a stolen one names nobody.
//
// The key of a customer who was forgotten is retired, for ever: it is not ranked, and nothing that comes for it has any effect.
package leaderboard

import (
	"context"
	"fmt"
	"time"

	"loyalty/domain"
)

// Change is the effect of one event on one customer. A change of zero points has no effect: it neither enters a customer
// nor moves the minute in which they reached their total. A change of a retired key has no effect either.
type Change struct {
	Key    domain.ProxyKey
	Points domain.Points
	// Minute is when the event occurred, in whole minutes since the Unix epoch.
	Minute int64
	// Retires retires the key, whether it is on the leaderboard or not; Points and Minute then count for nothing.
	Retires bool
}

// MaxMinute bounds the minutes a leaderboard orders by to 26 bits, the year 2097. Earlier than 0 counts as 0, later as MaxMinute.
const MaxMinute = 1<<26 - 1

// Minute is the whole minutes from the Unix epoch to t, within 0 and MaxMinute.
func Minute(t time.Time) int64 { return min(max(t.Unix()/60, 0), MaxMinute) }

// Batch is a run of changes in the order of the log, with the checkpoint it starts from and the one it leads to.
type Batch struct {
	// From is the checkpoint the batch was made for. Apply refuses the batch when the leaderboard is elsewhere.
	From domain.Position
	// To is the checkpoint after it, not before From. It may equal From in a batch without changes, which then says no
	// more than that the leaderboard was complete at AsOf.
	To domain.Position
	// AsOf is a time at which everything in the log up to To was known and nothing later was.
	AsOf    time.Time
	Changes []Change
}

// Validate refuses a batch that leads backwards, and one that would make changes without moving the checkpoint, which
// nothing could keep from being made twice. The error is domain.ErrInvalid.
func (b Batch) Validate() error {
	if b.To.Before(b.From) || (b.To == b.From && len(b.Changes) > 0) {
		return domain.Invalid("batch.to", "batch_backwards", fmt.Sprintf("a batch of %d changes can't lead from position %s to %s", len(b.Changes), b.From, b.To))
	}
	return nil
}

// Standing is a customer's place to start from, as a bootstrap reads it from the ledger.
type Standing struct {
	Key    domain.ProxyKey
	Points domain.Points
	// Minute is when the total was reached, in whole minutes since the Unix epoch.
	Minute int64
	// Retired says that the key is retired and not on the leaderboard; Points and Minute then count for nothing.
	Retired bool
}

// State says what a leaderboard reflects.
type State struct {
	Position domain.Position
	// AsOf is the last time it was known to be complete; zero if never.
	AsOf time.Time
}

// Row is one customer on the leaderboard.
type Row struct {
	// Rank starts at 1.
	Rank   int64
	Key    domain.ProxyKey
	Points domain.Points
}

// Dashboard is what one customer sees: one snapshot, in which list, own rank and neighbours agree.
type Dashboard struct {
	// Ranked tells whether the customer is on the leaderboard. If not, You is zero and Around is empty.
	Ranked bool
	You    Row
	// Top holds the best, from rank 1 on. Around holds the customer with their neighbours above and below, in order of rank.
	Top, Around []Row
	// Customers counts everybody on the leaderboard.
	Customers int64
	State
}

// The ranges of a dashboard's size, in rows.
const (
	MaxTop    = 100
	MaxAround = 50
)

// CheckSizes refuses a top outside 1 to MaxTop and an around outside 0 to MaxAround, with all that is wrong in one
// *domain.InvalidError. Its fields are top and around, its codes top_out_of_range and around_out_of_range.
func CheckSizes(top, around int) error {
	if 1 <= top && top <= MaxTop && 0 <= around && around <= MaxAround {
		return nil
	}
	var errs []error
	if top < 1 || top > MaxTop {
		errs = append(errs, domain.Invalid("top", "top_out_of_range", fmt.Sprintf("top must be 1 to %d", MaxTop)))
	}
	if around < 0 || around > MaxAround {
		errs = append(errs, domain.Invalid("around", "around_out_of_range", fmt.Sprintf("around must be 0 to %d", MaxAround)))
	}
	return domain.JoinInvalid(errs...)
}

// Reader is the leaderboard as the query side sees it. Its methods may be called from many goroutines at once.
type Reader interface {
	// Dashboard reads the best top customers (1 to MaxTop) and around (0 to MaxAround) on each side of the customer
	// behind key, into d, whose slices it reuses. It returns domain.ErrNotCaughtUp while there is nothing to read yet,
	// domain.ErrUnavailable when a store can't be reached, and what CheckSizes says of sizes out of range. It waits for a
	// store no longer than some seconds, even if ctx doesn't end.
	Dashboard(ctx context.Context, key domain.ProxyKey, top, around int, d *Dashboard) error
	// Standing reads one customer's total, false if they are not on the leaderboard, and the position it reflects. Of
	// those who are not, it says no more than whether their key is retired. Errors are those of Dashboard.
	Standing(ctx context.Context, key domain.ProxyKey) (Standing, bool, domain.Position, error)
	// Wait blocks until the leaderboard reflects position. It returns domain.ErrNotCaughtUp, wrapped, when ctx ends first.
	Wait(ctx context.Context, position domain.Position) error
}

// Writer is the leaderboard as its projection sees it.
type Writer interface {
	// Checkpoint is the position up to which the leaderboard has applied the log. It returns domain.ErrNotCaughtUp for
	// a leaderboard that needs a Load first.
	Checkpoint(ctx context.Context) (domain.Position, error)
	// Load replaces the whole leaderboard by the standings that the function given hands to yield, each customer once,
	// in any order; the state it returns says what they reflect. (It comes last, because that is how a ledger reads it in
	// the same snapshot.) Readers see the old leaderboard, or domain.ErrNotCaughtUp, until it is done; on an error, be it
	// yield's, the function's own or that of a total beyond ±domain.MaxTotal (domain.ErrPointsLimit), they go on doing so.
	Load(ctx context.Context, standings func(yield func(Standing) error) (State, error)) error
	// Apply makes a batch's changes one after the other and moves the checkpoint; readers see all of it or none. AsOf
	// moves too, but never back. A batch whose From is not the checkpoint is domain.ErrCheckpointMoved; a total that any
	// of the changes takes beyond ±domain.MaxTotal is domain.ErrPointsLimit; a leaderboard that needs a Load first is
	// domain.ErrNotCaughtUp; and a batch may be refused by Validate. After an error nothing has changed.
	Apply(ctx context.Context, b Batch) error
}
