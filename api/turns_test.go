package api

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Given one turn, which is taken, and a queue of two
// Then two wait as long as they are patient, a third is refused at once, and who gives up waiting makes room.
func TestTurnsAreWaitedForWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, err := newTurns("tests", "Tests", 1, 2, 5*time.Second, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		if err := turns.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := turns.enter(t.Context()); !errors.Is(err, errOverloaded) || time.Since(begun) != 5*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
		})
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := turns.enter(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 2*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
		})
		synctest.Wait()
		if err := turns.enter(t.Context()); !errors.Is(err, errOverloaded) || time.Since(begun) != 0 {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		waiting.Go(func() {
			if err := turns.enter(t.Context()); err != nil || time.Since(begun) != 6*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
			turns.leave()
		})
		time.Sleep(time.Second)
		turns.leave()
		waiting.Wait()
		if turns.waiting.Load() != 0 || len(turns.taken) != 0 {
			t.Errorf("%d wait and %d are at work", turns.waiting.Load(), len(turns.taken))
		}
	})
}
