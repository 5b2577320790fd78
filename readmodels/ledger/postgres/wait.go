package postgres

import (
	"context"
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// pollEvery is how often a process with waiting readers looks at the ledger, since the writer may be another process. It is
// one look for all its readers. A notification would come sooner by some milliseconds, but need a connection of its own,
// which poolers and distributed engines don't offer.
const pollEvery = 10 * time.Millisecond

// progress is the furthest position that this process knows the ledger to have reached, and who of its readers looks for more.
type progress struct {
	*ledger.Progress
	// looking holds one token, which is with the reader that looks.
	looking chan struct{}
	looked  time.Time
}

func newProgress() progress {
	return progress{Progress: ledger.NewProgress(), looking: make(chan struct{}, 1)}
}

// look tells whether the caller is to look at the ledger now: nobody else does, and nobody has within pollEvery. Then done
// must be called after it.
func (p *progress) look() bool {
	select {
	case p.looking <- struct{}{}:
	default:
		return false
	}
	if time.Since(p.looked) < pollEvery {
		<-p.looking
		return false
	}
	return true
}

func (p *progress) done() {
	p.looked = time.Now()
	<-p.looking
}

// Wait blocks until the ledger reflects position; see ledger.Reader. An Apply in this process wakes it at once, one in
// another within a few times pollEvery.
func (l *Ledger) Wait(ctx context.Context, position domain.Position) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		at, moved := l.progress.Known()
		if !at.Before(position) {
			return nil
		}
		if l.progress.look() {
			_, err := l.Checkpoint(ctx)
			l.progress.done()
			if err != nil && ctx.Err() == nil {
				return err
			}
			if err == nil {
				at, moved = l.progress.Known()
				if !at.Before(position) {
					return nil
				}
			}
		}
		select {
		case <-moved:
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the ledger is at %s and not at %s: %w (%w)", at, position, domain.ErrNotCaughtUp, context.Cause(ctx))
		}
	}
}
