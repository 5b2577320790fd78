package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"loyalty/domain"
)

// Log is what the log says of itself, in a stream of its own: the log's first events may be another application's, and deleted.
type Log struct {
	// ID is the id of the fact that this program began to use the log. No other log has it.
	ID string
	// Quarantined are the events that count as if they had never been stored, in the order of the decisions.
	Quarantined []Quarantined
	// revision is that of the stream.
	revision int64
}

// logStream holds facts about the log itself. They are not domain events: they concern no customer.
const logStream = "loyalty-log"

// The types of the facts in logStream.
const (
	typeLogBegun         = "log-begun.v1"
	typeEventQuarantined = "event-quarantined.v1"
)

// BeginLog is Log for those who write: a log in which this program has never written gets its id now.
func (s *Store) BeginLog(ctx context.Context) (log Log, err error) {
	id := uuid.New()
	err = s.RetryWrongRevision(ctx, func() error {
		if log, err = s.Log(ctx); err != nil || log.ID != "" {
			return err
		}
		log = Log{ID: id.String()}
		return s.AppendJSON(ctx, logStream, NoStream, id, typeLogBegun, []byte("{}"))
	})
	return log, err
}

// Log reads what the log says of itself. A log in which this program has never written has no id. Errors are domain.ErrUnavailable and
// domain.ErrUndecodable.
func (s *Store) Log(ctx context.Context) (Log, error) {
	log := Log{revision: NoStream}
	facts, err := s.stored(ctx, "read the log's own facts", logStream)
	for _, e := range facts {
		if err := log.add(e); err != nil {
			return log, fmt.Errorf("%w: fact %d about the log: %w", domain.ErrUndecodable, e.EventNumber, err)
		}
	}
	return log, err
}

func (l *Log) add(e *esdb.RecordedEvent) error {
	l.revision = int64(e.EventNumber)
	switch {
	case l.ID == "" && e.EventType == typeLogBegun:
		l.ID = e.EventID.String()
	case l.ID != "" && e.EventType == typeEventQuarantined:
		var q Quarantined
		if err := json.Unmarshal(e.Data, &q); err != nil {
			return err
		}
		l.Quarantined = append(l.Quarantined, q)
	default:
		return fmt.Errorf("an event of type %q is not expected there; a newer version of the program may have written it", e.EventType)
	}
	return nil
}

// CheckCheckpoint compares a checkpoint with the log. One of another log, beyond the end of this one, or behind another event than the one it names,
// is domain.ErrWrongLog.
func (s *Store) CheckCheckpoint(ctx context.Context, at domain.Checkpoint) error {
	_, _, _, err := s.check(ctx, at, nil, false)
	return err
}

// check compares a checkpoint with the log and completes it: what an earlier version of the program stored gets the log's id and the last
// event of the families at or before its position. A log that has no id gets one only if begins; who only reads a log writes nothing to it. The
// answer has the end of the log. A checkpoint of another log, beyond the end of this one, or behind another event than the one it names, is domain.ErrWrongLog.
func (s *Store) check(ctx context.Context, at domain.Checkpoint, families families, begins bool) (domain.Checkpoint, Log, domain.Position, error) {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: it reflects the log up to position %s, and %s. Either this is another event store than it was folded from, "+
			"or that was restored from a backup. Check the address; if the address is right, `loyalty rebuild --help` says how to fold the read model from nothing",
			domain.ErrWrongLog, at.Position, fmt.Sprintf(format, args...))
	}
	end, err := s.End(ctx)
	if err != nil {
		return at, Log{}, end, err
	}
	if end.Before(at.Position) {
		return at, Log{}, end, wrong("this log ends at position %s", end)
	}
	log, err := s.Log(ctx)
	if err != nil {
		return at, log, end, err
	}
	if at.Log != "" && at.Log != log.ID {
		return at, log, end, wrong("this is another log: its id is %q instead of %q", log.ID, at.Log)
	}
	if log.ID == "" && begins {
		if log, err = s.BeginLog(ctx); err != nil {
			return at, log, end, err
		}
	}
	switch {
	case at.Last != domain.EventRef{}:
		found, err := s.eventAt(ctx, at.Last.Position)
		if err != nil {
			return at, log, end, err
		}
		if found == nil || found.EventID.String() != at.Last.ID {
			return at, log, end, wrong("the event %s is not at position %s of this log", at.Last.ID, at.Last.Position)
		}
	case at.Log == "" && at.Position != domain.Position{} && len(families) > 0:
		if at.Last, err = s.lastOf(ctx, at.Position, families); err != nil {
			return at, log, end, err
		}
	}
	at.Log = log.ID
	return at, log, end, nil
}

// eventAt is the event at a position, nil if there is none.
func (s *Store) eventAt(ctx context.Context, at domain.Position) (found *esdb.RecordedEvent, err error) {
	err = s.readFrom(ctx, at, 1, func(e *esdb.RecordedEvent) (bool, error) {
		if position(e.Position) == at {
			found = e
		}
		return false, nil
	})
	return found, err
}

// readFrom reads at most count events from a position on, none if no event begins there.
func (s *Store) readFrom(ctx context.Context, at domain.Position, count uint64, yield func(*esdb.RecordedEvent) (more bool, err error)) error {
	o := esdb.ReadAllOptions{Direction: esdb.Forwards, From: esdb.Position{Commit: at.Commit, Prepare: at.Prepare}}
	err := s.reads.do(ctx, "read the log from "+at.String(), func(ctx context.Context, client *esdb.Client) error {
		return readAll(ctx, client, o, count, yield)
	})
	if ctx.Err() == nil && isNoPosition(err) {
		return nil
	}
	return err
}

// isNoPosition tells whether a server has refused to read from a position because no event begins there. Later versions than EventStoreDB 23.10
// say just that. In 23.10, the same words stand for any page of the log that can't be read: they count when they have come at each of the attempts.
func isNoPosition(err error) bool {
	answer, _ := status.FromError(err)
	switch answer.Code() {
	case codes.InvalidArgument:
		return strings.Contains(answer.Message(), "invalid position")
	case codes.Unknown:
		return strings.Contains(answer.Message(), "Unexpected ReadAllResult: Error")
	}
	return false
}

// lastOf is the last event of some families at or before a position. It is zero if others have filled the 4,096 events there: a subscription then
// begins at the start of the log, and passes over what was delivered.
func (s *Store) lastOf(ctx context.Context, at domain.Position, families families) (last domain.EventRef, err error) {
	there, err := s.eventAt(ctx, at)
	if err != nil {
		return last, err
	}
	var from esdb.AllPosition = esdb.End{} // if the event at the position is gone, a server may refuse to read from there
	if there != nil {
		if families.has(there.EventType) {
			return refOf(there), nil
		}
		from = esdb.Position{Commit: at.Commit, Prepare: at.Prepare}
	}
	err = s.readBack(ctx, from, lookBack, func(e *esdb.RecordedEvent) (bool, error) {
		if !families.has(e.EventType) || at.Before(position(e.Position)) {
			return true, nil
		}
		last = refOf(e)
		return false, nil
	})
	return last, err
}

func refOf(e *esdb.RecordedEvent) domain.EventRef {
	return domain.EventRef{Position: position(e.Position), ID: e.EventID.String()}
}

// stored are the events of a stream as they are stored, none if there is no such stream.
func (s *Store) stored(ctx context.Context, what, stream string) ([]*esdb.RecordedEvent, error) {
	return s.readStream(ctx, what, stream, esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Start{}}, math.MaxUint64)
}

func (s *Store) readStream(ctx context.Context, what, stream string, o esdb.ReadStreamOptions, count uint64) (events []*esdb.RecordedEvent, err error) {
	err = s.reads.do(ctx, what, func(ctx context.Context, client *esdb.Client) error {
		events = nil
		read, err := client.ReadStream(ctx, stream, o, count)
		if err != nil {
			return err
		}
		defer read.Close()
		for {
			resolved, err := read.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			events = append(events, resolved.OriginalEvent())
		}
	})
	if errors.Is(err, domain.ErrNotFound) {
		return nil, nil
	}
	return events, err
}
