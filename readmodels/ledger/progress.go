package ledger

import (
	"sync"

	"loyalty/domain"
)

// Progress is the furthest position that a process knows a ledger to have reached, for an adapter's Wait. Make it with
// NewProgress. It may be used from many goroutines at once.
type Progress struct {
	mu    sync.Mutex
	at    domain.Position
	moved chan struct{} // closed, and replaced, whenever at moves
}

// NewProgress knows of nothing yet.
func NewProgress() *Progress { return &Progress{moved: make(chan struct{})} }

// Reach notes that the ledger has reached a position. One that it has passed already changes nothing.
func (p *Progress) Reach(to domain.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.Before(to) {
		p.at = to
		close(p.moved)
		p.moved = make(chan struct{})
	}
}

// Known is that position, and a channel that is closed when it moves.
func (p *Progress) Known() (domain.Position, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at, p.moved
}
