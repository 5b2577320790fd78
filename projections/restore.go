package projections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"loyalty/domain"
)

// Saved is where a leaderboard in memory is kept between two runs of a process.
type Saved interface {
	// Restore loads the leaderboard as it was kept, if check accepts where that stands. After an error the leaderboard is as it was.
	Restore(ctx context.Context, check func(at domain.Checkpoint, customers int) error) error
}

// A kept leaderboard is used if there are fewer events after it than one for customersPerEvent customers, or than alwaysFollowed. Following an event takes about
// as long as loading so many customers, so that nothing is won by an older one.
const (
	customersPerEvent = 32
	alwaysFollowed    = 10_000
)

var errNotFresh = errors.New("so much has happened since that loading the leaderboard anew is faster")

// restore loads the leaderboard as it was kept, if that is of this log, this fold, these names and fresh. It tells whether it did.
func (l Leaderboard) restore(ctx context.Context) bool {
	if l.Saved == nil {
		return false
	}
	began, customers := l.Now(), 0
	err := l.Saved.Restore(ctx, func(at domain.Checkpoint, has int) error {
		customers = has
		return l.usable(ctx, at, has)
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.Logger.Info("there is no file of the leaderboard, so it is loaded from the ledger")
	case err != nil:
		l.Logger.Warn("the file of the leaderboard is not used, so it is loaded from the ledger", "error", err)
	default:
		l.Logger.Info("the leaderboard is loaded from its file", "customers", customers, "took", l.Now().Sub(began))
	}
	return err == nil
}

func (l Leaderboard) usable(ctx context.Context, at domain.Checkpoint, customers int) error {
	switch {
	case at.Fold != l.Fold():
		return fmt.Errorf("it was folded by version %d, and this program's is %d", at.Fold, l.Fold())
	case at.Names != l.Names():
		return domain.ErrOtherNames
	case at.Log == "":
		return fmt.Errorf("%w: it does not say of which log it is", domain.ErrWrongLog)
	}
	if err := l.Log.CheckCheckpoint(ctx, at); err != nil {
		return err
	}
	limit := max(customers/customersPerEvent, alwaysFollowed)
	if behind, err := l.Log.CountAfter(ctx, at, l.Types(), limit); err != nil || behind >= limit {
		return errors.Join(err, errNotFresh)
	}
	return nil
}
