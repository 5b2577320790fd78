package embedded

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// append decides an append and stages its events in the batch, and the metadata that makes soft-deleted streams readable again: the stream itself,
// even if there are no events, and the one that it describes. Everything that can fail comes before the first event.
func (w *writer) append(r *request, state *streamState) (decision, error) {
	v, err := w.decide(r.stream, r.expected, r.events, state)
	if err != nil || v.outcome != write {
		return v, err
	}
	count := len(r.events)
	next := state.last + 1
	v = decision{write, state.last + int64(count), w.next.last + uint64(count)}
	var additions []addition
	before := count
	if count > 0 {
		additions = append(make([]addition, 0, 3), addition{stream: r.stream, state: state, from: next, events: r.events})
	}

	var own *streamState // the metadata stream, if it is written to
	var ownData []byte
	if w.softDeleted(r.stream, state) {
		meta, data, err := w.revivable(r.stream, state)
		if err != nil {
			return decision{}, err
		}
		if revised, ok := withTruncateBefore(data, next); ok {
			own, ownData = meta, revised
			additions = append(additions, w.metadataOf(r.stream, meta, meta.last+1, revised, before))
			before++
		}
	}
	var other *streamState // the described stream, if there is one
	var otherData []byte
	described, isMeta := describedBy(r.stream)
	if isMeta {
		if other, err = w.state(described); err != nil {
			return decision{}, err
		}
		if count > 0 {
			otherData = r.events[count-1].data
		}
		if w.softDeleted(described, other) {
			if count == 0 {
				if _, otherData, err = w.revivable(described, other); err != nil {
					return decision{}, err
				}
			}
			if revised, ok := withTruncateBefore(otherData, other.last+1); ok {
				otherData = revised
				additions = append(additions, w.metadataOf(described, state, next+int64(count), revised, before))
			}
		}
	}
	if len(additions) == 0 {
		return v, nil
	}
	if err := w.stage(additions...); err != nil {
		return decision{}, err
	}
	if own != nil {
		w.setMetadata(r.stream, state, own, ownData)
	}
	if other != nil {
		w.setMetadata(described, other, state, otherData)
	}
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

// setMetadata sets the newest metadata of a stream in its state.
func (w *writer) setMetadata(stream string, state, meta *streamState, data []byte) {
	w.store.described.Store(true)
	state.metaLast, state.metaPosition = meta.last, meta.position
	state.truncateBefore = parseMetadata(data).truncateBefore
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
