package projections

import (
	"context"
	"fmt"

	"loyalty/domain"
)

// apply commits a batch and moves the checkpoint to its end, in one step of the read model.
func (s *session) apply(ctx context.Context, batch Batch) error {
	if len(batch.Events) == 0 && batch.To == batch.From && batch.AsOf.IsZero() {
		return nil
	}
	if err := s.projection.Apply(ctx, batch); err != nil {
		return fmt.Errorf("apply %d events from position %s to %s: %w", len(batch.Events), batch.From, batch.To, err)
	}
	s.at = batch.To
	s.update(func(status *Status) {
		status.Stopped, s.Runner.at = nil, batch.To
		status.Applied += uint64(len(batch.Events))
		if batch.AsOf.After(status.AsOf) {
			status.AsOf = batch.AsOf
		}
	})
	return nil
}

// confirm looks for events of the projection's types after the checkpoint. If there are none, the projection is complete up to the end of the
// log, and its checkpoint moves there: a reader may wait for the position of an event of another type.
func (s *session) confirm(ctx context.Context) error {
	asked := s.options.Now()
	end, err := s.store.End(ctx)
	behind := 0
	if err == nil {
		s.update(func(status *Status) { status.End = end })
		behind, err = s.store.CountAfter(ctx, s.at, s.projection.Types(), 1)
	}
	if err != nil {
		s.options.Logger.Warn("a projection can't tell whether it is complete", "projection", s.projection.Name(), "error", err)
		return nil
	}
	if behind > 0 {
		return nil
	}
	to := s.at
	if to.Position.Before(end) {
		to.Position = end
	}
	return s.apply(ctx, Batch{From: s.at, To: to, AsOf: asked})
}

// reach moves a checkpoint to one that the subscription gave, unless confirm has found the projection complete beyond it.
func (s *session) reach(to *domain.Checkpoint, at domain.Checkpoint) {
	if !at.Position.Before(to.Position) {
		at.Fold, at.Names = s.projection.Fold(), s.projection.Names()
		*to = at
	}
}
