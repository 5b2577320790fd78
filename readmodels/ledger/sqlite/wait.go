package sqlite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"loyalty/domain"
)

// pollEvery is how often a waiting reader looks at the file, since the writer may be another process.
const pollEvery = 25 * time.Millisecond

// progress is the furthest position that this process knows the ledger to have reached.
type progress struct {
	mu    sync.Mutex
	at    domain.Position
	moved chan struct{} // closed, and replaced, whenever at moves
}

func newProgress() progress { return progress{moved: make(chan struct{})} }

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

// Wait blocks until the ledger reflects position; see ledger.Reader. An Apply in this process wakes it at once, one in
// another within pollEvery.
func (l *Ledger) Wait(ctx context.Context, position domain.Position) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for look := true; ; {
		at, moved := l.progress.known()
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
