package embedded

import (
	"errors"

	"github.com/google/uuid"
)

// What an append expects of its stream; zero and above it is a revision. The numbers are EventStoreDB's.
const (
	expectNoStream int64 = -1
	expectAny      int64 = -2
	expectExists   int64 = -4
)

// errUnapplied says that a decision needs to look at an event of the batch that is still being gathered. The writer then
// writes that batch and decides again.
var errUnapplied = errors.New("the event is not written yet")

// streamState is what the writer knows of a stream, the effect of the batch being gathered included.
type streamState struct {
	head
	metaLast       int64  // last revision of its metadata stream
	metaPosition   uint64 // and that event's position
	truncateBefore int64
}

func (s *streamState) softDeleted() bool { return s.truncateBefore == softDeleted }

// exists tells whether a stream is there for an append that expects it: metadata alone counts.
func (s *streamState) exists() bool { return s.last >= 0 || s.metaLast >= 0 }

type outcome int

const (
	write        outcome = iota // the events are to be written
	already                     // they are all there
	wrongVersion                // the stream is not where the append expects it
	gone                        // the stream is deleted
)

// verdict is the decision on an append. With already, revision and position are those of the last event as it was first
// written; otherwise they are the stream's.
type verdict struct {
	outcome  outcome
	revision int64
	position uint64
}

// decide decides an append of events, of which only the ids count, to a stream, in the order of EventStoreDB's index writer:
// deleted streams first, then idempotency, then the expected revision. Zero events ask whether the stream is where it is
// expected.
//
// Weak idempotency (expectAny, expectExists) looks in the cache of recent ids only, so it does not outlive a restart.
// Strong idempotency (a revision, or none) compares with what stands in the stream, so it does.
func (w *writer) decide(stream string, expected int64, events []proposal, state *streamState) (verdict, error) {
	is := func(o outcome) (verdict, error) { return verdict{o, state.last, state.position}, nil }
	switch {
	case state.last == tombstoned && len(events) > 0:
		return is(gone)
	case state.last == tombstoned:
		if expected == expectAny || expected == expectNoStream || expected == tombstoned {
			return is(write)
		}
		return is(wrongVersion)
	case expected == expectExists && state.softDeleted():
		return is(gone)
	case expected == expectExists && !state.exists():
		return is(wrongVersion)
	case expected == expectAny || expected == expectExists:
		return w.decideByRecentIDs(stream, events, state)
	case expected < state.last:
		return w.decideByRevision(stream, expected, events, state)
	case expected > state.last:
		return is(wrongVersion)
	}
	return is(write)
}

// decideByRecentIDs is weak idempotency. First id unseen: write. All seen: already there. Seen, then unseen: wrong version.
func (w *writer) decideByRecentIDs(stream string, events []proposal, state *streamState) (verdict, error) {
	v := verdict{write, state.last, state.position}
	for i, e := range events {
		revision, position, seen, err := w.seen(stream, e.id)
		if err != nil {
			return verdict{}, err
		}
		if !seen {
			if i > 0 {
				v = verdict{wrongVersion, state.last, state.position}
			}
			return v, nil
		}
		v = verdict{already, revision, position}
	}
	return v, nil
}

// seen tells whether an event of that id was written to that stream lately, and where it is.
func (w *writer) seen(stream string, id uuid.UUID) (revision int64, position uint64, seen bool, err error) {
	position, ok := w.ids.get(id)
	switch {
	case !ok:
		return 0, 0, false, nil
	case position > w.applied:
		return 0, 0, false, errUnapplied
	}
	_, r, err := w.store.read(position)
	return r.revision, position, err == nil && string(r.stream) == stream, err
}

// decideByRevision is strong idempotency: the i-th event must stand at the i-th revision after the expected one, under the
// same id.
func (w *writer) decideByRevision(stream string, expected int64, events []proposal, state *streamState) (verdict, error) {
	revives := expected == expectNoStream && state.softDeleted()
	if len(events) == 0 && revives {
		return verdict{write, state.last, state.position}, nil
	}
	v := verdict{wrongVersion, state.last, state.position}
	for i, e := range events {
		revision := expected + 1 + int64(i)
		position, same, err := w.standsAt(stream, revision, e.id, state)
		if err != nil {
			return verdict{}, err
		}
		if !same {
			if i == 0 && revives {
				return verdict{write, state.last, state.position}, nil
			}
			return verdict{wrongVersion, state.last, state.position}, nil
		}
		v = verdict{already, revision, position}
	}
	return v, nil
}

// standsAt tells whether the event of a stream at a revision has the given id, and its position.
func (w *writer) standsAt(stream string, revision int64, id uuid.UUID, state *streamState) (uint64, bool, error) {
	if revision > state.last {
		return 0, false, nil
	}
	_, r, found, err := w.store.find(stream, revision, w.applied)
	if err == nil && !found && !w.next.batch.Empty() {
		err = errUnapplied
	}
	return r.position, found && r.id == id, err
}
