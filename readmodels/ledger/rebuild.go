package ledger

import "context"

// Rebuilder is a ledger of which a new copy can be folded beside the live one, while that one goes on serving.
type Rebuilder interface {
	// Copy opens an empty copy beside the live ledger, on the same engine. What an interrupted rebuild left there is
	// thrown away first, so at most one rebuild may be under way: a second one makes the first fail, never the live ledger.
	Copy(ctx context.Context) (Copy, error)
}

// Copy is a ledger beside the live one. Nobody else reads or writes it.
type Copy interface {
	Reader
	Auditor
	Earner
	Writer
	// Switch puts the copy in the live ledger's place in one step, and removes what was there. Every reader, in whatever
	// process, sees the one or the other, whole, and none fails; a writer that was applying a batch to the live ledger
	// finds it applied before the switch, or gets domain.ErrCheckpointMoved or nothing at all if the copy stands where it
	// stood. A copy whose checkpoint is before the live one's is domain.ErrNotCaughtUp, and nothing changes. After it the
	// copy is of no more use.
	Switch(ctx context.Context) error
	// Discard removes the copy. After a Switch it does nothing.
	Discard(ctx context.Context) error
}
