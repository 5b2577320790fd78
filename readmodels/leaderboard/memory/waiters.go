package memory

import (
	"sync"

	"loyalty/domain"
)

// waiters are those who wait for the board to reach a position. There are as many as there are requests waiting, each
// for 2 seconds at most, so looking at all of them after each batch costs little.
type waiters struct {
	mu      sync.Mutex
	waiting map[chan struct{}]domain.Position
}

// add returns a channel that wake closes. Who added it removes it.
func (w *waiters) add(position domain.Position) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = make(map[chan struct{}]domain.Position)
	}
	reached := make(chan struct{})
	w.waiting[reached] = position
	return reached
}

func (w *waiters) remove(reached chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, reached)
}

// wake lets all go on who wait for this position or one before.
func (w *waiters) wake(position domain.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for reached, wanted := range w.waiting {
		if !position.Before(wanted) {
			delete(w.waiting, reached)
			close(reached)
		}
	}
}
