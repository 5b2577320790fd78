package admission

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/internal/problem"
)

// Given one slot, which is taken, and a queue of two
// Then two wait until their timeout, a third is rejected at once, and who gives up waiting makes room.
func TestSlotsAreWaitedForWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		semaphore, err := NewSemaphore("tests", "Tests", 1, 2, 5*time.Second, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		if err := semaphore.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := semaphore.Acquire(t.Context()); !errors.Is(err, problem.ErrOverloaded) || time.Since(begun) != 5*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
		})
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := semaphore.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 2*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
		})
		synctest.Wait()
		if err := semaphore.Acquire(t.Context()); !errors.Is(err, problem.ErrOverloaded) || time.Since(begun) != 0 {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		waiting.Go(func() {
			if err := semaphore.Acquire(t.Context()); err != nil || time.Since(begun) != 6*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
			semaphore.Release()
		})
		time.Sleep(time.Second)
		semaphore.Release()
		waiting.Wait()
		if semaphore.waiting.Load() != 0 || len(semaphore.slots) != 0 {
			t.Errorf("%d wait and %d are at work", semaphore.waiting.Load(), len(semaphore.slots))
		}
	})
}
