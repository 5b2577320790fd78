package ledger

import "context"

// Rebuilder is a ledger that can be rebuilt while it serves: a copy is folded beside it and takes its place.
type Rebuilder interface {
	// Copy opens an empty copy beside the live ledger, in the same store. It first removes what an interrupted rebuild left. At most
	// one rebuild can run: a second one makes the first fail, never the live ledger.
	Copy(ctx context.Context) (Copy, error)
}

// Copy is a ledger under construction beside the live one. Only the rebuild reads and writes it.
type Copy interface {
	Reader
	Auditor
	Earner
	Writer
	// Switch atomically replaces the live ledger with the copy, and removes the former one. Every reader of every process sees either
	// the former or the new ledger, and none fails but a long Reader.Accounts. A concurrent Apply to the live ledger takes effect before the switch, or runs
	// against the new ledger: domain.ErrCheckpointMoved, or success if its checkpoint is the same. If the copy's checkpoint is before
	// the live one's, Switch returns domain.ErrNotCaughtUp and changes nothing. After a Switch the copy must not be used.
	Switch(ctx context.Context) error
	// Replace is Switch whatever the live ledger's checkpoint is, also where that is of another log.
	Replace(ctx context.Context) error
	// Discard removes the copy. After a Switch it does nothing.
	Discard(ctx context.Context) error
}
