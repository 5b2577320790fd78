package admission

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/problem"
)

// Bounds are how much of one kind of work is under way at once, and how much waits for it.
type Bounds struct {
	// Slots is how much is under way at once, and OfSubject how much of it for one subject.
	Slots, OfSubject int
	// Queue is how much waits for its turn. One subject has as large a part of it as of the slots.
	Queue int
	// Patience is how long each waits; 0 is for as long as its context.
	Patience time.Duration
	// RetryAfter is what whoever is refused is told to wait.
	RetryAfter time.Duration
}

// Semaphore keeps one kind of work within its Bounds. Turns come in the order of asking, but nobody waits behind those whose subject has
// its part already. It may be used from many goroutines at once.
type Semaphore struct {
	bounds  Bounds
	refused prometheus.Counter

	mu     sync.Mutex
	taken  int
	shares map[client]share
	// queue has the waiters in the order in which they came.
	queue list.List
}

// share is what one subject has: work under way, and waiting.
type share struct{ taken, waiting int }

// waiter is one that waits. turn is closed when its turn comes.
type waiter struct {
	who  client
	turn chan struct{}
}

// NewSemaphore makes a semaphore. Its metrics are loyalty_NAME_in_flight, loyalty_NAME_waiting and loyalty_NAME_refused_total, with labels;
// what says in words what they count. It fails where registry has them already.
func NewSemaphore(name, what string, labels prometheus.Labels, b Bounds, registry *prometheus.Registry) (*Semaphore, error) {
	s := &Semaphore{bounds: b, shares: make(map[client]share), refused: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "loyalty_" + name + "_refused_total", Help: what + " refused: too much was under way.", ConstLabels: labels,
	})}
	gauge := func(state, help string, value func() int) prometheus.Collector {
		options := prometheus.GaugeOpts{Name: "loyalty_" + name + "_" + state, Help: what + help, ConstLabels: labels}
		return prometheus.NewGaugeFunc(options, func() float64 { return float64(value()) })
	}
	err := errors.Join(
		registry.Register(gauge("in_flight", " under way.", s.InFlight)),
		registry.Register(gauge("waiting", " waiting for their turn.", s.waiting)),
		registry.Register(s.refused),
	)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of %s: %w", name, err)
	}
	return s, nil
}

// InFlight is how much is under way.
func (s *Semaphore) InFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

func (s *Semaphore) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Len()
}

// Acquire waits for a slot, which the caller must release. Errors are that of ctx; problem.ErrTooMuchAtOnce where the caller's subject has
// its part and more waits, and problem.ErrOverloaded where that is so of all together. The latter two are domain.LaterErrors.
func (s *Semaphore) Acquire(ctx context.Context, caller auth.Claims) error {
	return s.acquire(ctx, caller, s.bounds.Queue, s.bounds.Patience)
}

// acquire is Acquire with a queue and a patience of its own.
func (s *Semaphore) acquire(ctx context.Context, caller auth.Claims, queue int, patience time.Duration) error {
	place, err := s.enter(clientOf(caller), queue)
	if place == nil {
		return err
	}
	var late <-chan time.Time
	if patience > 0 {
		timeout := time.NewTimer(patience)
		defer timeout.Stop()
		late = timeout.C
	}
	select {
	case <-place.Value.(*waiter).turn:
		return nil
	case <-ctx.Done():
		return s.giveUp(place, ctx.Err())
	case <-late:
		return s.giveUp(place, nil)
	}
}

// enter takes a slot, or a place in a queue of that length.
func (s *Semaphore) enter(who client, queue int) (place *list.Element, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	has := s.shares[who]
	switch {
	case s.taken < s.bounds.Slots && has.taken < s.bounds.OfSubject:
		s.take(who)
		return nil, nil
	case has.waiting >= queue*s.bounds.OfSubject/s.bounds.Slots, s.queue.Len() >= queue:
		return nil, s.refuse(has)
	}
	has.waiting++
	s.shares[who] = has
	return s.queue.PushBack(&waiter{who, make(chan struct{})}), nil
}

// giveUp leaves the queue with an error, nil for that of a refusal. Whose turn has come meanwhile has it.
func (s *Semaphore) giveUp(place *list.Element, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := place.Value.(*waiter)
	select {
	case <-w.turn:
		return nil
	default:
	}
	if err == nil {
		err = s.refuse(s.shares[w.who])
	}
	s.leave(place)
	return err
}

// Release gives back the slot of a caller.
func (s *Semaphore) Release(caller auth.Claims) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who := clientOf(caller)
	has := s.shares[who]
	has.taken--
	s.keep(who, has)
	s.taken--
	for place := s.queue.Front(); place != nil; place = place.Next() {
		if w := place.Value.(*waiter); s.shares[w.who].taken < s.bounds.OfSubject {
			s.leave(place)
			s.take(w.who)
			close(w.turn)
			return
		}
	}
}

func (s *Semaphore) take(who client) {
	has := s.shares[who]
	has.taken++
	s.shares[who] = has
	s.taken++
}

func (s *Semaphore) leave(place *list.Element) {
	who := s.queue.Remove(place).(*waiter).who
	has := s.shares[who]
	has.waiting--
	s.keep(who, has)
}

func (s *Semaphore) keep(who client, has share) {
	if has == (share{}) {
		delete(s.shares, who)
		return
	}
	s.shares[who] = has
}

// refuse says whether it is the subject that has too much, or all together.
func (s *Semaphore) refuse(has share) error {
	s.refused.Inc()
	why := problem.ErrOverloaded
	if has.taken >= s.bounds.OfSubject && s.bounds.OfSubject < s.bounds.Slots {
		why = problem.ErrTooMuchAtOnce
	}
	return domain.Later(why, s.bounds.RetryAfter)
}
