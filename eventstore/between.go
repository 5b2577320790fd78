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
	return s.between(ctx, after, until, types, nil, func(r *Recorded) error { return deliver(*r) })
}

// BetweenUndecoded is Between for those who read events faster than a registry does, since they need little of each: Event and
// Metadata are empty until Decode fills them in. What is delivered is valid during the call only; a copy of it stays.
func (s *Store) BetweenUndecoded(ctx context.Context, after, until domain.Position, types []string, deliver func(*Recorded) error) error {
	return s.between(ctx, after, until, types, &Recorded{}, deliver)
}

// Decode fills in the Event and the Metadata of what BetweenUndecoded delivered. The error is domain.ErrUndecodable with the position.
func (s *Store) Decode(r *Recorded) error { return s.registry.complete(r) }

func (s *Store) between(ctx context.Context, after, until domain.Position, types []string, stored *Recorded, deliver func(*Recorded) error) error {
	if !after.Before(until) {
		return nil
	}
	names, err := s.registry.storedNames(types)
	if err != nil {
		return err
	}
	err = s.follow(ctx, &follower{store: s, at: after, names: names, stored: stored, deliver: func(item Item) error {
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
		if err := deliver(item.Event); err != nil {
			return err
		}
		if item.Event.Position == until {
			return errReached
		}
		return nil
	}})
	if errors.Is(err, errReached) {
		return nil
	}
	return err
}

var errReached = errors.New("the end of what was asked for is reached")
