package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var waitClauses = []clause{
	{"waiting for what is there returns at once", func(f *fixture) {
		if err := f.Wait(f.ctx, domain.Position{}); err != nil {
			f.Fatalf("for the start of the log: %v", err)
		}
		f.add(award(5, "anna", 1))
		for _, position := range []domain.Position{{}, at(1), at(5)} {
			if err := f.Wait(f.ctx, position); err != nil {
				f.Errorf("for %s: %v", position, err)
			}
		}
		if err := f.another().Wait(f.ctx, at(5)); err != nil {
			f.Errorf("in another handle: %v", err)
		}
	}},

	{"waiting ends when the batch is applied, here or elsewhere, and not before", func(f *fixture) {
		other := f.another()
		var sent atomic.Int64
		wait := func(l Ledger, n uint64) func() error {
			return func() error {
				if err := l.Wait(f.ctx, at(n)); err != nil {
					return err
				}
				if got := sent.Load(); got < int64(n) {
					return fmt.Errorf("waiting for %d ended at %d", n, got)
				}
				if reached, err := l.Checkpoint(f.ctx); err != nil || reached.Position.Before(at(n)) {
					return fmt.Errorf("after waiting for %s the checkpoint is %s, %v", at(n), reached, err)
				}
				return nil
			}
		}
		waiters := []func() error{func() error {
			for n := uint64(1); n <= 30; n++ {
				sent.Store(int64(n))
				if err := f.Apply(f.ctx, ledger.Batch{From: domain.CheckpointAt(f.model.State().Position), To: domain.CheckpointAt(at(n))}); err != nil {
					return err
				}
				if err := f.model.Apply(ledger.Batch{From: domain.CheckpointAt(f.model.State().Position), To: domain.CheckpointAt(at(n))}); err != nil {
					return err
				}
			}
			return nil
		}}
		for n := uint64(1); n <= 30; n++ {
			waiters = append(waiters, wait(f.Ledger, n), wait(other, n))
		}
		f.together(waiters...)
	}},

	{"waiting for what does not come ends with the context", func(f *fixture) {
		f.add(award(5, "anna", 1))
		short, cancel := context.WithTimeout(f.ctx, 50*time.Millisecond)
		defer cancel()
		for _, position := range []domain.Position{{Commit: 5, Prepare: 5}, at(6), {Commit: 1 << 63, Prepare: 1 << 63}} {
			if err := f.Wait(short, position); !errors.Is(err, domain.ErrNotCaughtUp) || !errors.Is(err, context.DeadlineExceeded) {
				f.Errorf("for %s: %v", position, err)
			}
		}
		f.equalsModel()
	}},

	{"waiting with an ended context says not caught up", func(f *fixture) {
		ended, cancel := context.WithCancel(f.ctx)
		cancel()
		if err := f.Wait(ended, at(1)); !errors.Is(err, domain.ErrNotCaughtUp) {
			f.Fatalf("got %v", err)
		}
	}},
}
