package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/season"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
	"loyalty/readmodels/ledger/sqlite"
)

// year is a system whose seasons are turned by hand.
type year struct {
	t     *testing.T
	ctx   context.Context
	store *eventstore.Store
	of    *seasons
}

func openYear(t *testing.T, configured string, shared sharedLeaderboard) year {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	calendar, err := season.ParseCalendar(configured)
	if err != nil {
		t.Fatal(err)
	}
	proxies, err := domain.NewProxies([]byte("a secret of these tests"))
	if err != nil {
		t.Fatal(err)
	}
	store := storetest.Open(t)
	l, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "ledger.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	following, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- projections.NewRunner(projections.Ledger{Writer: l, Proxies: proxies}, store, projections.Options{}).Run(following)
	}()
	y := year{t, ctx, store, &seasons{
		calendar: calendar, store: store, ledger: l, shared: shared, keeps: true, proxies: proxies, log: slog.New(slog.DiscardHandler), now: time.Now,
	}}
	t.Cleanup(func() {
		y.of.close()
		stop()
		if err := errors.Join(<-ended, l.Close()); err != nil {
			t.Error(err)
		}
	})
	return y
}

// at turns the seasons to a day, and gives their ids.
func (y year) at(day string) string {
	y.t.Helper()
	now, err := time.Parse(time.DateOnly, day)
	if err != nil {
		y.t.Fatal(err)
	}
	y.of.update(y.ctx, now)
	var ids []string
	for _, s := range y.of.Seasons() {
		ids = append(ids, s.ID)
	}
	return fmt.Sprint(ids)
}

// give gives a customer points on a day.
func (y year) give(customer domain.CustomerID, points domain.Points, day string) domain.Position {
	y.t.Helper()
	occurred, err := time.Parse(time.DateOnly, day)
	if err != nil {
		y.t.Fatal(err)
	}
	id := uuid.New()
	at, err := y.store.Append(y.ctx, "account-"+id.String(), eventstore.NoStream, id, eventstore.Metadata{}, account.PointsAdjusted{
		About: domain.About{CustomerID: customer, OccurredAt: occurred}, LoyaltyID: "a-1", Points: points, Reason: "goodwill", Actor: "agent-1",
	})
	if err != nil {
		y.t.Fatal(err)
	}
	return at
}

// dashboard is what a customer sees of a season, as soon as it reflects a position.
func (y year) dashboard(id string, customer domain.CustomerID, at domain.Position) (d leaderboard.Dashboard) {
	y.t.Helper()
	_, board, proxies, known := y.of.Season(id)
	if !known {
		y.t.Fatalf("there is no season %s", id)
	}
	if err := errors.Join(board.Wait(y.ctx, at), board.Dashboard(y.ctx, proxies.Key(customer), 10, 2, &d)); err != nil {
		y.t.Fatalf("season %s: %v", id, err)
	}
	return d
}

func (y year) sees(id string, customer domain.CustomerID, at domain.Position, rank int64, points domain.Points) {
	y.t.Helper()
	if d := y.dashboard(id, customer, at); d.You.Rank != rank || d.You.Points != points {
		y.t.Errorf("in %s %s has rank %d by %d points, not %d by %d", id, customer, d.You.Rank, d.You.Points, rank, points)
	}
}

func TestSeasonsComeAndGo(t *testing.T) {
	board, err := redis.Open(t.Context(), redistest.Start(t).URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := board.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, shared := range map[string]sharedLeaderboard{"in memory": nil, "in Redis": board} {
		t.Run(name, func(t *testing.T) {
			y := openYear(t, "month+1,2026-Q4", shared)
			// Given points in October and November
			y.give("alice", 30, "2026-10-05")
			y.give("bob", 20, "2026-10-06")
			last := y.give("bob", 25, "2026-11-07")

			// Then in November there are both months and the quarter, each with its own ranks
			if got := y.at("2026-11-23"); got != "[2026-Q4 2026-10 2026-11]" {
				t.Fatalf("the seasons are %s", got)
			}
			y.sees("2026-10", "alice", last, 1, 30)
			y.sees("2026-10", "bob", last, 2, 20)
			y.sees("2026-11", "bob", last, 1, 25)
			y.sees("2026-11", "alice", last, 0, 0)
			y.sees("2026-Q4", "bob", last, 1, 45)
			y.sees("2026-Q4", "alice", last, 2, 30)

			// When more comes, those that it belongs to show it, live
			last = y.give("alice", 40, "2026-11-24")
			y.sees("2026-11", "alice", last, 1, 40)
			y.sees("2026-Q4", "alice", last, 1, 70)
			y.sees("2026-10", "alice", last, 1, 30)

			// When December comes, so does its season, and October goes
			if got := y.at("2026-12-01"); got != "[2026-Q4 2026-11 2026-12]" {
				t.Fatalf("the seasons are %s", got)
			}
			last = y.give("bob", 1, "2026-12-01")
			y.sees("2026-12", "bob", last, 1, 1)
			y.sees("2026-11", "bob", last, 2, 25)
			if _, _, _, known := y.of.Season("2026-10"); known {
				t.Error("October is still there")
			}
			if shared != nil {
				if _, err := shared.Season(season.Season{ID: "2026-10", From: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}).Checkpoint(y.ctx); !errors.Is(err, domain.ErrNotCaughtUp) {
					t.Errorf("October is still in Redis: %v", err)
				}
			}

			// And when it is asked for again, it is as it was
			if got := y.at("2026-11-30"); got != "[2026-Q4 2026-10 2026-11]" {
				t.Fatalf("the seasons are %s", got)
			}
			y.sees("2026-10", "bob", last, 2, 20)
		})
	}
}

func TestNamesOfSeasonsAreNotThoseOfAllTime(t *testing.T) {
	y := openYear(t, "2026-11,2026", nil)
	last := y.give("alice", 30, "2026-11-05")
	y.at("2026-11-23")
	keys := map[domain.ProxyKey]bool{y.of.proxies.Key("alice"): true}
	for _, id := range []string{"2026-11", "2026"} {
		keys[y.dashboard(id, "alice", last).You.Key] = true
	}
	if len(keys) != 3 {
		t.Errorf("alice has %d keys in all time and two seasons", len(keys))
	}
}
