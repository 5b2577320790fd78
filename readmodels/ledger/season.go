package ledger

import (
	"context"
	"time"
)

// Seasons is a ledger that adds up what happened within a stretch of time. It may be used from many goroutines at once.
type Seasons interface {
	// AccountsWithin is Reader's Accounts as if nothing but the entries that occurred at from or later, and before until, were in the
	// ledger: points, ReachedAt and number of entries are theirs, and who has none of other than zero points is left out.
	// Everybody who was forgotten is there, whenever that was. Both bounds count to the microsecond. It takes time in proportion
	// to the number of those entries at least.
	AccountsWithin(ctx context.Context, from, until time.Time, yield func(Account) error) (State, error)
}

// Season is a stretch of time in a ledger.
type Season struct {
	Ledger      Seasons
	From, Until time.Time
}

// Accounts is the ledger's AccountsWithin.
func (s Season) Accounts(ctx context.Context, yield func(Account) error) (State, error) {
	return s.Ledger.AccountsWithin(ctx, s.From, s.Until, yield)
}
