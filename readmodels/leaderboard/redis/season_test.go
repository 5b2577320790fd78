package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// seasonOf is a season's board of a client of its own, which is removed at the end.
func seasonOf(t *testing.T, address, id string) *redis.Board {
	t.Helper()
	b := open(t, fresh(address)).Season(id)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := b.Remove(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestASeasonKeepsTheContract(t *testing.T) {
	address := redistest.URL(t)
	leaderboardtest.RunEssentials(t, func(t *testing.T) leaderboardtest.Adapter { return seasonOf(t, address, "2026-11") })
}

func TestASeasonOnAClusterKeepsTheContract(t *testing.T) {
	address := "redis+cluster://" + redistest.StartCluster(t).Addrs()
	leaderboardtest.RunEssentials(t, func(t *testing.T) leaderboardtest.Adapter { return seasonOf(t, address, "2026-Q4") })
}

func TestSeasonsAreApartFromEachOtherAndFromAllTime(t *testing.T) {
	main := open(t, fresh(redistest.URL(t)))
	boards := []*redis.Board{main, main.Season("2026-11"), main.Season("2026-12")}
	key := domain.ProxyKey{1}
	for i, b := range boards {
		if err := b.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
			return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(domain.Position{Commit: 1, Prepare: 1}), AsOf: time.Unix(1, 0)}, yield(leaderboard.Standing{Key: key, Points: domain.Points(10 * (i + 1))})
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range boards {
		if s, ranked, _, err := b.Standing(t.Context(), key); err != nil || !ranked || s.Points != domain.Points(10*(i+1)) {
			t.Errorf("board %d has %+v, %v, %v", i, s, ranked, err)
		}
	}
	// One that is removed needs a load, and the others are as they were.
	if err := boards[1].Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := boards[1].Checkpoint(t.Context()); !errors.Is(err, domain.ErrNotCaughtUp) {
		t.Errorf("the removed season: %v", err)
	}
	for _, b := range []*redis.Board{boards[0], boards[2]} {
		if _, ranked, _, err := b.Standing(t.Context(), key); err != nil || !ranked {
			t.Errorf("another board: %v, %v", ranked, err)
		}
	}
	if err := boards[2].Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
}
