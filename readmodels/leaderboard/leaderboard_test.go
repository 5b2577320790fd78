package leaderboard_test

import (
	"errors"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

func TestMinuteIsWholeMinutesWithinItsRange(t *testing.T) {
	for _, c := range []struct {
		time time.Time
		want int64
	}{
		{time.Unix(0, 0), 0},
		{time.Unix(59, 999_999_999), 0},
		{time.Unix(60, 0), 1},
		{time.Unix(-1, 0), 0},
		{time.Time{}, 0},
		{time.Date(2026, 3, 1, 9, 0, 59, 0, time.FixedZone("", 3600)), 20_513*24*60 + 8*60},
		{time.Unix(60*leaderboard.MaxMinute, 0), leaderboard.MaxMinute},
		{time.Unix(60*leaderboard.MaxMinute+60, 0), leaderboard.MaxMinute},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), leaderboard.MaxMinute},
	} {
		if got := leaderboard.Minute(c.time); got != c.want {
			t.Errorf("%s: got %d, want %d", c.time, got, c.want)
		}
	}
}

func TestSizesOutOfRangeAreNamed(t *testing.T) {
	for _, c := range []struct {
		top, around int
		codes       []string
	}{
		{1, 0, nil},
		{leaderboard.MaxTop, leaderboard.MaxAround, nil},
		{0, 0, []string{"top_out_of_range"}},
		{leaderboard.MaxTop + 1, 0, []string{"top_out_of_range"}},
		{1, -1, []string{"around_out_of_range"}},
		{1, leaderboard.MaxAround + 1, []string{"around_out_of_range"}},
		{-1, -1, []string{"top_out_of_range", "around_out_of_range"}},
	} {
		err := leaderboard.CheckSizes(c.top, c.around)
		var invalid *domain.InvalidError
		if errors.As(err, &invalid) != (c.codes != nil) || (err != nil) != (c.codes != nil) {
			t.Errorf("top %d, around %d: got error %v, want %v", c.top, c.around, err, c.codes)
			continue
		}
		for i, code := range c.codes {
			if len(invalid.Fields) != len(c.codes) || invalid.Fields[i].Code != code {
				t.Errorf("top %d, around %d: got %+v, want %v", c.top, c.around, invalid.Fields, c.codes)
			}
		}
	}
}

func TestABatchWithChangesMovesTheCheckpoint(t *testing.T) {
	at := func(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }
	some := []leaderboard.Change{{Points: 1}}
	for _, c := range []struct {
		batch leaderboard.Batch
		valid bool
	}{
		{leaderboard.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(6)), Changes: some}, true},
		{leaderboard.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(domain.Position{Commit: 5, Prepare: 6}), Changes: some}, true},
		{leaderboard.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(6))}, true},
		{leaderboard.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(5))}, true},
		{leaderboard.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(5)), Changes: some}, false},
		{leaderboard.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(4))}, false},
		{leaderboard.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(domain.Position{Commit: 5, Prepare: 4})}, false},
	} {
		if err := c.batch.Validate(); (err == nil) != c.valid || (err != nil && !errors.Is(err, domain.ErrInvalid)) {
			t.Errorf("%+v: got error %v, valid should be %v", c.batch, err, c.valid)
		}
	}
}
