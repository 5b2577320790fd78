package dashboards

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// LiveStreams are what tells the open live streams of a server that a leaderboard has moved. They may be used from many goroutines at
// once.
type LiveStreams struct {
	mu        sync.Mutex
	notifiers map[leaderboard.Reader]*notifier
}

// notifier tells all streams of one leaderboard that it has moved. Its goroutine runs while there are any: the first stream starts it, and
// the last one waits for its end.
type notifier struct {
	board leaderboard.Reader
	// json is what the streams of the leaderboard share.
	json    *encoder
	streams int
	stop    func()
	// moved holds the channel that is closed when the leaderboard moves next.
	moved atomic.Pointer[chan struct{}]
}

// NewLiveStreams has none yet.
func NewLiveStreams() *LiveStreams {
	return &LiveStreams{notifiers: make(map[leaderboard.Reader]*notifier)}
}

// join opens a stream of a leaderboard, which must leave its notifier at the end. Its dashboards are written by json, or by an encoder of
// the leaderboard's streams if that is nil.
func (l *LiveStreams) join(board leaderboard.Reader, json *encoder) *notifier {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.notifiers[board]
	if n == nil {
		if json == nil {
			json = new(encoder)
		}
		n = &notifier{board: board, json: json}
		n.renew()
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { n.run(ctx) })
		n.stop = func() { cancel(); running.Wait() }
		l.notifiers[board] = n
	}
	n.streams++
	return n
}

// leave ends a stream. The last one waits for the end of the notifier's goroutine, which a store that hangs may delay; others don't wait.
func (l *LiveStreams) leave(n *notifier) {
	if l.wasLast(n) {
		n.stop()
	}
}

func (l *LiveStreams) wasLast(n *notifier) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.streams--
	if n.streams > 0 {
		return false
	}
	delete(l.notifiers, n.board)
	return true
}

// renew makes the channel for the next move, and returns that of the last.
func (n *notifier) renew() (before *chan struct{}) {
	next := make(chan struct{})
	return n.moved.Swap(&next)
}

// run wakes the streams when the leaderboard has moved: at once if it stood still, else at streamPace.
func (n *notifier) run(ctx context.Context) {
	pace := time.NewTicker(streamPace)
	defer pace.Stop()
	var at domain.Position
	for ctx.Err() == nil {
		// A leaderboard that can't be reached is asked again at streamPace. What is wrong with it the streams find out themselves.
		if n.board.Wait(ctx, domain.Position{Commit: at.Commit, Prepare: at.Prepare + 1}) == nil {
			if _, _, now, err := n.board.Standing(ctx, domain.ProxyKey{}); err == nil && now != at {
				at = now
				close(*n.renew())
			}
		}
		pace.Reset(streamPace)
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
}
