package eventstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/domain"
)

// EventID is the id of the i-th event of a command, from 0: the UUIDv5 (RFC 9562) of the command's id and the index in decimal.
// A command always has the same event ids, which makes appends idempotent.
func EventID(command uuid.UUID, i int) uuid.UUID {
	return uuid.NewSHA1(command, strconv.AppendInt(nil, int64(i), 10))
}

// Metadata is stored with every event, beside its payload.
type Metadata struct {
	// Correlation is the id of the request that led to the event. All events of one request share it.
	Correlation string `json:"$correlationId,omitempty"`
	// Causation is the id of the command that led to the event.
	Causation string `json:"$causationId,omitempty"`
	// Actor is the subject of the token with which the request was made.
	Actor string `json:"actor,omitempty"`
	// Channel is where the request came from; empty for support.
	Channel domain.Channel `json:"channel,omitempty"`
}

// Encoded is an event in its stored form: two JSON documents.
type Encoded struct{ Data, Metadata []byte }

// Type describes an event type to a Registry.
type Type struct {
	sample domain.Event
	decode func([]byte) (domain.Event, error)
}

// TypeOf describes the event type E by a sample with every field set. NewRegistry checks with it that encoding and decoding an
// event of the type loses nothing.
func TypeOf[E domain.Event](sample E) Type {
	return Type{sample: sample, decode: func(data []byte) (domain.Event, error) {
		var event E
		err := json.Unmarshal(data, &event)
		return event, err
	}}
}

// Upcaster converts the stored JSON of one version of an event to that of the next version. Up is a pure function.
type Upcaster struct {
	// From and To are stored names: "order-placed.v1", "order-placed.v2".
	From, To string
	Up       func(json.RawMessage) (json.RawMessage, error)
}

// Registry encodes and decodes events of every type that may be in the log. It is safe for concurrent use.
type Registry struct {
	types     map[string]Type
	upcasters map[string]Upcaster
	// newest is the highest version known of each family.
	newest   map[string]int
	policies *policyCache
}

// NewRegistry makes a registry of the types and of the upcasters that lead to them. It is an error if two types have one name, if
// a type's sample has an empty field or changes when it is encoded and decoded, if an upcaster does not lead to a type, or if a name has no
// version: names are like "points-awarded.v1".
func NewRegistry(types []Type, upcasters []Upcaster) (*Registry, error) {
	r := &Registry{types: make(map[string]Type), upcasters: make(map[string]Upcaster), newest: make(map[string]int), policies: &policyCache{}}
	for _, t := range types {
		name := t.sample.EventType()
		if _, twice := r.types[name]; twice {
			return nil, fmt.Errorf("event type %s is registered twice", name)
		}
		if err := r.addVersion(name); err != nil {
			return nil, err
		}
		r.types[name] = t
	}
	for _, u := range upcasters {
		if _, twice := r.upcasters[u.From]; twice {
			return nil, fmt.Errorf("event type %s has two upcasters", u.From)
		}
		if _, current := r.types[u.From]; current {
			return nil, fmt.Errorf("event type %s is current and has an upcaster", u.From)
		}
		if err := r.addVersion(u.From); err != nil {
			return nil, err
		}
		r.upcasters[u.From] = u
	}
	for _, u := range upcasters {
		if _, err := r.current(u.From); err != nil {
			return nil, fmt.Errorf("the upcaster from %s leads to no type: %w", u.From, err)
		}
	}
	for name, t := range r.types {
		if err := r.roundTrip(t); err != nil {
			return nil, fmt.Errorf("event type %s: %w", name, err)
		}
	}
	return r, nil
}

// current is the name of the type that events stored under a name are upcast to.
func (r *Registry) current(name string) (string, error) {
	for range len(r.upcasters) + 1 {
		if _, known := r.types[name]; known {
			return name, nil
		}
		u, known := r.upcasters[name]
		if !known {
			return "", r.unknown(name)
		}
		name = u.To
	}
	return "", fmt.Errorf("%w: upcasters of %q go in a circle", domain.ErrUndecodable, name)
}

func (r *Registry) roundTrip(t Type) error {
	value := reflect.ValueOf(t.sample)
	for i := range value.NumField() {
		if value.Field(i).IsZero() {
			return fmt.Errorf("its sample leaves %s empty", value.Type().Field(i).Name)
		}
	}
	encoded, err := r.Encode(t.sample, Metadata{})
	if err != nil {
		return err
	}
	back, err := r.Decode(t.sample.EventType(), encoded.Data)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(t.sample, back) {
		return errors.New("it does not survive being stored")
	}
	return nil
}

// Encode returns the stored form of an event and its metadata. A type that is not registered is an error.
func (r *Registry) Encode(event domain.Event, metadata Metadata) (Encoded, error) {
	if _, known := r.types[event.EventType()]; !known {
		return Encoded{}, fmt.Errorf("encode: event type %q is not registered", event.EventType())
	}
	data, err := json.Marshal(event)
	if err != nil {
		return Encoded{}, fmt.Errorf("encode %s: %w", event.EventType(), err)
	}
	meta, err := json.Marshal(metadata)
	if err != nil {
		return Encoded{}, fmt.Errorf("encode metadata of %s: %w", event.EventType(), err)
	}
	return Encoded{Data: data, Metadata: meta}, nil
}

// Decode reads a stored event, of this version or an earlier one. An unknown type, broken JSON, and an event without a customer or
// a time are domain.ErrUndecodable. The texts of an event share memory: clone a text before keeping it for long.
func (r *Registry) Decode(name string, data []byte) (domain.Event, error) {
	return r.decodeText(name, string(data))
}

func (r *Registry) decodeText(name, data string) (domain.Event, error) {
	if _, current := r.types[name]; current {
		if event, ok := parseEvent(name, data, r.policies); ok {
			return event, nil
		}
	}
	return r.decodeJSON(name, []byte(data))
}

// decodeJSON reads an event in any form that JSON allows, and upcasts it.
func (r *Registry) decodeJSON(name string, data []byte) (domain.Event, error) {
	for range len(r.upcasters) {
		u, old := r.upcasters[name]
		if !old {
			break
		}
		next, err := u.Up(data)
		if err != nil {
			return nil, fmt.Errorf("%w: upcast %s to %s: %w", domain.ErrUndecodable, u.From, u.To, err)
		}
		name, data = u.To, next
	}
	t, known := r.types[name]
	if !known {
		return nil, r.unknown(name)
	}
	event, err := t.decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", domain.ErrUndecodable, name, err)
	}
	if err := checkEvent(event); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", domain.ErrUndecodable, name, err)
	}
	return event, nil
}

// checkEvent rejects an event without a customer or a time, and one with more points than an event holds.
func checkEvent(event domain.Event) error {
	if _, err := domain.ParseID[domain.CustomerID]("customerId", string(event.Customer())); err != nil {
		return err
	}
	if event.Occurred().IsZero() {
		return errNoTime
	}
	if points := pointsOf(event); points > domain.MaxChange || points < -domain.MaxChange {
		return errPoints
	}
	return nil
}

var (
	errNoTime = errors.New("it has no occurredAt")
	errPoints = fmt.Errorf("its points are beyond ±%d", domain.MaxChange)
)

// decode reads an event and its metadata.
func (r *Registry) decode(e *esdb.RecordedEvent) (Recorded, error) {
	recorded := Recorded{
		ID: e.EventID, Stream: e.StreamID, Revision: e.EventNumber, Position: position(e.Position), Created: created(e),
		Type: e.EventType, Data: e.Data, Stored: e.UserMetadata,
	}
	var err error
	if recorded.Event, err = r.Decode(e.EventType, e.Data); err == nil {
		recorded.Metadata, err = decodeMetadata(string(e.UserMetadata))
	}
	if err != nil {
		return recorded, undecodable(err, e.StreamID, e.EventNumber, recorded.Position)
	}
	return recorded, nil
}

func created(e *esdb.RecordedEvent) time.Time { return e.CreatedDate.UTC().Truncate(time.Microsecond) }

func decodeMetadata(stored string) (Metadata, error) {
	if m, ok := parseMetadata(stored); ok || stored == "" {
		return m, nil
	}
	return decodeMetadataJSON([]byte(stored))
}

func decodeMetadataJSON(stored []byte) (Metadata, error) {
	var m Metadata
	if err := json.Unmarshal(stored, &m); err != nil {
		return m, fmt.Errorf("%w: metadata: %w", domain.ErrUndecodable, err)
	}
	return m, nil
}

// undecodable says which event could not be decoded.
func undecodable(err error, stream string, revision uint64, at domain.Position) error {
	return fmt.Errorf("event %d of %s at position %s: %w", revision, redacted(stream), at, err)
}
