// Package leaderboard ranks customers by their points. It defines the port and its types. The adapters are the packages memory and redis;
// leaderboardtest is the contract that both pass.
//
// The order is total, so that ranks are 1, 2, 3 … without ties: points descending, clamped to ±domain.MaxRanked, then the minute in which the
// total was reached ascending, then the proxy key ascending. Points are shown, and folded, as they are. A leaderboard holds proxy keys only, so a stolen one identifies nobody.
//
// The key of a forgotten customer is retired for ever: it has no rank, and changes of it have no effect.
package leaderboard

import (
	"context"
	"fmt"
	"time"

	"loyalty/domain"
)

// Change is the effect of one event on one customer. A change of 0 points has no effect: it neither adds a customer to the leaderboard
// nor changes the minute in which they reached their total. A change of a retired key has no effect either.
type Change struct {
	Key domain.ProxyKey
	// Points are within ±domain.MaxChange.
	Points domain.Points
	// Minute is when the event occurred, in whole minutes since the Unix epoch.
	Minute int64
	// Retires retires the key, whether it is on the leaderboard or not. Points and Minute are then ignored.
	Retires bool
}

// MaxMinute is the greatest minute that leaderboards order by: 26 bits, in the year 2097. Minutes are clamped to 0 and MaxMinute.
const MaxMinute = 1<<26 - 1

// Minute is the number of whole minutes from the Unix epoch to t, clamped to 0 and MaxMinute.
func Minute(t time.Time) int64 { return min(max(t.Unix()/60, 0), MaxMinute) }

// Batch is a number of changes in the order of the log, with the checkpoints before and after them.
type Batch struct {
	// From is the checkpoint that the leaderboard must have for the batch to apply.
	From domain.Checkpoint
	// To is the checkpoint after the batch, not before From. It may have the position of From in a batch without changes.
	To domain.Checkpoint
	// AsOf is a time at which the log ended at To.
	AsOf    time.Time
	Changes []Change
}

// Validate returns domain.ErrInvalid for a batch whose To is before From; for one with changes whose To has the position of From, which could
// be applied twice; and for one with a change of more points than one event holds.
func (b Batch) Validate() error {
	if b.To.Position.Before(b.From.Position) || (b.To.Position == b.From.Position && len(b.Changes) > 0) {
		return domain.Invalid("batch.to", "batch_backwards", fmt.Sprintf("a batch of %d changes can't lead from position %s to %s", len(b.Changes), b.From, b.To))
	}
	for i := range b.Changes {
		if c := &b.Changes[i]; !c.Retires && (c.Points > domain.MaxChange || c.Points < -domain.MaxChange) {
			return domain.Invalid("batch.changes", "points_out_of_range", fmt.Sprintf("change %d is of %d points, more than one event holds", i, c.Points))
		}
	}
	return nil
}

// Standing is a customer's total, or that their key is retired.
type Standing struct {
	Key    domain.ProxyKey
	Points domain.Points
	// Minute is when the total was reached, in whole minutes since the Unix epoch.
	Minute int64
	// Retired is true if the key is retired, and so not on the leaderboard. Points and Minute are then ignored.
	Retired bool
}

// maxTotal is more than any log adds up to, and so far from 64 bits that no batch of changes of it overflows.
const maxTotal = domain.MaxChange << 35

// Check returns domain.ErrInvalid for a total that no log adds up to.
func (s *Standing) Check() error {
	if s.Points > maxTotal || s.Points < -maxTotal {
		return domain.Invalid("standing.points", "points_out_of_range", fmt.Sprintf("no log adds up to %d points", s.Points))
	}
	return nil
}

// State says how much of the log an answer reflects.
type State struct {
	Position domain.Position
	// AsOf is the last time at which the leaderboard was known to reflect the whole log; zero if never.
	AsOf time.Time
}

// Snapshot says which standings a Load gave: those at a checkpoint, but for some changes.
type Snapshot struct {
	domain.Checkpoint
	// AsOf is as in State.
	AsOf time.Time
	// Lacking are the changes up to the checkpoint that the standings do not have, in the order of the log.
	Lacking []Change
}

// State is the state that the standings reflect.
func (s Snapshot) State() State { return State{Position: s.Position, AsOf: s.AsOf} }

// Row is one customer on the leaderboard.
type Row struct {
	// Rank starts at 1.
	Rank   int64
	Key    domain.ProxyKey
	Points domain.Points
}

// Dashboard is what one customer sees. It is one snapshot: list, own rank and neighbours agree.
type Dashboard struct {
	// Ranked is true if the customer is on the leaderboard. If not, You is zero and Around is empty.
	Ranked bool
	You    Row
	// Top holds the rows from rank 1 on. Around holds the customer and the neighbours above and below, in order of rank.
	Top, Around []Row
	// Customers is the number of customers on the leaderboard.
	Customers int64
	State
}

// The ranges of a dashboard's size, in rows.
const (
	MaxTop    = 100
	MaxAround = 50
)

// CheckSizes accepts a top of 1 to MaxTop and an around of 0 to MaxAround. Other values are one *domain.InvalidError with the fields top
// and around and the codes top_out_of_range and around_out_of_range.
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

// Reader reads dashboards and standings. It is safe for concurrent use.
type Reader interface {
	// Dashboard reads the first top customers (1 to MaxTop), and the customer with the key between around neighbours (0 to MaxAround)
	// on each side, into d, whose slices it reuses. Errors are domain.ErrNotCaughtUp before the first Load, domain.ErrUnavailable
	// when the store can't be reached, and those of CheckSizes. It waits for the store some seconds at most, even if ctx doesn't end.
	Dashboard(ctx context.Context, key domain.ProxyKey, top, around int, d *Dashboard) error
	// Standing reads one customer's total, and the position it reflects. It is false for a customer who is not on the leaderboard,
	// and then sets no more than Key and Retired of a retired key. Errors are those of Dashboard.
	Standing(ctx context.Context, key domain.ProxyKey) (Standing, bool, domain.Position, error)
	// Wait blocks until the leaderboard reflects position. It returns domain.ErrNotCaughtUp when ctx ends first.
	Wait(ctx context.Context, position domain.Position) error
}

// Writer feeds the leaderboard.
type Writer interface {
	// Checkpoint is how far the leaderboard has applied the log, as the last batch or Load gave it. It is domain.ErrNotCaughtUp before the
	// first Load.
	Checkpoint(ctx context.Context) (domain.Checkpoint, error)
	// Load replaces the whole leaderboard. The function standings calls yield with each customer once, in any order and never twice at the same
	// time, and returns what they reflect. What they lack of it is changed before anybody sees them. Readers see the former leaderboard, or domain.ErrNotCaughtUp, until Load is done. On an error they go
	// on doing so: an error of yield, such as that of Check, or of standings. Where several processes share the leaderboard, standings is
	// called once no other process loads it; before that, it is domain.ErrUnavailable.
	Load(ctx context.Context, standings func(yield func(Standing) error) (Snapshot, error)) error
	// Apply makes a batch's changes one after the other and moves the checkpoint, atomically. AsOf moves too, but never backwards.
	// Errors: those of Validate; domain.ErrCheckpointMoved if the batch's From is not the checkpoint; domain.ErrNotCaughtUp before the first Load. After an error nothing has
	// changed, except that after domain.ErrUnavailable or the end of ctx the checkpoint tells whether the batch was applied.
	Apply(ctx context.Context, b Batch) error
}
