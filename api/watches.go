package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// pages are the live ones that are open, and the leaderboards that they are of.
type pages struct {
	most int
	// refused counts the pages that were too many.
	refused prometheus.Counter

	mu      sync.Mutex
	open    int
	watches map[leaderboard.Reader]*watch
}

// watch is how all pages of one leaderboard learn that it has moved. Its goroutine runs while there are any: the first page starts it,
// and the last one waits for its end.
type watch struct {
	board leaderboard.Reader
	// shared is what their readers share.
	shared *shared
	open   int
	stop   func()
	// moved holds the channel that is closed when the leaderboard moves next.
	moved atomic.Pointer[chan struct{}]
}

func newPages(most int, registry *prometheus.Registry) (*pages, error) {
	p := &pages{most: most, watches: make(map[leaderboard.Reader]*watch), refused: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "loyalty_live_pages_refused_total", Help: "Live pages refused as overloaded.",
	})}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "loyalty_live_pages", Help: "Live pages that are open."}, func() float64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return float64(p.open)
	})
	if err := errors.Join(registry.Register(open), registry.Register(p.refused)); err != nil {
		return nil, fmt.Errorf("register the metrics of live pages: %w", err)
	}
	return p, nil
}

// enter opens a page of a leaderboard, whose readers share something of their own unless it is given; or returns errOverloaded. Whoever
// entered must leave.
func (p *pages) enter(board leaderboard.Reader, all *shared) (*watch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open >= p.most {
		p.refused.Inc()
		return nil, errOverloaded
	}
	w := p.watches[board]
	if w == nil {
		if all == nil {
			all = new(shared)
		}
		w = &watch{board: board, shared: all}
		w.renew()
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { w.run(ctx) })
		w.stop = func() { cancel(); running.Wait() }
		p.watches[board] = w
	}
	p.open++
	w.open++
	return w, nil
}

func (p *pages) leave(w *watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	if w.open--; w.open == 0 {
		delete(p.watches, w.board)
		w.stop()
	}
}

// renew makes the channel for the next move, and returns that of the last.
func (w *watch) renew() (before *chan struct{}) {
	next := make(chan struct{})
	return w.moved.Swap(&next)
}

// run wakes the pages when the leaderboard has moved: at once if it stood still, else at livePace.
func (w *watch) run(ctx context.Context) {
	pace := time.NewTicker(livePace)
	defer pace.Stop()
	var at domain.Position
	for ctx.Err() == nil {
		// A leaderboard that can't be reached is asked again at livePace, and what is wrong with it the pages find out themselves.
		if w.board.Wait(ctx, domain.Position{Commit: at.Commit, Prepare: at.Prepare + 1}) == nil {
			if _, _, now, err := w.board.Standing(ctx, domain.ProxyKey{}); err == nil && now != at {
				at = now
				close(*w.renew())
			}
		}
		pace.Reset(livePace)
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
}
