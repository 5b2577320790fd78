package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// A standby that takes over may be behind, and what the former primary had is no longer there.
func TestProgressForgetsWhatIsNoLongerThere(t *testing.T) {
	p := ledger.NewProgress()
	position := func(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }
	there := uint64(10)
	checkpoint := func(context.Context) (domain.Checkpoint, error) {
		end := p.BeginRead()
		end(position(there))
		return domain.CheckpointAt(position(there)), nil
	}
	wait := func(n uint64) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return p.Wait(ctx, position(n), time.Millisecond, checkpoint)
	}
	if err := wait(10); err != nil {
		t.Fatal(err)
	}
	there = 8
	if _, err := checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := wait(10); !errors.Is(err, domain.ErrNotCaughtUp) {
		t.Errorf("waiting for what is gone: got %v, want domain.ErrNotCaughtUp", err)
	}
	if err := wait(8); err != nil {
		t.Errorf("waiting for what is there: %v", err)
	}
	there = 11
	if err := wait(10); err != nil {
		t.Errorf("waiting for what is there again: %v", err)
	}

	// What was read before this process moved the ledger says nothing of it afterwards.
	late := p.BeginRead()
	p.Reach(position(12))
	late(position(11))
	if at, _ := p.Current(); at != position(12) {
		t.Errorf("a read from before the last batch set it back to %s", at)
	}
}
