package eventstore

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/domain"
)

// First is the first event of the log, of whatever type the registry knows, and Last the last one: false if there is none.
func (s *Store) First(ctx context.Context) (first Recorded, found bool, err error) {
	err = s.scan(ctx, esdb.Forwards, esdb.Start{}, func(r Recorded) bool {
		first, found = r, true
		return false
	})
	return first, found, err
}

// Last is the last event of the log, of whatever type the registry knows: false if there is none.
func (s *Store) Last(ctx context.Context) (last Recorded, found bool, err error) {
	err = s.scan(ctx, esdb.Backwards, esdb.End{}, func(r Recorded) bool {
		last, found = r, true
		return false
	})
	return last, found, err
}

// AppendEnd is the position of the last event of the append that the event at a position belongs to, which is the position itself
// unless it is in the middle of one. A position without an event is in none. One command appends once, and what it appends
// stands together.
func (s *Store) AppendEnd(ctx context.Context, at domain.Position) (domain.Position, error) {
	end := at
	if at == (domain.Position{}) {
		return end, nil
	}
	var before *Recorded
	err := s.scan(ctx, esdb.Forwards, esdb.Position{Commit: at.Commit, Prepare: at.Prepare}, func(r Recorded) bool {
		same := r.Position == at || before != nil && r.Metadata.Causation != "" &&
			before.Metadata.Causation == r.Metadata.Causation && before.Stream == r.Stream && before.Revision+1 == r.Revision
		if same {
			before, end = &r, r.Position
		}
		return same
	})
	return end, err
}

// scan reads the events of known types until yield is false.
func (s *Store) scan(ctx context.Context, direction esdb.Direction, from esdb.AllPosition, yield func(Recorded) bool) error {
	return s.reads.do(ctx, "read the log", func(ctx context.Context, client *esdb.Client) error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		stream, err := client.ReadAll(ctx, esdb.ReadAllOptions{Direction: direction, From: from}, math.MaxUint64)
		if err != nil {
			return err
		}
		defer stream.Close()
		for {
			event, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := s.registry.current(event.OriginalEvent().EventType); err != nil {
				continue // the server's own
			}
			recorded, err := s.registry.decode(event.OriginalEvent())
			if err != nil {
				return err
			}
			if !yield(recorded) {
				return nil
			}
		}
	})
}
