package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"loyalty/domain"
)

// pollEvery is how often a process with waiting readers looks at the ledger, since the writer may be another process. It is
// one look for all its readers. A notification would come sooner by some milliseconds, but need a connection of its own,
// which poolers and distributed engines don't offer.
const pollEvery = 10 * time.Millisecond

// progress is the furthest position that this process knows the ledger to have reached.
type progress struct {
	mu    sync.Mutex
	at    domain.Position
	moved chan struct{} // closed, and replaced, whenever at moves
	// looking holds one token, which is with the reader that looks.
	looking chan struct{}
	looked  time.Time
}

func newProgress() progress {
	return progress{moved: make(chan struct{}), looking: make(chan struct{}, 1)}
}

func (p *progress) reach(to domain.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.Before(to) {
		p.at = to
		close(p.moved)
		p.moved = make(chan struct{})
	}
}

func (p *progress) known() (domain.Position, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at, p.moved
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
		at, moved := l.progress.known()
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
				at, moved = l.progress.known()
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
