package ledger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"loyalty/domain"
)

// Progress implements Reader.Wait for an adapter. It holds the position at which this process last knew the ledger to be. Make it with
// NewProgress. It is safe for concurrent use.
type Progress struct {
	// polling is a semaphore of one: only its holder polls the ledger.
	polling  chan struct{}
	polledAt time.Time // guarded by polling

	mu       sync.Mutex
	position domain.Position
	reached  uint64        // calls of Reach
	moved    chan struct{} // closed, and replaced, whenever position moves forwards
}

// NewProgress starts before the first event.
func NewProgress() *Progress {
	return &Progress{polling: make(chan struct{}, 1), moved: make(chan struct{})}
}

// Reach records that this process has moved the ledger to a position, and wakes those who wait for it. A position that it has passed already
// changes nothing.
func (p *Progress) Reach(position domain.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reached++
	p.forward(position)
}

func (p *Progress) forward(position domain.Position) {
	if p.position.Before(position) {
		p.position = position
		close(p.moved)
		p.moved = make(chan struct{})
	}
}

// BeginRead begins a read of the ledger's checkpoint, and returns what records its result. If that is before the position known so far, and
// not only because this process has moved the ledger meanwhile, the ledger went back, as it does at a failover to a standby that is
// behind; what was known is forgotten.
func (p *Progress) BeginRead() (end func(domain.Position)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	began := p.reached
	return func(position domain.Position) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if position.Before(p.position) && p.reached == began {
			p.position = position
		}
		p.forward(position)
	}
}

// Current is the position known last, and a channel that is closed when it moves forwards.
func (p *Progress) Current() (domain.Position, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.position, p.moved
}

// Wait blocks until the ledger is known to be at position or a later one. Since another process may be the writer, one of the waiting
// goroutines calls checkpoint every interval, for all of them, which records what it reads as BeginRead says. Wait returns domain.ErrNotCaughtUp when ctx ends first, and the error of
// its own reading.
func (p *Progress) Wait(ctx context.Context, position domain.Position, interval time.Duration, checkpoint func(context.Context) (domain.Checkpoint, error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		at, moved := p.Current()
		if !at.Before(position) {
			return nil
		}
		if p.beginPoll(interval) {
			_, err := checkpoint(ctx)
			p.endPoll()
			if err != nil && ctx.Err() == nil {
				return err
			}
			if err == nil {
				at, moved = p.Current()
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

// beginPoll reports whether the caller is to poll now: nobody else does, and nobody has within the interval. If so, the caller must
// call endPoll afterwards.
func (p *Progress) beginPoll(interval time.Duration) bool {
	select {
	case p.polling <- struct{}{}:
	default:
		return false
	}
	if time.Since(p.polledAt) < interval {
		<-p.polling
		return false
	}
	return true
}

func (p *Progress) endPoll() {
	p.polledAt = time.Now()
	<-p.polling
}
