package eventstore

import (
	"context"
	"errors"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/domain"
)

// Between delivers the events of the given types after one position and up to another that the log has reached, in the order of
// the log, each once, and returns nil when there are no more. A lost connection is restored for as long as ctx lasts. It ends with
// deliver's error, or with domain.ErrUndecodable at an event that can't be decoded.
func (s *Store) Between(ctx context.Context, after, until domain.Position, types []string, deliver func(Recorded) error) error {
	return s.between(ctx, after, until, types, func(e *esdb.RecordedEvent) error {
		recorded, err := s.decoded(e)
		if err != nil {
			return err
		}
		return deliver(*recorded)
	})
}

func (s *Store) between(ctx context.Context, after, until domain.Position, types []string, deliver func(*esdb.RecordedEvent) error) error {
	if !after.Before(until) {
		return nil
	}
	names, err := s.registry.storedNames(types)
	if err != nil {
		return err
	}
	err = s.follow(ctx, &subscription{at: after, names: names,
		event: func(e *esdb.RecordedEvent) error {
			at := position(e.Position)
			if until.Before(at) {
				return errReached
			}
			if err := deliver(e); err != nil {
				return err
			}
			if at == until {
				return errReached
			}
			return nil
		},
		notice: func(item Item) error {
			if item.CaughtUp || item.Checkpoint != nil && !item.Checkpoint.Before(until) {
				return errReached
			}
			return nil
		},
	})
	if errors.Is(err, errReached) {
		return nil
	}
	return err
}

var errReached = errors.New("the position asked for is reached")
