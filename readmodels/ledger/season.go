package ledger

import (
	"context"
	"time"

	"loyalty/domain"
)

// Seasons sums the entries of a range of time by customer. It is safe for concurrent use.
type Seasons interface {
	// Checkpoint is Writer.Checkpoint.
	Checkpoint(ctx context.Context) (domain.Checkpoint, error)
	// AccountsWithin is Reader.Accounts for a ledger with only the entries from from (inclusive) until until (exclusive), both to the
	// microsecond: Points, ReachedAt and Entries are of these alone. Customers with no such entry of other than 0 points are left
	// out, unless they were forgotten, at whatever time. It is domain.ErrUnavailable if entries that it needs were taken out of the ledger.
	AccountsWithin(ctx context.Context, from, until time.Time, yield func(Piece) error) (Snapshot, error)
}

// Season is a range of time in a ledger: From inclusive, Until exclusive.
type Season struct {
	Ledger      Seasons
	From, Until time.Time
}

// Checkpoint is the ledger's.
func (s Season) Checkpoint(ctx context.Context) (domain.Checkpoint, error) {
	return s.Ledger.Checkpoint(ctx)
}

// Accounts is Ledger.AccountsWithin for the season.
func (s Season) Accounts(ctx context.Context, yield func(Piece) error) (Snapshot, error) {
	return s.Ledger.AccountsWithin(ctx, s.From, s.Until, yield)
}
