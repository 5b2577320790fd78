// Package eventstore keeps the facts. It wraps the official EventStoreDB client in a supervisor that knows its
// pitfalls, turns domain events into stored ones and back through a registry, and hands the log to projections as a
// Watermill subscriber. The server behind it is a KurrentDB/EventStoreDB cluster, or the one in package embedded.
package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/domain"
)

// Recorded is an event as it stands in the log.
type Recorded struct {
	ID       uuid.UUID
	Stream   string
	Revision uint64
	// Position is the event's place in the log. A server may not give it for the events of a stream;
	// Store.PositionOf then finds it out.
	Position domain.Position
	// Created is when the server stored it. When it happened is in the event.
	Created time.Time
	Event   domain.Event
	// Type is the name it is stored under; Event is of the newest version of that. Data is the payload as stored, and Stored
	// what was stored beside it, which Metadata is read from.
	Type     string
	Data     []byte
	Stored   []byte
	Metadata Metadata
}

// Positioned tells whether Position is known.
func (r Recorded) Positioned() bool { return r.Position.Commit != unknownPosition }

// NoStream is the revision before a stream's first event.
const NoStream int64 = -1

// unknownPosition is what the protocol says for a position the server does not give.
const unknownPosition = math.MaxUint64

// Store appends to and reads from an event store. It may be used from many goroutines at once.
type Store struct {
	registry *Registry
	// One connection each, because a server may refuse more than 100 concurrent calls on one.
	writes, reads, follows *connection
	recent                 [recentEvents]atomic.Pointer[Recorded]
}

// Open connects to the event store that the connection string names: esdb://…, esdb+discover://…, or unix:///… for the
// embedded one. It makes one call, so that a wrong address shows here, as domain.ErrUnavailable.
func Open(ctx context.Context, connectionString string, registry *Registry, o Options) (*Store, error) {
	o = o.withDefaults()
	s := &Store{registry: registry}
	for _, c := range []**connection{&s.writes, &s.reads, &s.follows} {
		connection, err := newConnection(connectionString, o)
		if err != nil {
			return nil, err
		}
		*c = connection
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the connections. Calls under way end with domain.ErrUnavailable. While a store that does not answer is being connected
// to, it takes as long as one attempt, which is the gossip timeout of the connection string, 5 s unless it says otherwise.
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

// Append adds events to a stream that stands at the expected revision (NoStream for one without events), all or none,
// and returns the position of the last. The events' ids are EventID(command, i), so that repeating an append whose
// outcome is unknown is safe: the store answers with the first outcome. Another revision is domain.ErrWrongRevision; a
// store that can't be reached is domain.ErrUnavailable, and whether the events were stored is then unknown.
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
	return s.append(ctx, stream, expected, data)
}

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

// expectation is always explicit: left nil, the client would silently expect Any, under which ids are no durable guard.
func expectation(revision int64) esdb.ExpectedRevision {
	if revision == NoStream {
		return esdb.NoStream{}
	}
	return esdb.Revision(uint64(revision))
}

// Load reads a whole stream. A stream that does not exist has no events, which is no error.
func (s *Store) Load(ctx context.Context, stream string) ([]Recorded, error) {
	var events []Recorded
	err := s.reads.do(ctx, "read "+redacted(stream), func(ctx context.Context, client *esdb.Client) error {
		events = events[:0]
		read, err := client.ReadStream(ctx, stream, esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Start{}}, math.MaxUint64)
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
			recorded, err := s.registry.decode(resolved.OriginalEvent())
			if err != nil {
				return err
			}
			events = append(events, recorded)
		}
	})
	if errors.Is(err, domain.ErrNotFound) {
		return nil, nil
	}
	return events, err
}

// PositionOf is the place in the log of an event that Load returned. Where the server does not give positions with a
// stream's events, it appends the event once more at its own revision: by the store's strong idempotency that stores
// nothing and answers with the position of the first time.
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
