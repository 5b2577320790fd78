package embedded_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"loyalty/eventstore/embedded"
)

// model is what the store must behave like, in the simplest form: lists and maps.
type model struct {
	log     []string // "stream/revision id"
	streams map[string]*modelStream
	recent  map[uuid.UUID]modelPlace // forgotten at a restart
}

type modelStream struct {
	ids        []uuid.UUID
	positions  []uint64
	first      int // lowest readable revision
	deleted    bool
	tombstoned bool
	metadata   int // events in its metadata stream
}

type modelPlace struct {
	stream   string
	revision int
}

func newModel() *model {
	return &model{streams: map[string]*modelStream{}, recent: map[uuid.UUID]modelPlace{}}
}

func (m *model) stream(name string) *modelStream {
	if m.streams[name] == nil {
		m.streams[name] = &modelStream{}
	}
	return m.streams[name]
}

func (m *model) record(what string) uint64 {
	m.log = append(m.log, what)
	return uint64(len(m.log))
}

func (m *model) describe(name string) uint64 {
	s := m.stream(name)
	s.metadata++
	return m.record(fmt.Sprintf("$$%s/%d", name, s.metadata-1))
}

const ok esdb.ErrorCode = -1

// decide answers whether to write; otherwise the revision that is answered, or the error.
func (m *model) decide(name string, expected esdb.ExpectedRevision, events []esdb.EventData) (write bool, revision int, failure esdb.ErrorCode) {
	s := m.stream(name)
	last := len(s.ids) - 1
	if s.tombstoned {
		return false, 0, esdb.ErrorCodeStreamDeleted
	}
	_, any := expected.(esdb.Any)
	_, exists := expected.(esdb.StreamExists)
	if exists && s.deleted {
		return false, 0, esdb.ErrorCodeStreamDeleted
	}
	if exists && last < 0 && s.metadata == 0 {
		return false, 0, esdb.ErrorCodeWrongExpectedVersion
	}
	if any || exists {
		for i, e := range events {
			place, seen := m.recent[e.EventID]
			switch {
			case (!seen || place.stream != name) && i == 0:
				return true, 0, ok
			case !seen || place.stream != name:
				return false, 0, esdb.ErrorCodeWrongExpectedVersion
			}
			revision = place.revision
		}
		return len(events) == 0, revision, ok
	}
	at, none := -1, true
	if r, is := expected.(esdb.StreamRevision); is {
		at, none = int(r.Value), false
	}
	switch {
	case at == last:
		return true, 0, ok
	case at > last:
		return false, 0, esdb.ErrorCodeWrongExpectedVersion
	}
	for i, e := range events {
		if at+1+i > last || s.ids[at+1+i] != e.EventID {
			if i == 0 && none && s.deleted {
				return true, 0, ok
			}
			return false, 0, esdb.ErrorCodeWrongExpectedVersion
		}
	}
	switch {
	case len(events) > 0:
		return false, at + len(events), ok
	case none && s.deleted:
		return true, 0, ok
	}
	return false, 0, esdb.ErrorCodeWrongExpectedVersion
}

func (m *model) append(name string, expected esdb.ExpectedRevision, events []esdb.EventData) (revision int, position uint64, failure esdb.ErrorCode) {
	write, revision, failure := m.decide(name, expected, events)
	s := m.stream(name)
	switch {
	case failure != ok:
		return 0, 0, failure
	case !write && (s.deleted || revision < s.first):
		return revision, 0, ok // the store can't read the event any more
	case !write:
		return revision, s.positions[revision], ok
	}
	before, end := len(s.ids), uint64(len(m.log))
	for _, e := range events {
		if _, known := m.recent[e.EventID]; !known { // the first keeps the id
			m.recent[e.EventID] = modelPlace{name, len(s.ids)}
		}
		s.positions = append(s.positions, m.record(fmt.Sprintf("%s/%d %s", name, len(s.ids), e.EventID)))
		s.ids = append(s.ids, e.EventID)
	}
	if s.deleted {
		s.deleted, s.first = false, before
		m.describe(name)
	}
	switch {
	case len(events) > 0:
		return len(s.ids) - 1, s.positions[len(s.ids)-1], ok
	case len(s.ids) > 0:
		return len(s.ids) - 1, end, ok
	}
	return int(min(end, 1)), end, ok // the client shows 1 for a stream without events, and 0 without a position
}

func (m *model) delete(name string, expected esdb.ExpectedRevision, forEver bool) (position uint64, failure esdb.ErrorCode) {
	s := m.stream(name)
	fresh := []esdb.EventData{{EventID: uuid.New()}}
	write, _, failure := m.decide(name, expected, fresh)
	if failure == esdb.ErrorCodeWrongExpectedVersion || failure == ok && (!write || !forEver && len(s.ids) == 0 && s.metadata == 0) {
		return 0, esdb.ErrorCodeUnknown // that is how the client sees a wrong version of a delete
	}
	if failure != ok {
		return 0, failure
	}
	if forEver {
		s.tombstoned = true
		return m.record(name + "/tombstone"), ok
	}
	s.deleted = true
	return m.describe(name), ok
}

// TestTheStoreBehavesLikeTheModel runs random histories of appends, deletes and restarts against a server and the model.
func TestTheStoreBehavesLikeTheModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		m := newModel()
		server := open(t, embedded.Options{Dir: dir})
		db := connect(t, dir)
		defer func() { _ = db.Close(); shut(t, server) }()

		streamNames := rapid.SampledFrom([]string{"s", "t", "u"})
		expectations := rapid.OneOf(
			rapid.SampledFrom([]esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.StreamExists{}}),
			rapid.Map(rapid.Uint64Range(0, 6), func(n uint64) esdb.ExpectedRevision { return esdb.Revision(n) }),
		)
		batches := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 11), func(i int) esdb.EventData { return event(fmt.Sprint(i)) }), 0, 3)

		r.Repeat(map[string]func(*rapid.T){
			"append": func(r *rapid.T) {
				name, expected, events := streamNames.Draw(r, "stream"), expectations.Draw(r, "expected"), batches.Draw(r, "events")
				if s := m.stream(name); rapid.Bool().Draw(r, "at the end") {
					expected = esdb.NoStream{}
					if len(s.ids) > 0 {
						expected = esdb.Revision(uint64(len(s.ids) - 1))
					}
				}
				revision, position, failure := m.append(name, expected, events)
				result, err := db.AppendToStream(t.Context(), name, esdb.AppendToStreamOptions{ExpectedRevision: expected}, events...)
				if code(err) != failure {
					r.Fatalf("append to %s expecting %v: got %v, want code %d", name, expected, err, failure)
				}
				if err == nil && (result.NextExpectedVersion != uint64(revision) || result.CommitPosition != position) {
					r.Fatalf("append to %s expecting %v: got %+v, want revision %d at %d", name, expected, result, revision, position)
				}
			},
			"delete": func(r *rapid.T) {
				name, expected := streamNames.Draw(r, "stream"), expectations.Draw(r, "expected")
				position, failure := m.delete(name, expected, false)
				result, err := db.DeleteStream(t.Context(), name, esdb.DeleteStreamOptions{ExpectedRevision: expected})
				if code(err) != failure || err == nil && result.Position.Commit != position {
					r.Fatalf("delete %s expecting %v: got %+v, %v; want position %d, code %d", name, expected, result, err, position, failure)
				}
			},
			"tombstone": func(r *rapid.T) {
				if rapid.IntRange(0, 9).Draw(r, "rarely") > 0 {
					return
				}
				name, expected := streamNames.Draw(r, "stream"), expectations.Draw(r, "expected")
				position, failure := m.delete(name, expected, true)
				result, err := db.TombstoneStream(t.Context(), name, esdb.TombstoneStreamOptions{ExpectedRevision: expected})
				if code(err) != failure || err == nil && result.Position.Commit != position {
					r.Fatalf("tombstone %s expecting %v: got %+v, %v; want position %d, code %d", name, expected, result, err, position, failure)
				}
			},
			"restart": func(r *rapid.T) {
				if rapid.IntRange(0, 9).Draw(r, "rarely") > 0 {
					return
				}
				_ = db.Close()
				shut(t, server)
				server = open(t, embedded.Options{Dir: dir})
				db = connect(t, dir)
				m.recent = map[uuid.UUID]modelPlace{}
			},
			"": func(r *rapid.T) { compare(t, r, db, m) },
		})
	})
}

func compare(t *testing.T, r *rapid.T, db *esdb.Client, m *model) {
	var log []string
	for _, e := range readAll(t, db, esdb.Forwards, esdb.Start{}, everything) {
		switch e := e.Event; e.EventType {
		case "$metadata":
			log = append(log, fmt.Sprintf("%s/%d", e.StreamID, e.EventNumber))
		case "$streamDeleted":
			log = append(log, e.StreamID+"/tombstone")
		default:
			log = append(log, fmt.Sprintf("%s/%d %s", e.StreamID, e.EventNumber, e.EventID))
		}
	}
	if !slices.Equal(log, m.log) {
		r.Fatalf("$all is\n%v, want\n%v", log, m.log)
	}
	for name, s := range m.streams {
		found, err := readStream(t, db, name, esdb.Forwards, esdb.Start{}, everything)
		switch {
		case s.tombstoned:
			if code(err) != esdb.ErrorCodeStreamDeleted {
				r.Fatalf("%s is tombstoned: %v", name, err)
			}
			continue
		case s.deleted || len(s.ids) == 0:
			if code(err) != esdb.ErrorCodeResourceNotFound {
				r.Fatalf("%s isn't there: %v", name, err)
			}
			continue
		case err != nil:
			r.Fatalf("%s: %v", name, err)
		}
		var ids []uuid.UUID
		for i, e := range found {
			ids = append(ids, e.Event.EventID)
			if revision := s.first + i; e.Event.EventNumber != uint64(revision) || e.Event.Position.Commit != s.positions[revision] {
				r.Fatalf("%s: event %d is %d at %d", name, i, e.Event.EventNumber, e.Event.Position.Commit)
			}
		}
		if !slices.Equal(ids, s.ids[s.first:]) {
			r.Fatalf("%s holds %v, want %v", name, ids, s.ids[s.first:])
		}
	}
}
