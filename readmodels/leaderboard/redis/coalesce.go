package redis

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Dashboards asked for while calls to Redis are under way share the next call, so that under load one call serves many
// readers, with one top list for all; a reader alone is served at once. Who waits is on a list, which they leave when
// their context ends, so it is never longer than there are readers.
type readings struct {
	mu      sync.Mutex
	waiting list.List // of *reading
	calls   int       // under way, or about to be
	// apart has each reader make a call of their own; for comparison.
	apart bool
	// last is what the calls before read as the best, which is seldom different in the next.
	last atomic.Pointer[best]
}

// best are rows and the text they were read from. They are never changed.
type best struct {
	text string
	rows []leaderboard.Row
}

const (
	// maxReadings is how many dashboards one call reads at most. Redis does nothing else meanwhile, for about a millisecond.
	maxReadings = 128
	// maxCalls is how many calls are under way at most: while the answer of one is on its way, Redis works on another.
	maxCalls = 2
	// longestWait bounds how long a reader waits for a Redis that doesn't answer, and for those who came before.
	longestWait = 5 * time.Second
)

// reading is one dashboard asked for, used again for another once it was answered.
type reading struct {
	key         domain.ProxyKey
	top, around int
	// place is in the list, nil once a call is under way.
	place *list.Element
	// done gets one value when what is below is there: the answer, in which this dashboard is the i-th, or an error.
	done   chan struct{}
	answer *snapshot
	i      int
	err    error
	// patience is stopped unless somebody waits.
	patience *time.Timer
}

var oldReadings = sync.Pool{New: func() any {
	r := &reading{done: make(chan struct{}, 1), patience: time.NewTimer(longestWait)}
	r.patience.Stop()
	return r
}}

// Dashboard is leaderboard.Reader's.
func (b *Board) Dashboard(ctx context.Context, key domain.ProxyKey, top, around int, d *leaderboard.Dashboard) error {
	if err := leaderboard.CheckSizes(top, around); err != nil {
		return err
	}
	r := oldReadings.Get().(*reading)
	r.key, r.top, r.around = key, top, around
	if b.readings.apart {
		b.answer(ctx, []*reading{r})
		<-r.done
	} else if err := b.share(ctx, r); err != nil {
		return fmt.Errorf("read a dashboard: %w", err) // and a call may still answer the reading
	}
	answer, i, err := r.answer, r.i, r.err
	r.answer, r.err = nil, nil
	oldReadings.Put(r)
	if err != nil {
		return err
	}
	return answer.dashboard(i, key, top, d)
}

// share waits until a call has served a reading.
func (b *Board) share(ctx context.Context, r *reading) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.enqueue(r); err != nil {
		return err
	}
	r.patience.Reset(longestWait)
	defer r.patience.Stop()
	select {
	case <-r.done:
		return nil
	case <-r.patience.C:
		b.readings.leave(r)
		return fmt.Errorf("%w: no answer within %s", domain.ErrUnavailable, longestWait)
	case <-ctx.Done():
		b.readings.leave(r)
		return ctx.Err()
	}
}

// enqueue puts a reading on the list and starts a call for it, if there may be one more.
func (b *Board) enqueue(r *reading) error {
	s := &b.readings
	s.mu.Lock()
	defer s.mu.Unlock()
	r.place = s.waiting.PushBack(r)
	if s.calls == maxCalls {
		return nil
	}
	if err := b.tasks.start(b.serve); err != nil {
		s.waiting.Remove(r.place)
		return err
	}
	s.calls++
	return nil
}

// serve makes calls until nobody waits.
func (b *Board) serve(ctx context.Context) {
	for {
		batch := b.readings.take()
		if len(batch) == 0 {
			return
		}
		b.answer(ctx, batch)
	}
}

// take takes those who have waited longest off the list. If there are none, that ends a call.
func (s *readings) take() []*reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(s.waiting.Len(), maxReadings)
	if n == 0 {
		s.calls--
		return nil
	}
	batch := make([]*reading, n)
	for i := range batch {
		batch[i] = s.waiting.Remove(s.waiting.Front()).(*reading)
		batch[i].place = nil
	}
	return batch
}

// leave takes a reading off the list, if it is there.
func (s *readings) leave(r *reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.place != nil {
		s.waiting.Remove(r.place)
		r.place = nil
	}
}

// answer reads the dashboards in one call. The readers take out theirs themselves, each in their own goroutine.
func (b *Board) answer(ctx context.Context, batch []*reading) {
	top := 0
	args := make([]any, 1, 1+2*len(batch))
	for _, r := range batch {
		top = max(top, r.top)
		args = append(args, r.key[:], r.around)
	}
	args[0] = top
	answer, err := b.read(ctx, "read dashboards", dashboardsScript, args...)
	if err == nil && len(answer.rest) != 1+len(batch) {
		err = fmt.Errorf("%w: %d answers for %d dashboards", domain.ErrUnavailable, len(answer.rest)-1, len(batch))
	}
	if err == nil {
		err = b.readings.readBest(&answer, top)
	}
	if err != nil && b.tasks.ctx.Err() != nil {
		err = errClosed
	}
	for i, r := range batch {
		r.answer, r.i, r.err = &answer, i, err
		r.done <- struct{}{}
	}
}

// readBest reads the rows of the best that an answer begins with.
func (s *readings) readBest(answer *snapshot, top int) error {
	text, _ := answer.rest[0].(string)
	known := s.last.Load()
	if known == nil || known.text != text {
		rows, err := appendRows(nil, text, 0, top)
		if err != nil {
			return err
		}
		known = &best{text, rows}
		s.last.Store(known)
	}
	answer.best = known.rows
	return nil
}
