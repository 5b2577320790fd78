package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/domain"
)

// Between delivers the events of the given types after a checkpoint and up to a position that the log has reached, in the order of the log, each
// once. When there are no more it returns the checkpoint there, with the Fold of the first. A lost connection is restored for as long as ctx
// lasts. It ends with deliver's error, and with those of Follow.
func (s *Store) Between(ctx context.Context, after domain.Checkpoint, until domain.Position, types []string, deliver func(Recorded) error) (domain.Checkpoint, error) {
	return s.between(ctx, after, until, types, func(e *esdb.RecordedEvent) error {
		recorded, err := s.decoded(e)
		if err != nil {
			return err
		}
		return deliver(*recorded)
	})
}

func (s *Store) between(ctx context.Context, after domain.Checkpoint, until domain.Position, types []string, deliver func(*esdb.RecordedEvent) error) (domain.Checkpoint, error) {
	reached := after
	if !after.Position.Before(until) {
		return reached, nil
	}
	wanted, err := s.registry.familiesOf(types)
	if err != nil {
		return reached, err
	}
	err = s.follow(ctx, &subscription{at: after, families: wanted,
		event: func(e *esdb.RecordedEvent, at domain.Checkpoint) error {
			if until.Before(at.Position) {
				reached.Log = at.Log
				return errReached
			}
			if err := deliver(e); err != nil {
				return err
			}
			return reachedAt(&reached, at, until)
		},
		notice: func(item Item) error {
			if item.CaughtUp && item.At.Position.Before(until) {
				return fmt.Errorf("%w: it ends at position %s and was at %s", domain.ErrWrongLog, item.At.Position, until)
			}
			if until.Before(item.At.Position) {
				if item.CaughtUp {
					reached.Log, reached.Last = item.At.Log, item.At.Last
				}
				return errReached
			}
			return reachedAt(&reached, item.At, until)
		},
	})
	if errors.Is(err, errReached) {
		reached.Position = until
		return reached, nil
	}
	return reached, err
}

// reachedAt moves reached, and ends the reading with errReached when that is where to.
func reachedAt(reached *domain.Checkpoint, at domain.Checkpoint, until domain.Position) error {
	*reached = at
	if at.Position == until {
		return errReached
	}
	return nil
}

var errReached = errors.New("the position asked for is reached")
