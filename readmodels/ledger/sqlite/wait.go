package sqlite

import (
	"context"
	"fmt"
	"time"

	"loyalty/domain"
)

// pollEvery is how often a waiting reader looks at the file, since the writer may be another process.
const pollEvery = 25 * time.Millisecond

// Wait blocks until the ledger reflects position; see ledger.Reader. An Apply in this process wakes it at once, one in
// another within pollEvery.
func (l *Ledger) Wait(ctx context.Context, position domain.Position) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for look := true; ; {
		at, moved := l.progress.Known()
		if !at.Before(position) {
			return nil
		}
		if look {
			look = false
			_, err := l.Checkpoint(ctx)
			if err == nil {
				continue
			}
			if ctx.Err() == nil {
				return err
			}
		}
		select {
		case <-moved:
		case <-tick.C:
			look = true
		case <-ctx.Done():
			return fmt.Errorf("the ledger is at %s and not at %s: %w (%w)", at, position, domain.ErrNotCaughtUp, context.Cause(ctx))
		}
	}
}
