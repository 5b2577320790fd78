// Package eventstore appends events to an event store and reads them back. It supervises the official EventStoreDB client,
// encodes and decodes domain events with a registry of their types, and follows the log; package topics offers it to Watermill.
// The server is a KurrentDB/EventStoreDB cluster or the one in package embedded.
package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"loyalty/domain"
)

// Recorded is an event as it stands in the log.
type Recorded struct {
	ID       uuid.UUID
	Stream   string
	Revision uint64
	// Position is the event's place in the log. A server may leave it out when a stream is read; Store.PositionOf then finds it.
	Position domain.Position
	// Created is when the server stored the event, UTC, to the microsecond. The event itself says when it happened.
	Created time.Time
	Event   domain.Event
	// Type is the name under which the event is stored. Event is of the newest version of that type. Data is the payload as it is
	// stored, and Stored the metadata as it is stored, which Metadata is decoded from.
	Type     string
	Data     []byte
	Stored   []byte
	Metadata Metadata
}

// Ref names the event.
func (r Recorded) Ref() domain.EventRef {
	return domain.EventRef{Position: r.Position, ID: r.ID.String()}
}

// Positioned tells whether Position is known.
func (r Recorded) Positioned() bool { return r.Position.Commit != unknownPosition }

// NoStream is the revision before a stream's first event.
const NoStream int64 = -1

// unknownPosition is the commit position that the protocol sends when the server does not give one.
const unknownPosition = math.MaxUint64

// Store appends to an event store and reads from it. It is safe for concurrent use.
type Store struct {
	registry *Registry
	// Each has a connection of its own, because a server may limit one to 100 concurrent calls. All but follows go to the leader of a
	// cluster.
	writes, reads, follows *connection
	subscriptions          atomic.Int64
}

// New is a store at the address that a connection string names: esdb://… or kurrentdb://…, either with +discover, or unix:///… for the embedded one.
// It connects when it is first used, so that the server may be away. A malformed connection string is domain.ErrInvalid.
func New(connectionString string, registry *Registry, o Options) (*Store, error) {
	o = o.withDefaults()
	s := &Store{registry: registry}
	for _, c := range []**connection{&s.writes, &s.reads, &s.follows} {
		connection, err := newConnection(connectionString, c == &s.follows, o)
		if err != nil {
			return nil, err
		}
		*c = connection
	}
	s.reads.notes = true
	return s, nil
}

// Open is New for those who go on only with a store that answers. A wrong address and a server older than 23.10 are found here, as
// domain.ErrUnavailable.
func Open(ctx context.Context, connectionString string, registry *Registry, o Options) (*Store, error) {
	s, err := New(connectionString, registry, o)
	if err != nil {
		return nil, err
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// advised adds to the error of a store that does not answer what to look at, unless it says that itself.
func advised(err error) error {
	switch {
	case !errors.Is(err, domain.ErrUnavailable) || errors.Is(err, errNotGranted) || errors.Is(err, errTooOld):
		return err
	case status.Code(err) == codes.Unauthenticated:
		return fmt.Errorf("%w; check the user and the password in the connection string", err)
	}
	return fmt.Errorf("%w; check the address, and whether the event store runs: of a cluster, more than half of its nodes", err)
}

// Close closes the connections. Calls in progress end with domain.ErrUnavailable. During an attempt to connect to a store that does
// not answer, Close waits for that attempt: at most the gossip timeout of the connection string, 5 s by default.
func (s *Store) Close() error {
	connections := []*connection{s.writes, s.reads, s.follows}
	for _, c := range connections {
		c.closing()
	}
	for _, c := range connections {
		c.wait()
	}
	return nil
}

// Subscriptions is how many subscriptions to the log this store has open.
func (s *Store) Subscriptions() int { return int(s.subscriptions.Load()) }

// Append adds all events to a stream or none, if the stream is at the expected revision (NoStream for a stream without events), and
// returns the position of the last. The ids of the events are EventID(command, i), so an append whose outcome is unknown can
// be repeated: the store then answers as it did the first time. A stream at another revision is domain.ErrWrongRevision. After
// domain.ErrUnavailable it is unknown whether the events were stored.
//
// A server that repeats its answer but can no longer read the events, because they are truncated or deleted by now, leaves the position out
// (EventStoreDB 23.10 and later). Append then returns the end of the log, which is at or behind it.
func (s *Store) Append(ctx context.Context, stream string, expected int64, command uuid.UUID, metadata Metadata, events ...domain.Event) (domain.Position, error) {
	data := make([]esdb.EventData, len(events))
	for i, event := range events {
		encoded, err := s.registry.Encode(event, metadata)
		if err != nil {
			return domain.Position{}, err
		}
		data[i] = esdb.EventData{
			EventID: EventID(command, i), EventType: event.EventType(), ContentType: esdb.ContentTypeJson,
			Data: encoded.Data, Metadata: encoded.Metadata,
		}
	}
	at, err := s.append(ctx, stream, expected, data)
	if err == nil && at == (domain.Position{}) {
		return s.End(ctx)
	}
	return at, err
}

// changeAttempts is how often a change of a stream is tried at most.
const changeAttempts = 10

// RetryWrongRevision calls change, which reads a stream and appends to it, until it returns anything but domain.ErrWrongRevision: another writer
// was faster, or the read was behind what the append was checked against, as after an election in a cluster. It pauses in between. After ten
// attempts, or when ctx ends, it is domain.ErrUnavailable.
func (s *Store) RetryWrongRevision(ctx context.Context, change func() error) error {
	for attempt := 1; ; attempt++ {
		err := change()
		if !errors.Is(err, domain.ErrWrongRevision) {
			return err
		}
		if attempt == changeAttempts || pause(ctx, s.writes.options.Backoff(attempt)) != nil {
			return fmt.Errorf("%w after %d attempts: %w", domain.ErrUnavailable, attempt, err)
		}
	}
}

// append appends events and returns the position of the last, zero if the server doesn't know it any more.
func (s *Store) append(ctx context.Context, stream string, expected int64, data []esdb.EventData) (domain.Position, error) {
	var at domain.Position
	err := s.writes.do(ctx, "append to "+redacted(stream), func(ctx context.Context, client *esdb.Client) error {
		result, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expectation(expected)}, data...)
		if err == nil {
			at = domain.Position{Commit: result.CommitPosition, Prepare: result.PreparePosition}
		}
		return err
	})
	return at, err
}

// AppendJSON appends an event that is none of the registry's. For errors see Append.
func (s *Store) AppendJSON(ctx context.Context, stream string, expected int64, id uuid.UUID, eventType string, data []byte) error {
	_, err := s.append(ctx, stream, expected, []esdb.EventData{{EventID: id, EventType: eventType, ContentType: esdb.ContentTypeJson, Data: data}})
	return err
}

// expectation is never nil: the client would take nil for Any, with which the store finds repeated ids only for some time.
func expectation(revision int64) esdb.ExpectedRevision {
	if revision == NoStream {
		return esdb.NoStream{}
	}
	return esdb.Revision(uint64(revision))
}

// Load reads a whole stream, and the revision at which it stands. A stream that does not exist has no events and stands at NoStream. An event
// that can't be decoded is domain.ErrUndecodable; a quarantined one is left out, but counts in the revision.
func (s *Store) Load(ctx context.Context, stream string) (events []Recorded, revision int64, err error) {
	stored, err := s.stored(ctx, "read "+redacted(stream), stream)
	if err != nil {
		return nil, NoStream, err
	}
	revision = NoStream
	for _, e := range stored {
		revision = int64(e.EventNumber)
		recorded, err := s.registry.decode(e)
		if err != nil {
			if _, err := s.isQuarantined(ctx, e.EventID, err); err != nil {
				return nil, NoStream, err
			}
			continue
		}
		events = append(events, recorded)
	}
	return events, revision, nil
}

// Newest is the newest event of any stream, nil if there is none.
func (s *Store) Newest(ctx context.Context, stream string) (*Raw, error) {
	o := esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}
	events, err := s.readStream(ctx, "read the newest event of "+redacted(stream), stream, o, 1)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	newest := rawOf(events[0])
	newest.Data, newest.Metadata = string(events[0].Data), string(events[0].UserMetadata)
	return &newest, nil
}

// PositionOf is the position of an event that Load returned. If the server did not give it, PositionOf appends the event again at
// its own revision: appends are idempotent, so the store adds nothing and answers with the position of the first time. An event that was truncated
// or deleted since Load is domain.ErrNotFound.
func (s *Store) PositionOf(ctx context.Context, r Recorded) (domain.Position, error) {
	if r.Positioned() {
		return r.Position, nil
	}
	encoded, err := s.registry.Encode(r.Event, r.Metadata)
	if err != nil {
		return domain.Position{}, err
	}
	at, err := s.append(ctx, r.Stream, int64(r.Revision)-1, []esdb.EventData{{
		EventID: r.ID, EventType: r.Event.EventType(), ContentType: esdb.ContentTypeJson, Data: encoded.Data, Metadata: encoded.Metadata,
	}})
	if err == nil && at == (domain.Position{}) {
		err = fmt.Errorf("%w: its stream does not show it any more", domain.ErrNotFound)
	}
	if err != nil {
		return at, fmt.Errorf("position of event %s: %w", r.ID, err)
	}
	return at, nil
}

func position(p esdb.Position) domain.Position {
	return domain.Position{Commit: p.Commit, Prepare: p.Prepare}
}

// redacted is the category of a stream, without the id behind it, which may be a customer's. Error texts end up in logs.
func redacted(stream string) string {
	category, _, _ := strings.Cut(stream, "-")
	return category + "-…"
}
