package leaderboard

import (
	"context"
	"fmt"

	"loyalty/domain"
)

// Rebuilder is a leaderboard that can be rebuilt while it serves: a copy is folded beside it and takes its place. The leaderboard in
// memory is none: it is loaded at each start.
type Rebuilder interface {
	// Copy opens an empty copy, which needs a Load, beside the live leaderboard in the same store. It first removes what an
	// interrupted rebuild left. At most one rebuild can run: a second one makes the first fail, never the live leaderboard.
	Copy(ctx context.Context) (Copy, error)
}

// Copy is a leaderboard under construction beside the live one. Only the rebuild reads and writes it.
type Copy interface {
	Reader
	Writer
	StandingsReader
	// Switch atomically replaces the live leaderboard with the copy, and removes the former one. Every reader of every process sees
	// either the former or the new one, and none fails. The next batch of a writer is domain.ErrCheckpointMoved, unless the copy has
	// the same checkpoint. If the copy's checkpoint is before the live one's, Switch returns domain.ErrNotCaughtUp and changes
	// nothing. After a Switch the copy must not be used.
	Switch(ctx context.Context) error
	// Replace is Switch whatever the live leaderboard's checkpoint is, also where that is of another log.
	Replace(ctx context.Context) error
	// Discard removes the copy. After a Switch it does nothing.
	Discard(ctx context.Context) error
}

// MaxStandings is the most customers in one call of StandingsReader.Standings.
const MaxStandings = 1000

// CheckKeys accepts up to MaxStandings keys. More are domain.ErrInvalid with the field keys and the code too_many_keys.
func CheckKeys(keys []domain.ProxyKey) error {
	if len(keys) > MaxStandings {
		return domain.Invalid("keys", "too_many_keys", fmt.Sprintf("at most %d at once", MaxStandings))
	}
	return nil
}

// StandingsReader reads many customers' totals at once, for comparing a leaderboard with the log.
type StandingsReader interface {
	// Standings reads the totals of up to MaxStandings customers from one snapshot. Errors are those of CheckKeys and of
	// Reader.Dashboard.
	Standings(ctx context.Context, keys []domain.ProxyKey) (Standings, error)
}

// Standings is the answer of StandingsReader.Standings.
type Standings struct {
	// Standings and Found have an element for each key that was asked for. Found is false for a customer who is not on the
	// leaderboard; their Standing sets no more than Key and Retired of a retired key.
	Standings []Standing
	Found     []bool
	// Customers is the number of customers on the leaderboard.
	Customers int64
	State
}
