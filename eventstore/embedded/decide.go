package embedded

import (
	"errors"

	"github.com/google/uuid"
)

// Expected revisions of an append's stream; 0 and above is the revision itself. The numbers are EventStoreDB's.
const (
	expectNoStream int64 = -1
	expectAny      int64 = -2
	expectExists   int64 = -4
)

// errNotApplied is the error of a decision that needs to read an event of the batch that is still being gathered. The writer then writes
// the batch and decides again.
var errNotApplied = errors.New("the event is not written yet")

// streamState is the state of a stream for the writer, including the effect of the batch being gathered.
type streamState struct {
	head
	metaLast       int64  // last revision of its metadata stream
	metaPosition   uint64 // and that event's position
	truncateBefore int64
}

// softDeleted reports whether a stream is soft-deleted for an append. The deletion of a metadata stream counts only as long as it is the last event
// of the log, and no read sees it: EventStoreDB's writer remembers it until the next write (23.10 to 24.10).
func (w *writer) softDeleted(stream string, s *streamState) bool {
	if s.truncateBefore != softDeleted {
		return false
	}
	_, isMeta := describedBy(stream)
	return !isMeta || s.metaPosition == w.next.last
}

// exists reports whether a stream exists for an append that expects it: metadata alone counts.
func (s *streamState) exists() bool { return s.last >= 0 || s.metaLast >= 0 }

type outcome int

const (
	write          outcome = iota // the events must be written
	alreadyWritten                // all events exist already
	wrongVersion                  // the stream is not where the append expects it
	streamDeleted                 // the stream is deleted
)

// decision is the decision on an append. With alreadyWritten, revision and position are those of the append's last event as it was first
// written, the position 0 if reads no longer show the event; otherwise they are the stream's.
type decision struct {
	outcome  outcome
	revision int64
	position uint64
}

// decide decides an append to a stream, by the ids of its events, in the order of EventStoreDB's index writer: deleted streams first, then
// idempotency, then the expected revision. An append without events only checks the expected revision.
//
// Weak idempotency (expectAny, expectExists) uses the cache of recent ids, and so does not survive a restart. Strong idempotency (a
// revision, or no stream) compares with the events in the stream, and so does.
func (w *writer) decide(stream string, expected int64, events []proposal, state *streamState) (decision, error) {
	is := func(o outcome) (decision, error) { return decision{o, state.last, state.position}, nil }
	switch {
	case state.last == tombstoned:
		return is(streamDeleted)
	case expected == expectExists && w.softDeleted(stream, state):
		return is(streamDeleted)
	case expected == expectExists && !state.exists():
		return is(wrongVersion)
	case expected > state.last:
		return is(wrongVersion)
	case expected == state.last:
		return is(write)
	}
	decideBy := w.decideByRevision
	if expected == expectAny || expected == expectExists {
		decideBy = w.decideByRecentIDs
	}
	v, err := decideBy(stream, expected, events, state)
	if err != nil || v.outcome != alreadyWritten {
		return v, err
	}
	shown, err := w.shows(stream, v, state)
	if !shown {
		v.position = 0
	}
	return v, err
}

// shows reports whether a read shows an event that was written before. EventStoreDB reads the event to answer a repeated append with its
// position, and answers without one if it is truncated, expired or deleted by now.
func (w *writer) shows(stream string, v decision, state *streamState) (bool, error) {
	if state.position > w.applied || state.metaPosition > w.applied {
		return false, errNotApplied
	}
	x, err := w.store.extent(stream, w.applied, w.now())
	switch {
	case err != nil:
		return false, err
	case x.deleted, v.revision < x.lowest:
		return false, nil
	case x.oldest == 0:
		return true, nil
	}
	_, r, err := w.store.read(v.position)
	return err == nil && r.created >= x.oldest, err
}

// decideByRecentIDs is weak idempotency. First id unseen: write. All seen: already written. Seen, then unseen: wrong version. An id is known in the
// stream that it was first written to, and nowhere else.
func (w *writer) decideByRecentIDs(stream string, _ int64, events []proposal, state *streamState) (decision, error) {
	v := decision{write, state.last, state.position}
	for i, e := range events {
		revision, position, seen, err := w.seen(stream, e.id)
		if err != nil {
			return decision{}, err
		}
		if !seen {
			if i > 0 {
				v = decision{wrongVersion, state.last, state.position}
			}
			return v, nil
		}
		v = decision{alreadyWritten, revision, position}
	}
	return v, nil
}

// seen reports whether an event with this id was written to the stream recently, and where it is.
func (w *writer) seen(stream string, id uuid.UUID) (revision int64, position uint64, seen bool, err error) {
	position, ok := w.ids.get(id)
	switch {
	case !ok:
		return 0, 0, false, nil
	case position > w.applied:
		return 0, 0, false, errNotApplied
	}
	_, r, err := w.store.read(position)
	return r.revision, position, err == nil && string(r.stream) == stream, err
}

// decideByRevision is strong idempotency: the i-th event must be at the i-th revision after the expected one, with the same id.
func (w *writer) decideByRevision(stream string, expected int64, events []proposal, state *streamState) (decision, error) {
	revives := expected == expectNoStream && w.softDeleted(stream, state)
	if len(events) == 0 && revives {
		return decision{write, state.last, state.position}, nil
	}
	v := decision{wrongVersion, state.last, state.position}
	for i, e := range events {
		revision := expected + 1 + int64(i)
		position, same, err := w.eventAtRevision(stream, revision, e.id, state)
		if err != nil {
			return decision{}, err
		}
		if !same {
			if i == 0 && revives {
				return decision{write, state.last, state.position}, nil
			}
			return decision{wrongVersion, state.last, state.position}, nil
		}
		v = decision{alreadyWritten, revision, position}
	}
	return v, nil
}

// eventAtRevision returns the position of the event of a stream at a revision, and whether it has the given id.
func (w *writer) eventAtRevision(stream string, revision int64, id uuid.UUID, state *streamState) (uint64, bool, error) {
	if revision > state.last {
		return 0, false, nil
	}
	_, r, found, err := w.store.find(stream, revision, w.applied)
	if err == nil && !found && !w.next.batch.Empty() {
		err = errNotApplied
	}
	return r.position, found && r.id == id, err
}
