package embedded

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// append decides an append and stages its events in the batch. Everything that can fail comes before the first event.
func (w *writer) append(r *request, state *streamState) (decision, error) {
	v, err := w.decide(r.stream, r.expected, r.events, state)
	if err != nil || v.outcome != write {
		return v, err
	}
	if len(r.events) == 0 {
		return decision{write, state.last, w.next.last}, nil
	}
	described, isMeta := describedBy(r.stream)
	var other *streamState // of the metadata stream to rewrite, or of the described stream
	var metadata []byte
	switch {
	case isMeta:
		if other, err = w.state(described); err != nil {
			return decision{}, err
		}
	case state.softDeleted():
		if other, metadata, err = w.revivable(r.stream, state); err != nil {
			return decision{}, err
		}
	}

	if isMeta {
		w.store.described.Store(true)
	}
	next := state.last + 1
	w.begin(state, len(r.events))
	for _, e := range r.events {
		w.stage(r.stream, state, e, state.last+1)
	}
	w.stageHead(r.stream, state)
	v = decision{write, state.last, state.position}

	switch {
	case isMeta:
		w.describe(described, other, r.stream, state, r.events[len(r.events)-1].data)
	case metadata != nil:
		if data, ok := withTruncateBefore(metadata, next); ok {
			w.stageMetadata(r.stream, state, other, data)
		}
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

// describe applies metadata that was appended to a stream's metadata stream. If the stream is soft-deleted, new metadata makes further appends
// readable: it is written again with $tb after the last event.
func (w *writer) describe(stream string, state *streamState, metaStream string, meta *streamState, data []byte) {
	revives := state.softDeleted()
	w.setMetadata(stream, state, meta, data)
	if !revives {
		return
	}
	if data, ok := withTruncateBefore(data, max(state.last+1, 0)); ok {
		w.stageMetadata(stream, state, meta, data)
	}
}

// setMetadata sets the newest metadata of a stream in its state. That of a metadata stream is fixed, whatever is written.
func (w *writer) setMetadata(stream string, state, meta *streamState, data []byte) {
	if _, isMeta := describedBy(stream); isMeta {
		return
	}
	state.metaLast, state.metaPosition = meta.last, meta.position
	state.truncateBefore = parseMetadata(data).truncateBefore
}

// stageMetadata stages an event with a stream's new metadata.
func (w *writer) stageMetadata(stream string, state, meta *streamState, data []byte) {
	name := metaStreamOf(stream)
	w.store.described.Store(true)
	w.begin(meta, 1)
	w.stage(name, meta, propose(w.nextID(), name, []byte(typeMetadata), true, data, nil), meta.last+1)
	w.stageHead(name, meta)
	w.setMetadata(stream, state, meta, data)
}

// softDelete hides a stream by metadata that truncates all of it.
func (w *writer) softDelete(r *request, state *streamState) (decision, error) {
	v, err := w.decide(r.stream, r.expected, []proposal{{id: w.nextID()}}, state)
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
	w.stageMetadata(r.stream, state, meta, data)
	return decision{write, meta.last, meta.position}, nil
}

// tombstone ends a stream for ever, and its metadata stream with it.
func (w *writer) tombstone(r *request, state *streamState) (decision, error) {
	v, err := w.decide(r.stream, r.expected, []proposal{{id: w.nextID()}}, state)
	if err != nil || v.outcome != write {
		return v, err
	}
	meta, err := w.state(metaStreamOf(r.stream))
	if err != nil {
		return decision{}, err
	}
	described, isMeta := describedBy(r.stream)
	var other *streamState
	if isMeta {
		if other, err = w.state(described); err != nil {
			return decision{}, err
		}
	}
	w.stage(r.stream, state, propose(w.nextID(), r.stream, []byte(typeDeleted), false, nil, nil), tombstoned)
	w.stageHead(r.stream, state)
	meta.last = tombstoned
	if isMeta {
		w.setMetadata(described, other, state, nil)
	}
	return decision{write, state.last, state.position}, nil
}

// nextID is the id of the next event if the store itself writes it: unique in this store, and the same whenever the same history is written.
func (w *writer) nextID() uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, binary.BigEndian.AppendUint64([]byte("loyalty/eventstore"), w.next.last+1))
}
