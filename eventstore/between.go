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
// lasts. It ends with deliver's error, with those of Follow, and when the store refuses for good, as where the log is damaged.
func (s *Store) Between(ctx context.Context, after domain.Checkpoint, until domain.Position, types []string, deliver func(Recorded) error) (domain.Checkpoint, error) {
	wanted, err := s.registry.familiesOf(types)
	if err != nil {
		return after, err
	}
	return s.between(ctx, after, until, wanted, nil, func(e *esdb.RecordedEvent) error {
		recorded, err := s.registry.decode(e)
		if err != nil {
			return err
		}
		return deliver(recorded)
	})
}

// between ends before until, without an error, if deliver returns errReached. It tells looked, if that is not nil, how far the server has looked, at
// most until.
func (s *Store) between(ctx context.Context, after domain.Checkpoint, until domain.Position, wanted families, looked func(domain.Position), deliver func(*esdb.RecordedEvent) error) (domain.Checkpoint, error) {
	if !after.Position.Before(until) {
		return after, nil
	}
	f := upTo(until, after, wanted, deliver)
	if looked != nil {
		f.looked = func(at domain.Position) {
			if at.Before(until) {
				looked(at)
			}
		}
	}
	if err := s.follow(ctx, f); !errors.Is(err, errReached) {
		return f.at, err
	}
	f.at.Position = until
	return f.at, nil
}

// errReached ends a subscription that has reached what it was for.
var errReached = errors.New("the position asked for is reached")

// upTo is a subscription that ends with errReached at a position.
func upTo(until domain.Position, after domain.Checkpoint, wanted families, deliver func(*esdb.RecordedEvent) error) *subscription {
	f := &subscription{at: after, families: wanted}
	f.event = func(e *esdb.RecordedEvent, at domain.Checkpoint) error {
		if until.Before(at.Position) {
			return errReached
		}
		if err := deliver(e); err != nil {
			return err
		}
		if f.at = at; at.Position == until {
			return errReached
		}
		return nil
	}
	f.notice = func(item Item) error {
		switch {
		case !item.At.Position.Before(until):
			return errReached
		case errors.Is(item.Lost, errRefused):
			return item.Lost
		case item.CaughtUp:
			return fmt.Errorf("%w: it ends at position %s and was at %s", domain.ErrWrongLog, item.At.Position, until)
		}
		return nil
	}
	return f
}
