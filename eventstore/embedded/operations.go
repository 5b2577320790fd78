package embedded

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// append decides an append and stages its events in the batch, and the metadata that makes a soft-deleted stream readable again. Everything that
// can fail comes before the first event.
func (w *writer) append(r *request, state *streamState) (decision, error) {
	v, err := w.decide(r.stream, r.expected, r.events, state)
	if err != nil || v.outcome != write {
		return v, err
	}
	if len(r.events) == 0 {
		return decision{write, state.last, w.next.last}, nil
	}
	next := state.last + 1
	last := next + int64(len(r.events)) - 1
	additions := append(make([]addition, 0, 2), addition{stream: r.stream, state: state, from: next, events: r.events})
	describe := func() {}
	described, isMeta := describedBy(r.stream)
	switch {
	case isMeta:
		other, err := w.state(described)
		if err != nil {
			return decision{}, err
		}
		data := r.events[len(r.events)-1].data
		if other.softDeleted() {
			// New metadata of a soft-deleted stream makes further appends readable: it is written again with $tb behind the last event.
			if revised, ok := withTruncateBefore(data, max(other.last+1, 0)); ok {
				data = revised
				additions = append(additions, w.metadataOf(described, state, last+1, data, len(r.events)))
			}
		}
		describe = func() { w.setMetadata(described, other, state, data) }
	case state.softDeleted():
		meta, metadata, err := w.revivable(r.stream, state)
		if err != nil {
			return decision{}, err
		}
		if data, ok := withTruncateBefore(metadata, next); ok {
			additions = append(additions, w.metadataOf(r.stream, meta, meta.last+1, data, len(r.events)))
			describe = func() { w.setMetadata(r.stream, state, meta, data) }
		}
	}
	v = decision{write, last, w.next.last + uint64(len(r.events))}
	if err := w.stage(additions...); err != nil {
		return decision{}, err
	}
	describe()
	return v, nil
}

// revivable reads what an append to a soft-deleted stream needs to make it readable again: the state of its metadata stream, and its
// metadata. It is errNotApplied while that is in the batch.
func (w *writer) revivable(stream string, state *streamState) (*streamState, []byte, error) {
	if state.metaPosition > w.applied {
		return nil, nil, errNotApplied
	}
	meta, err := w.state(metaStreamOf(stream))
	if err != nil {
		return nil, nil, err
	}
	_, r, err := w.store.read(state.metaPosition)
	return meta, r.data, err
}

// metadataOf is the addition of one event with new metadata of a stream. before is how many events are staged before it.
func (w *writer) metadataOf(stream string, meta *streamState, revision int64, data []byte, before int) addition {
	name := metaStreamOf(stream)
	return addition{stream: name, state: meta, from: revision,
		events: []proposal{propose(w.nextID(before), name, []byte(typeMetadata), true, data, nil)}}
}

// setMetadata sets the newest metadata of a stream in its state. That of a metadata stream is fixed, whatever is written.
func (w *writer) setMetadata(stream string, state, meta *streamState, data []byte) {
	w.store.described.Store(true)
	state.metaLast, state.metaPosition = meta.last, meta.position
	if _, isMeta := describedBy(stream); !isMeta {
		state.truncateBefore = parseMetadata(data).truncateBefore
	}
}

// softDelete hides a stream by metadata that truncates all of it.
func (w *writer) softDelete(r *request, state *streamState) (decision, error) {
	v, err := w.decide(r.stream, r.expected, []proposal{{id: w.nextID(0)}}, state)
	if err != nil || v.outcome != write {
		return v, err
	}
	if !state.exists() {
		return decision{wrongVersion, state.last, state.position}, nil
	}
	meta, err := w.state(metaStreamOf(r.stream))
	if err != nil {
		return decision{}, err
	}
	data, _ := withTruncateBefore([]byte("{}"), softDeleted)
	if err := w.stage(w.metadataOf(r.stream, meta, meta.last+1, data, 0)); err != nil {
		return decision{}, err
	}
	w.setMetadata(r.stream, state, meta, data)
	return decision{write, meta.last, meta.position}, nil
}

// tombstone ends a stream for ever, and with it its metadata stream, that one's, and so on.
func (w *writer) tombstone(r *request, state *streamState) (decision, error) {
	v, err := w.decide(r.stream, r.expected, []proposal{{id: w.nextID(0)}}, state)
	if err != nil || v.outcome != write {
		return v, err
	}
	described, isMeta := describedBy(r.stream)
	var other *streamState
	if isMeta {
		if other, err = w.state(described); err != nil {
			return decision{}, err
		}
	}
	end := propose(w.nextID(0), r.stream, []byte(typeDeleted), false, nil, nil)
	if err := w.stage(addition{stream: r.stream, state: state, from: tombstoned, events: []proposal{end}, tombstone: true}); err != nil {
		return decision{}, err
	}
	if isMeta {
		w.setMetadata(described, other, state, nil)
	}
	meta := r.stream
	for range maxDescribing + 1 {
		meta = metaStreamOf(meta)
		if s, ok := w.streams.get(meta); ok {
			s.last = tombstoned
		}
	}
	return decision{write, state.last, state.position}, nil
}

// nextID is the id of an event that the store itself writes, after some others of the same request: unique in this store, and the same
// whenever the same history is written.
func (w *writer) nextID(before int) uuid.UUID {
	position := w.next.last + 1 + uint64(before)
	return uuid.NewSHA1(uuid.NameSpaceOID, binary.BigEndian.AppendUint64([]byte("loyalty/eventstore"), position))
}
