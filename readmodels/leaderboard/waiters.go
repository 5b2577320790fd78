package leaderboard

import (
	"sync"

	"loyalty/domain"
)

// Waiters helps an adapter to implement Reader.Wait: it holds a channel for each goroutine that waits for a position. There are no more
// than concurrent requests that wait, so that Wake can look at all of them. The zero Waiters is empty. It is safe for concurrent use.
type Waiters struct {
	mu      sync.Mutex
	waiting map[chan struct{}]domain.Position
}

// Add returns a channel that Wake closes once the leaderboard has reached position. The caller must Remove it.
func (w *Waiters) Add(position domain.Position) (reached chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = make(map[chan struct{}]domain.Position)
	}
	reached = make(chan struct{})
	w.waiting[reached] = position
	return reached
}

// Remove removes a channel that Add returned.
func (w *Waiters) Remove(reached chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, reached)
}

// Wake closes the channels of those who wait for this position or an earlier one.
func (w *Waiters) Wake(position domain.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for reached, wanted := range w.waiting {
		if !position.Before(wanted) {
			delete(w.waiting, reached)
			close(reached)
		}
	}
}

// Len is the number of goroutines that wait.
func (w *Waiters) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}
