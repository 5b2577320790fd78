package projections

import (
	"context"
	"fmt"
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
