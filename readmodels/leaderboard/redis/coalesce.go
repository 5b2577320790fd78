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

// dashboardQueue coalesces dashboards: those that are asked for while calls to Redis are under way share the next call. Under load, one
// call serves many readers, with one top list for all; a single reader is served at once. A reader leaves the queue when their context
// ends, so that it is never longer than the number of concurrent readers.
type dashboardQueue struct {
	mu      sync.Mutex
	waiting list.List // of *request
	calls   int       // under way, or about to be
	// unbatched makes each reader call Redis alone, for comparison in benchmarks.
	unbatched bool
	// last is the top list of an earlier call, which seldom changes from one call to the next.
	last atomic.Pointer[topList]
}

// topList is the rows of a top list and the text they were parsed from. It is immutable.
type topList struct {
	text string
	rows []leaderboard.Row
}

const (
	// maxBatch is the most dashboards that one call reads. The call occupies Redis for about a millisecond.
	maxBatch = 128
	// maxCalls is the most calls under way: while the answer of one is on its way, Redis works on another.
	maxCalls = 2
)

// request is a dashboard that a reader asked for. It is reused after its answer.
type request struct {
	key         domain.ProxyKey
	top, around int
	// element is the request's place in the queue; nil once a call is under way.
	element *list.Element
	// done gets one value when the fields below are set: the answer, in which this dashboard is the i-th, or an error.
	done   chan struct{}
	answer *snapshot
	i      int
	err    error
	// timeout runs only while the reader waits.
	timeout *time.Timer
}

var requests = sync.Pool{New: func() any {
	r := &request{done: make(chan struct{}, 1), timeout: time.NewTimer(readTimeout)}
	r.timeout.Stop()
	return r
}}

// Dashboard reads a dashboard; see leaderboard.Reader.
func (b *Board) Dashboard(ctx context.Context, key domain.ProxyKey, top, around int, d *leaderboard.Dashboard) error {
	if err := leaderboard.CheckSizes(top, around); err != nil {
		return err
	}
	r := requests.Get().(*request)
	r.key, r.top, r.around = key, top, around
	if b.dashboards.unbatched {
		b.answer(ctx, []*request{r})
		<-r.done
	} else if err := b.share(ctx, r); err != nil {
		return fmt.Errorf("read a dashboard: %w", err) // r is not reused: a call may still answer it
	}
	answer, i, err := r.answer, r.i, r.err
	r.answer, r.err = nil, nil
	requests.Put(r)
	if err != nil {
		return err
	}
	return answer.dashboard(i, key, top, d)
}

// share queues a request and waits until a call has answered it.
func (b *Board) share(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.enqueue(r); err != nil {
		return err
	}
	r.timeout.Reset(b.patience)
	defer r.timeout.Stop()
	select {
	case <-r.done:
		return nil
	case <-r.timeout.C:
		b.dashboards.leave(r)
		return fmt.Errorf("%w: no answer within %s", domain.ErrUnavailable, b.patience)
	case <-ctx.Done():
		b.dashboards.leave(r)
		return ctx.Err()
	}
}

// enqueue adds a request to the queue, and starts a task to serve it unless maxCalls run.
func (b *Board) enqueue(r *request) error {
	s := &b.dashboards
	s.mu.Lock()
	defer s.mu.Unlock()
	r.element = s.waiting.PushBack(r)
	if s.calls == maxCalls {
		return nil
	}
	if err := b.tasks.start(b.serve); err != nil {
		s.waiting.Remove(r.element)
		return err
	}
	s.calls++
	return nil
}

// serve makes calls until the queue is empty.
func (b *Board) serve(ctx context.Context) {
	for {
		batch := b.dashboards.take()
		if len(batch) == 0 {
			return
		}
		b.answer(ctx, batch)
	}
}

// take takes the oldest requests off the queue. If there are none, it counts the caller's task as ended.
func (s *dashboardQueue) take() []*request {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(s.waiting.Len(), maxBatch)
	if n == 0 {
		s.calls--
		return nil
	}
	batch := make([]*request, n)
	for i := range batch {
		batch[i] = s.waiting.Remove(s.waiting.Front()).(*request)
		batch[i].element = nil
	}
	return batch
}

// leave removes a request from the queue, if it is still there.
func (s *dashboardQueue) leave(r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.element != nil {
		s.waiting.Remove(r.element)
		r.element = nil
	}
}

// answer reads the dashboards of a batch in one call. Each reader parses their own, in their own goroutine.
func (b *Board) answer(ctx context.Context, batch []*request) {
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
		err = b.dashboards.readTop(&answer, top)
	}
	if err != nil && b.tasks.ctx.Err() != nil {
		err = errClosed
	}
	for i, r := range batch {
		r.answer, r.i, r.err = &answer, i, err
		r.done <- struct{}{}
	}
}

// readTop sets the top list of an answer from its first part.
func (s *dashboardQueue) readTop(answer *snapshot, top int) error {
	text, _ := answer.rest[0].(string)
	known := s.last.Load()
	if known == nil || known.text != text {
		rows, err := appendRows(nil, text, 0, top)
		if err != nil {
			return err
		}
		known = &topList{text, rows}
		s.last.Store(known)
	}
	answer.top = known.rows
	return nil
}
