package eventstore

import (
	"context"
	"errors"

	"loyalty/domain"
)

// Between delivers the events of the given types after one position and not after another that the log has reached, in
// the order of the log, each once, and returns nil when there are no more. Like Follow it takes a lost connection up
// again, for as long as ctx lasts, and ends with deliver's error or domain.ErrUndecodable.
func (s *Store) Between(ctx context.Context, after, until domain.Position, types []string, deliver func(Recorded) error) error {
	if !after.Before(until) {
		return nil
	}
	err := s.Follow(ctx, after, types, func(item Item) error {
		switch {
		case item.CaughtUp:
			return errReached
		case item.Checkpoint != nil && !item.Checkpoint.Before(until):
			return errReached
		case item.Event == nil:
			return nil
		case until.Before(item.Event.Position):
			return errReached
		}
		if err := deliver(*item.Event); err != nil {
			return err
		}
		if item.Event.Position == until {
			return errReached
		}
		return nil
	})
	if errors.Is(err, errReached) {
		return nil
	}
	return err
}

var errReached = errors.New("the end of what was asked for is reached")
