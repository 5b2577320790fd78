package eventstore

import (
	"cmp"
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

// lookBack is how many events at the end of the log are looked through for one of some types. The client can't filter a read; a subscription can.
const lookBack = 4096

// Ping asks the store for the log's last event. If that fails it is domain.ErrUnavailable, with what to look at.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.End(ctx)
	return advised(err)
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
	err = s.readBack(ctx, esdb.End{}, count, func(e *esdb.RecordedEvent) (bool, error) {
		end = position(e.Position)
		return !wanted.has(e.EventType), nil
	})
	return end, err
}

// LastEvent is the log's last event, whosever it is; zero for an empty log.
func (s *Store) LastEvent(ctx context.Context) (last domain.EventRef, err error) {
	err = s.readBack(ctx, esdb.End{}, 1, func(e *esdb.RecordedEvent) (bool, error) {
		last = refOf(e)
		return false, nil
	})
	return last, err
}

// CountAfter counts the events of the given types after a checkpoint, at most limit. It reads them, so limit bounds the work. With an error, also
// that of a ctx that ended meanwhile, comes the number counted by then.
func (s *Store) CountAfter(ctx context.Context, after domain.Checkpoint, types []string, limit int) (count int, err error) {
	wanted, err := s.registry.familiesOf(types)
	if err != nil || limit < 1 {
		return 0, err
	}
	end, err := s.End(ctx)
	if err != nil || !after.Position.Before(end) {
		return 0, err
	}
	f := upTo(end, after, wanted, func(*esdb.RecordedEvent) error {
		if count++; count == limit {
			return errReached
		}
		return nil
	})
	if err = cmp.Or(s.subscribe(ctx, f), f.failed); errors.Is(err, errReached) {
		err = nil
	}
	return count, err
}

// Extent is the first and the last event of the log of types that the registry knows. It is false if there is none. If none is among the last 4,096
// events of the log, those of other applications not least, it reads all events of these types, and tells looked now and then how far it is on the way to
// the end.
func (s *Store) Extent(ctx context.Context, looked func(at, end domain.Position)) (first, last Recorded, found bool, err error) {
	known := s.registry.allFamilies()
	end, err := s.End(ctx)
	if err != nil {
		return first, last, false, err
	}
	var oldest, newest *esdb.RecordedEvent
	if err = s.readBack(ctx, esdb.End{}, lookBack, func(e *esdb.RecordedEvent) (more bool, err error) {
		if !known.has(e.EventType) {
			return true, nil
		}
		if _, err := s.registry.decode(e); err != nil {
			return s.isQuarantined(ctx, e.EventID, err)
		}
		newest = e
		return false, nil
	}); err != nil {
		return first, last, false, err
	}
	near := newest != nil
	if _, err = s.between(ctx, domain.Checkpoint{}, end, known, func(at domain.Position) { looked(at, end) }, func(e *esdb.RecordedEvent) error {
		if oldest == nil {
			oldest = e
		}
		if near {
			return errReached
		}
		newest = e
		return nil
	}); err != nil || oldest == nil {
		return first, last, false, err
	}
	if first, err = s.registry.decode(oldest); err == nil {
		last, err = s.registry.decode(newest)
	}
	return first, last, err == nil, err
}

// FirstStream is the stream of the log's first event of the given types that is not quarantined; empty if there is none.
func (s *Store) FirstStream(ctx context.Context, types ...string) (stream string, err error) {
	wanted, err := s.registry.familiesOf(types)
	if err != nil {
		return "", err
	}
	end, err := s.End(ctx)
	if err != nil || end == (domain.Position{}) {
		return "", err
	}
	f := upTo(end, domain.Checkpoint{}, wanted, func(e *esdb.RecordedEvent) error {
		stream = e.StreamID
		return errReached
	})
	if err = cmp.Or(s.subscribe(ctx, f), f.failed); errors.Is(err, errReached) {
		err = nil
	}
	if err != nil {
		return "", fmt.Errorf("find the first event: %w", err)
	}
	return stream, nil
}

// AppendEnd is the position of the last event of the append that the event at a position belongs to. One command appends once, and
// its events follow each other in the log. For a position without an event of this program it is the position itself.
func (s *Store) AppendEnd(ctx context.Context, at domain.Position) (domain.Position, error) {
	if at == (domain.Position{}) {
		return at, nil
	}
	known := s.registry.allFamilies()
	var last Recorded
	err := s.readFrom(ctx, at, math.MaxUint64, func(e *esdb.RecordedEvent) (bool, error) {
		first := position(e.Position) == at
		if !known.has(e.EventType) || !first && (e.StreamID != last.Stream || e.EventNumber != last.Revision+1) {
			return false, nil
		}
		recorded, err := s.registry.decode(e)
		if err != nil {
			_, err := s.isQuarantined(ctx, e.EventID, err)
			return false, err
		}
		if cause := recorded.Metadata.Causation; !first && (cause == "" || cause != last.Metadata.Causation) {
			return false, nil
		}
		last = recorded
		return true, nil
	})
	if last.Event == nil {
		return at, err
	}
	return last.Position, err
}

// readBack is readAll backwards.
func (s *Store) readBack(ctx context.Context, from esdb.AllPosition, count uint64, yield func(*esdb.RecordedEvent) (more bool, err error)) error {
	return s.reads.do(ctx, "read the end of the log", func(ctx context.Context, client *esdb.Client) error {
		return readAll(ctx, client, esdb.ReadAllOptions{Direction: esdb.Backwards, From: from}, count, yield)
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
