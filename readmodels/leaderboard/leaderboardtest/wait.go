package leaderboardtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var waitClauses = []clause{
	{"waiting for what is reached ends at once", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		for _, position := range []domain.Position{{}, at(99), at(100), {Commit: 100, Prepare: 99}} {
			if err := b.Wait(b.ctx, position); err != nil {
				t.Errorf("position %s: %v", position, err)
			}
		}
	}},
	{"waiting ends with the batch that reaches the position, not before", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		results := make(chan error)
		wanted := []domain.Position{at(110), at(111), at(120), {Commit: 120, Prepare: 121}, at(130), at(140), at(141), at(150)}
		for _, position := range wanted {
			go func() { results <- reaches(b, position) }()
		}
		for range 5 {
			b.apply(change(ann, 1, 6))
		}
		for range wanted {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	}},
	{"a batch short of the position ends nobody's waiting", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter)
		for range 100 {
			ctx, cancel := context.WithCancel(b.ctx)
			result := make(chan error)
			go func() { result <- b.Wait(ctx, at(1<<40)) }()
			b.apply()
			cancel()
			if err := <-result; !errors.Is(err, domain.ErrNotCaughtUp) {
				t.Fatalf("got error %v, want %v", err, domain.ErrNotCaughtUp)
			}
		}
	}},
	{"waiting never misses the batch that comes at the same moment", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter)
		result := make(chan error)
		for range 300 {
			position := b.next().To
			go func() { result <- reaches(b, position.Position) }()
			b.apply()
			if err := <-result; err != nil {
				t.Fatal(err)
			}
		}
	}},
	{"waiting ends with a batch without changes", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter)
		result := make(chan error)
		go func() { result <- reaches(b, at(110)) }()
		b.apply()
		if err := <-result; err != nil {
			t.Error(err)
		}
	}},
	{"waiting ends with the load that reaches the position", func(t *testing.T, adapter Adapter) {
		b := &board{reporter: t, Adapter: adapter, ctx: t.Context()}
		results := make(chan error)
		for _, position := range []domain.Position{{}, at(100), at(200)} {
			go func() { results <- reaches(b, position) }()
		}
		b.load(leaderboard.State{Position: at(100), AsOf: start}, standing(ann, 10, 5))
		b.load(leaderboard.State{Position: at(200), AsOf: start}, standing(ann, 11, 5))
		for range 3 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	}},
	{"who waits in vain learns that it has not caught up", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		for _, position := range []domain.Position{{Commit: 100, Prepare: 101}, at(101)} {
			waitsInVain(t, b, position)
		}
	}},
	{"before the first load everybody waits in vain", func(t *testing.T, adapter Adapter) {
		waitsInVain(t, &board{reporter: t, Adapter: adapter, ctx: t.Context()}, domain.Position{})
	}},
	{"what one waited for can then be read", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5))
		batches := history(b, 40)
		model := NewModel(b.model.Standings()...)
		result := make(chan error)
		go func() {
			_, err := project(b, batches)
			result <- err
		}()
		for _, batch := range batches {
			if err := b.Wait(b.ctx, batch.To.Position); err != nil {
				t.Fatal(err)
			}
			if err := model.Apply(batch.Changes...); err != nil {
				t.Fatal(err)
			}
			if d := b.dashboard(ann, 1, 0); d.Position.Before(batch.To.Position) {
				t.Fatalf("waited for %s, then read %s", batch.To, d.Position)
			}
		}
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		b.model, b.state = model, leaderboard.State{Position: batches[39].To.Position, AsOf: batches[39].AsOf}
		b.agrees()
	}},
}

// timeout bounds how long a test waits for something that must happen.
const timeout = 30 * time.Second

// reaches waits for a position, and then expects the board to have reached it.
func reaches(b *board, position domain.Position) error {
	ctx, cancel := context.WithTimeout(b.ctx, timeout)
	defer cancel()
	if err := b.Wait(ctx, position); err != nil {
		return err
	}
	checkpoint, err := b.Checkpoint(ctx)
	if err == nil && checkpoint.Position.Before(position) {
		return fmt.Errorf("waiting for %s ended at %s", position, checkpoint)
	}
	return err
}

func waitsInVain(t *testing.T, b *board, position domain.Position) {
	t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	result := make(chan error)
	go func() { result <- b.Wait(ctx, position) }()
	cancel()
	if err := <-result; !errors.Is(err, domain.ErrNotCaughtUp) {
		t.Errorf("position %s: got error %v, want %v", position, err, domain.ErrNotCaughtUp)
	}
	ctx, cancel = context.WithTimeout(b.ctx, time.Millisecond)
	defer cancel()
	if err := b.Wait(ctx, position); !errors.Is(err, domain.ErrNotCaughtUp) {
		t.Errorf("position %s: got error %v, want %v", position, err, domain.ErrNotCaughtUp)
	}
}
