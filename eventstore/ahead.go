package eventstore

import (
	"context"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/domain"
)

// Raw is an event as it stands in the log, not decoded. Its fields are those of Recorded.
type Raw struct {
	ID             uuid.UUID
	Stream         string
	Revision       uint64
	Position       domain.Position
	Created        time.Time
	Type           string
	Data, Metadata string
}

// rawOf leaves the texts out.
func rawOf(e *esdb.RecordedEvent) Raw {
	return Raw{ID: e.EventID, Stream: e.StreamID, Revision: e.EventNumber, Position: position(e.Position), Created: created(e), Type: e.EventType}
}

// Decode decodes an event and its metadata. An event that can't be decoded is domain.ErrUndecodable with its position. Texts of the
// event share memory with those of up to 1,023 others: clone a text before keeping it for long.
func (s *Store) Decode(r *Raw) (domain.Event, Metadata, error) {
	event, err := s.registry.decodeText(r.Type, r.Data)
	var metadata Metadata
	if err == nil {
		metadata, err = decodeMetadata(r.Metadata)
	}
	if err != nil {
		return nil, metadata, undecodable(err, r.Stream, r.Revision, r.Position)
	}
	return event, metadata, nil
}

const (
	// aheadBatch is how many events one goroutine hands to the other at once.
	aheadBatch = 1024
	// aheadBatches is how many batches there are: being filled, waiting and being delivered.
	aheadBatches = 4
)

// rawBatch is some events. Their data and metadata lie in one text, one behind the other, which costs less than a text for each.
type rawBatch struct {
	events []Raw
	ends   []rawEnds
	text   []byte
	looked domain.Position // to where the server had looked behind the events, if it said so
}

// rawEnds is where the data and the metadata of an event end in the text of its batch.
type rawEnds struct{ data, metadata int }

func (b *rawBatch) add(e *esdb.RecordedEvent) {
	b.events = append(b.events, rawOf(e))
	b.text = append(b.text, e.Data...)
	data := len(b.text)
	b.text = append(b.text, e.UserMetadata...)
	b.ends = append(b.ends, rawEnds{data, len(b.text)})
}

func (b *rawBatch) deliver(ctx context.Context, looked func(domain.Position), deliver func(*Raw) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	text, begin := string(b.text), 0
	for i := range b.events {
		r, ends := &b.events[i], b.ends[i]
		r.Data, r.Metadata = text[begin:ends.data], text[ends.data:ends.metadata]
		begin = ends.metadata
		if err := deliver(r); err != nil {
			return err
		}
	}
	if b.looked != (domain.Position{}) {
		looked(b.looked)
	}
	return nil
}

func (b *rawBatch) empty() {
	b.events, b.ends, b.text, b.looked = b.events[:0], b.ends[:0], b.text[:0], domain.Position{}
}

// ReadAhead is Between for long runs of events. It reads in a goroutine of its own, up to 4,096 events ahead of deliver, and calls
// deliver in the caller's goroutine. Events are not decoded: Decode does that. A Raw is valid during the call only. After an error,
// also ctx's, some of the events that were read are not delivered. In the same goroutine it tells looked now and then how far the server has
// looked for events, before until, also where all of them are of other types.
func (s *Store) ReadAhead(ctx context.Context, after domain.Checkpoint, until domain.Position, types []string, looked func(domain.Position), deliver func(*Raw) error) error {
	wanted, err := s.registry.familiesOf(types)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Both channels have room for all batches, so that no send waits.
	full, free := make(chan *rawBatch, aheadBatches), make(chan *rawBatch, aheadBatches)
	for range aheadBatches {
		free <- &rawBatch{}
	}
	var reading error
	go func() {
		defer close(full)
		b := <-free
		_, reading = s.between(ctx, after, until, wanted, func(at domain.Position) {
			b.looked = at
			select {
			case next := <-free:
				full <- b
				b = next
			default: // the other goroutine has work, and hears of it with the next events
			}
		}, func(e *esdb.RecordedEvent) error {
			b.add(e)
			if len(b.events) < aheadBatch {
				return nil
			}
			full <- b
			select {
			case b = <-free:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if reading == nil {
			full <- b
		}
	}()
	var delivering error
	for b := range full { // to its end, which is that of the goroutine
		if delivering == nil {
			if delivering = b.deliver(ctx, looked, deliver); delivering != nil {
				stop()
			}
		}
		b.empty()
		free <- b
	}
	if delivering != nil {
		return delivering
	}
	return reading
}
