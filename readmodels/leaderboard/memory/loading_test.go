package memory

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Given a board that is being loaded for so long
// Then its readers are told to come back after as long again, within bounds; and after nothing known before the load and after it failed.
func TestReadersOfABoardThatLoadsAreToldWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		told := func() map[string]time.Duration {
			ended, end := context.WithCancel(t.Context())
			end()
			_, _, _, standing := b.Standing(t.Context(), domain.ProxyKey{})
			all := make(map[string]time.Duration)
			for name, err := range map[string]error{
				"a dashboard": b.Dashboard(t.Context(), domain.ProxyKey{}, 10, 2, new(leaderboard.Dashboard)),
				"a standing":  standing, "a wait": b.Wait(ended, domain.Position{Commit: 1}),
			} {
				var later *domain.LaterError
				if !errors.Is(err, domain.ErrNotCaughtUp) {
					t.Errorf("%s: %v", name, err)
				}
				if all[name] = 0; errors.As(err, &later) {
					all[name] = later.After
				}
			}
			return all
		}
		expect := func(when string, want time.Duration) {
			t.Helper()
			for name, got := range told() {
				if got != want {
					t.Errorf("%s, %s comes back after %s, want %s", when, name, got, want)
				}
			}
		}
		expect("before a load", 0)
		var loading sync.WaitGroup
		loading.Go(func() {
			err := b.Load(t.Context(), func(func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
				time.Sleep(5 * time.Minute)
				return leaderboard.Snapshot{}, domain.ErrUnavailable
			})
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Error(err)
			}
		})
		synctest.Wait()
		expect("at once", time.Second)
		time.Sleep(20 * time.Second)
		expect("after 20 s", 20*time.Second)
		time.Sleep(4 * time.Minute)
		expect("after minutes", time.Minute)
		loading.Wait()
		expect("after the load failed", 0)
	})
}
