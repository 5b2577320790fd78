package admission

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/problem"
)

func semaphoreOf(t testing.TB, b Bounds) *Semaphore {
	t.Helper()
	s, err := NewSemaphore("tests", "Tests", nil, b, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func till(n int) auth.Claims {
	return auth.Claims{Subject: fmt.Sprintf("till-%d", n), Role: auth.RoleChannel, Channel: domain.Store}
}

// Given one slot, which is taken, and a queue of two
// Then two wait until their timeout, a third is refused at once, and who gives up waiting makes room.
func TestSlotsAreWaitedForWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := semaphoreOf(t, Bounds{Slots: 1, OfSubject: 1, Queue: 2, Patience: 5 * time.Second, RetryAfter: time.Second})
		if err := s.Acquire(t.Context(), till(0)); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := s.Acquire(t.Context(), till(1)); !errors.Is(err, problem.ErrOverloaded) || time.Since(begun) != 5*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
		})
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := s.Acquire(ctx, till(2)); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 2*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
		})
		synctest.Wait()
		if err := s.Acquire(t.Context(), till(3)); !errors.Is(err, problem.ErrOverloaded) || time.Since(begun) != 0 {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		waiting.Go(func() {
			if err := s.Acquire(t.Context(), till(4)); err != nil || time.Since(begun) != 6*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
			s.Release(till(4))
		})
		time.Sleep(time.Second)
		s.Release(till(0))
		waiting.Wait()
		nothingIsLeft(t, s)
	})
}

func nothingIsLeft(t testing.TB, s *Semaphore) {
	t.Helper()
	if s.waiting() != 0 || s.InFlight() != 0 || len(s.shares) != 0 {
		t.Errorf("%d wait, %d are under way, of %v", s.waiting(), s.InFlight(), s.shares)
	}
}

// Given a subject that asks for all slots and all waiting places at once
// Then it gets half of both, is told that the rest is too much, and others find the other half free.
func TestOneSubjectStopsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := semaphoreOf(t, Bounds{Slots: 8, OfSubject: 4, Queue: 8, Patience: time.Second, RetryAfter: 3 * time.Second})
		begun := time.Now()
		var greedy sync.WaitGroup
		var mu sync.Mutex
		refused := 0
		for range 512 {
			greedy.Go(func() {
				switch err := s.Acquire(t.Context(), till(0)); {
				case err == nil:
					time.Sleep(10 * time.Second)
					s.Release(till(0))
				default:
					var later *domain.LaterError
					if !errors.Is(err, problem.ErrTooMuchAtOnce) || !errors.As(err, &later) || later.After != 3*time.Second {
						t.Errorf("the greedy one: %v", err)
					}
					mu.Lock()
					defer mu.Unlock()
					refused++
				}
			})
		}
		synctest.Wait()
		if s.InFlight() != 4 || s.waiting() != 4 || refused != 512-8 {
			t.Errorf("of one subject %d are under way, %d wait and %d are refused", s.InFlight(), s.waiting(), refused)
		}
		var others sync.WaitGroup
		for n := range 20 {
			others.Go(func() {
				if err := s.Acquire(t.Context(), till(1+n%4)); err != nil || time.Since(begun) > 900*time.Millisecond {
					if n < 8 {
						t.Errorf("another after %s: %v", time.Since(begun), err)
					}
					return
				}
				time.Sleep(10 * time.Millisecond)
				s.Release(till(1 + n%4))
			})
			time.Sleep(10 * time.Millisecond)
		}
		others.Wait()
		greedy.Wait()
		nothingIsLeft(t, s)
	})
}

// Whatever is asked for, taken and given back, in whatever order: the bounds hold, no slot is free that somebody waits for who may have it,
// turns of one subject come in the order of asking, and nothing is left in the end.
func TestTheBoundsAlwaysHold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			b := Bounds{Slots: rapid.IntRange(1, 5).Draw(rt, "slots"), Queue: rapid.IntRange(0, 6).Draw(rt, "queue"), RetryAfter: time.Second}
			b.OfSubject = rapid.IntRange(1, b.Slots).Draw(rt, "of a subject")
			s := semaphoreOf(t, b)
			type asked struct {
				who, nth int
				cancel   context.CancelFunc
				err      error
				done     bool
			}
			var all []*asked
			var running sync.WaitGroup
			count := func(who int, what func(*asked) bool) (n int) {
				for _, a := range all {
					if (who < 0 || a.who == who) && what(a) {
						n++
					}
				}
				return n
			}
			waits := func(a *asked) bool { return !a.done }
			has := func(a *asked) bool { return a.done && a.err == nil }
			for nth := range rapid.IntRange(1, 60).Draw(rt, "steps") {
				who := rapid.IntRange(0, 2).Draw(rt, "who")
				switch rapid.IntRange(0, 3).Draw(rt, "step") {
				case 0, 1:
					ctx, cancel := context.WithCancel(context.Background())
					a := &asked{who: who, nth: nth, cancel: cancel}
					all = append(all, a)
					running.Go(func() {
						a.err = s.Acquire(ctx, till(who))
						a.done = true
					})
				case 2:
					for _, a := range all {
						if a.who == who && has(a) {
							a.err = errReleased
							s.Release(till(who))
							break
						}
					}
				default:
					for _, a := range all {
						if a.who == who && waits(a) {
							a.cancel()
							break
						}
					}
				}
				synctest.Wait()
				if n := count(-1, has); n != s.InFlight() || n > b.Slots || count(-1, waits) != s.waiting() || s.waiting() > b.Queue {
					rt.Fatalf("%d have slots, %d wait; it says %d and %d", n, count(-1, waits), s.InFlight(), s.waiting())
				}
				for who := range 3 {
					if count(who, has) > b.OfSubject || count(who, waits) > b.Queue*b.OfSubject/b.Slots {
						rt.Fatalf("subject %d has %d slots, and %d wait", who, count(who, has), count(who, waits))
					}
					if count(who, waits) > 0 && count(-1, has) < b.Slots && count(who, has) < b.OfSubject {
						rt.Fatalf("subject %d waits for what is free", who)
					}
					last := -1
					for _, a := range all {
						if a.who == who && waits(a) {
							last = max(last, a.nth)
						}
						if a.who == who && has(a) && last >= 0 {
							rt.Fatalf("subject %d: what was asked for at %d waits, and that of %d does not", who, last, a.nth)
						}
					}
				}
			}
			for _, a := range all {
				a.cancel()
			}
			running.Wait()
			for _, a := range all {
				if has(a) {
					s.Release(till(a.who))
				}
			}
			nothingIsLeft(t, s)
		})
	})
}

var errReleased = errors.New("released")

// A semaphore that nobody waits for costs no memory for each turn.
func TestATurnAllocatesNothing(t *testing.T) {
	s := semaphoreOf(t, Bounds{Slots: 2, OfSubject: 1})
	caller := till(1)
	if n := testing.AllocsPerRun(100, func() {
		if s.Acquire(t.Context(), caller) == nil {
			s.Release(caller)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
