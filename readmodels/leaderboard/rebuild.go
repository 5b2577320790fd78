package leaderboard

import (
	"context"

	"loyalty/domain"
)

// Rebuilder is a leaderboard of which a new copy can be folded beside the live one, while that one goes on serving. A
// leaderboard in a process's memory is none: it is folded anew at each start.
type Rebuilder interface {
	// Copy opens an empty copy beside the live leaderboard, on the same engine; it needs a Load first. What an interrupted
	// rebuild left there is thrown away first, so at most one rebuild may be under way: a second one makes the first fail,
	// never the live leaderboard.
	Copy(ctx context.Context) (Copy, error)
}

// Copy is a leaderboard beside the live one. Nobody else reads or writes it.
type Copy interface {
	Reader
	Writer
	Auditor
	// Switch puts the copy in the live leaderboard's place in one step, and removes what was there. Every reader, in
	// whatever process, sees the one or the other, whole, and none fails; a writer's next batch for the old one is
	// domain.ErrCheckpointMoved, unless the copy stands where it stood. A copy whose checkpoint is before the live one's
	// is domain.ErrNotCaughtUp, and nothing changes. After it the copy is of no more use.
	Switch(ctx context.Context) error
	// Discard removes the copy. After a Switch it does nothing.
	Discard(ctx context.Context) error
}

// MaxStandings is the most customers that one call of Auditor.Standings asks for.
const MaxStandings = 1000

// Auditor reads many customers' totals at once, so that a leaderboard can be compared with the log.
type Auditor interface {
	// Standings reads the totals of up to MaxStandings customers, all from one snapshot, with the number of customers on
	// the leaderboard and the state it reflects. Standing i belongs to keys[i]; a customer who is not on the leaderboard
	// has false in Found[i], and a standing that says no more than whether their key is retired. Errors are those of Reader.Dashboard.
	Standings(ctx context.Context, keys []domain.ProxyKey) (Standings, error)
}

// Standings is what Auditor.Standings reads.
type Standings struct {
	Standings []Standing
	Found     []bool
	Customers int64
	State
}
