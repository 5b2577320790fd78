package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"loyalty/domain"
)

// lookBack is how many events from the end of the log End looks through for one of the types it is given.
const lookBack = 4096

// Ping asks the store for the log's last event and returns domain.ErrUnavailable if that fails.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.End(ctx)
	return err
}

// End is the position of the log's last event, or, given types, of the last event of those types among the last 4,096 events.
// If none of these is of the types, it is the position of the oldest of them. It is zero for an empty log.
func (s *Store) End(ctx context.Context, types ...string) (domain.Position, error) {
	wanted, err := s.registry.familiesOf(types)
	if err != nil {
		return domain.Position{}, err
	}
	count := uint64(1)
	if len(wanted) > 0 {
		count = lookBack
	}
	var end domain.Position
	err = s.reads.do(ctx, "read the end of the log", func(ctx context.Context, client *esdb.Client) error {
		end = domain.Position{}
		return readAll(ctx, client, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, count, func(e *esdb.RecordedEvent) (bool, error) {
			end = position(e.Position)
			return !wanted.has(e.EventType), nil
		})
	})
	return end, err
}

// CountAfter counts the events of the given types after a position, at most limit. It reads them, so limit bounds the work. With the
// error of a ctx that ended meanwhile comes the number counted by then.
func (s *Store) CountAfter(ctx context.Context, after domain.Position, types []string, limit int) (int, error) {
	wanted, err := s.registry.familiesOf(types)
	if err != nil || limit < 1 {
		return 0, err
	}
	o := esdb.ReadAllOptions{Direction: esdb.Forwards, From: esdb.Start{}}
	if after != (domain.Position{}) {
		o.From = esdb.Position{Commit: after.Commit, Prepare: after.Prepare}
	}
	var count int
	err = s.reads.do(ctx, "count the events after "+after.String(), func(ctx context.Context, client *esdb.Client) error {
		count = 0
		return readAll(ctx, client, o, math.MaxUint64, func(e *esdb.RecordedEvent) (bool, error) {
			// Reading forwards begins with the event at the position, which is not after it.
			if wanted.has(e.EventType) && after.Before(position(e.Position)) {
				count++
			}
			return count < limit, nil
		})
	})
	return count, err
}

// First is the first event of the log of a type that the registry knows. It is false if there is none.
func (s *Store) First(ctx context.Context) (first Recorded, found bool, err error) {
	err = s.scan(ctx, esdb.Forwards, esdb.Start{}, func(r Recorded) bool {
		first, found = r, true
		return false
	})
	return first, found, err
}

// Last is the last event of the log of a type that the registry knows. It is false if there is none.
func (s *Store) Last(ctx context.Context) (last Recorded, found bool, err error) {
	err = s.scan(ctx, esdb.Backwards, esdb.End{}, func(r Recorded) bool {
		last, found = r, true
		return false
	})
	return last, found, err
}

// AppendEnd is the position of the last event of the append that the event at a position belongs to. One command appends once, and
// its events follow each other in the log. For a position without an event it is the position itself.
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

// scan decodes the events of known families, but for the quarantined ones, until yield is false.
func (s *Store) scan(ctx context.Context, direction esdb.Direction, from esdb.AllPosition, yield func(Recorded) bool) error {
	known := s.registry.allFamilies()
	return s.reads.do(ctx, "read the log", func(ctx context.Context, client *esdb.Client) error {
		return readAll(ctx, client, esdb.ReadAllOptions{Direction: direction, From: from}, math.MaxUint64, func(e *esdb.RecordedEvent) (bool, error) {
			if !known.has(e.EventType) {
				return true, nil
			}
			recorded, err := s.registry.decode(e)
			if err != nil {
				return s.isQuarantined(ctx, e.EventID, err)
			}
			return yield(recorded), nil
		})
	})
}

// errNotGranted: a secured server lets only administrators read the whole log, unless one of them has granted it to others.
var errNotGranted = errors.New("the user in the connection string may not read the whole log: " +
	"an administrator grants it once, by `loyalty eventstore grant --user NAME` (docs/operations.md says more)")

// readAll reads at most count events of the log, until yield is false or returns an error.
func readAll(ctx context.Context, client *esdb.Client, o esdb.ReadAllOptions, count uint64, yield func(*esdb.RecordedEvent) (more bool, err error)) (err error) {
	defer func() {
		if status.Code(err) == codes.PermissionDenied {
			err = fmt.Errorf("%w: %w", errNotGranted, err)
		}
	}()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := client.ReadAll(ctx, o, count)
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
		if more, err := yield(event.OriginalEvent()); err != nil || !more {
			return err
		}
	}
}
