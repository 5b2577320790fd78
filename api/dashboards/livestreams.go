package dashboards

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/domain"
	"loyalty/internal/problem"
	"loyalty/readmodels/leaderboard"
)

// LiveStreams are the open live streams of a server, and what tells them that a leaderboard has moved. They may be used from many
// goroutines at once.
type LiveStreams struct {
	most     int
	rejected prometheus.Counter

	mu        sync.Mutex
	open      int
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

// NewLiveStreams makes room for so many streams. It fails where registry has the metrics of live streams already.
func NewLiveStreams(most int, registry *prometheus.Registry) (*LiveStreams, error) {
	l := &LiveStreams{most: most, notifiers: make(map[leaderboard.Reader]*notifier), rejected: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "loyalty_live_pages_refused_total", Help: "Live pages refused as overloaded.",
	})}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "loyalty_live_pages", Help: "Live pages that are open."}, func() float64 {
		return float64(l.Open())
	})
	if err := errors.Join(registry.Register(open), registry.Register(l.rejected)); err != nil {
		return nil, fmt.Errorf("register the metrics of live streams: %w", err)
	}
	return l, nil
}

// Open is how many streams are open.
func (l *LiveStreams) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// join opens a stream of a leaderboard, which must leave its notifier at the end. Its dashboards are written by json, or by an encoder of
// the leaderboard's streams if that is nil. Where there are too many streams it is problem.ErrOverloaded.
func (l *LiveStreams) join(board leaderboard.Reader, json *encoder) (*notifier, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.most {
		l.rejected.Inc()
		return nil, problem.ErrOverloaded
	}
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
	l.open++
	n.streams++
	return n, nil
}

func (l *LiveStreams) leave(n *notifier) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if n.streams--; n.streams == 0 {
		delete(l.notifiers, n.board)
		n.stop()
	}
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
