package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// seasonOf is a season's board of a client of its own, which is removed at the end.
func seasonOf(t *testing.T, address, id string) *redis.Board {
	t.Helper()
	b := open(t, fresh(address)).Season(season.Season{ID: id, From: start, Until: start.AddDate(0, 1, 0)})
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
	boards := []*redis.Board{main, main.Season(season.Season{ID: "2026-11"}), main.Season(season.Season{ID: "2026-12"})}
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

// Given a season whose board is loaded and followed
// When its bounds are corrected
// Then the board is not loaded for whoever has the new bounds, and once they have loaded it, for whoever still has the old ones.
func TestASeasonWhoseBoundsChangedIsLoadedAnew(t *testing.T) {
	main := open(t, fresh(redistest.URL(t)))
	sale := season.Season{ID: "sale", From: start, Until: start.AddDate(0, 0, 4)}
	corrected := sale
	corrected.From = start.AddDate(0, 0, -7)
	wrong, right := main.Season(sale), main.Season(corrected)
	t.Cleanup(func() {
		if err := right.Remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	loads(t, wrong)
	if err := wrong.Apply(t.Context(), batch()); err != nil {
		t.Fatal(err)
	}
	has(t, wrong, 11, at(110))
	has(t, main.Season(sale), 11, at(110))
	fails(t, right, domain.ErrNotCaughtUp)
	loads(t, right)
	has(t, right, 10, at(100))
	fails(t, wrong, domain.ErrNotCaughtUp)
	fails(t, main, domain.ErrNotCaughtUp)
	// The bounds are the same however they are written.
	corrected.From = corrected.From.In(time.FixedZone("", 3600))
	has(t, main.Season(corrected), 10, at(100))
}
