package embedded_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded"
)

// written says that an append must succeed with its last event at a revision.
type written uint64

// TestAppendDecision goes through every row of the decision table. Each case has a server of its own; given builds the
// history, when is the append under test, then is what the client must see, and stays what the stream must hold after it.
func TestAppendDecision(t *testing.T) {
	const stream = "order-1"
	ab := func(t *testing.T, db *esdb.Client) { write(t, db, stream, esdb.NoStream{}, events("a", "b")...) }
	abcd := func(t *testing.T, db *esdb.Client) {
		write(t, db, stream, esdb.NoStream{}, events("a", "b", "c", "d")...)
	}
	described := func(t *testing.T, db *esdb.Client) { describe(t, db, stream, maxCount(10)) }
	softDeleted := func(t *testing.T, db *esdb.Client) {
		ab(t, db)
		if _, err := db.DeleteStream(t.Context(), stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
			t.Fatal(err)
		}
	}
	tombstoned := func(t *testing.T, db *esdb.Client) {
		ab(t, db)
		if _, err := db.TombstoneStream(t.Context(), stream, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(*testing.T, *esdb.Client) {}

	for _, c := range []struct {
		clause   string
		given    func(*testing.T, *esdb.Client)
		expected esdb.ExpectedRevision
		append   []esdb.EventData
		then     any // written or esdb.ErrorCode
		stays    []string
	}{
		{"1 tombstoned, any: deleted", tombstoned, esdb.Any{}, events("x"), esdb.ErrorCodeStreamDeleted, nil},
		{"1 tombstoned, no stream: deleted", tombstoned, esdb.NoStream{}, events("x"), esdb.ErrorCodeStreamDeleted, nil},
		{"1 tombstoned, exists: deleted", tombstoned, esdb.StreamExists{}, events("x"), esdb.ErrorCodeStreamDeleted, nil},
		{"1 tombstoned, a revision: deleted", tombstoned, esdb.Revision(1), events("x"), esdb.ErrorCodeStreamDeleted, nil},
		{"1 tombstoned, the very same events: deleted", tombstoned, esdb.NoStream{}, events("a", "b"), esdb.ErrorCodeStreamDeleted, nil},

		{"2 exists, but is soft-deleted: deleted", softDeleted, esdb.StreamExists{}, events("x"), esdb.ErrorCodeStreamDeleted, nil},
		{"2 exists, but nothing is there: wrong version", nothing, esdb.StreamExists{}, events("x"), esdb.ErrorCodeWrongExpectedVersion, nil},
		{"2 exists, only metadata is there: written", described, esdb.StreamExists{}, events("x"), written(0), []string{"x"}},
		{"2 exists, events are there: written", ab, esdb.StreamExists{}, events("x"), written(2), []string{"a", "b", "x"}},

		{"3 any, first id unseen: written", ab, esdb.Any{}, events("x", "a"), written(3), []string{"a", "b", "x", "a"}},
		{"3 any, all seen: the original answer", abcd, esdb.Any{}, events("a", "b"), written(1), []string{"a", "b", "c", "d"}},
		{"3 any, seen then unseen: wrong version", ab, esdb.Any{}, events("b", "x"), esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},
		{"3 exists, all seen: the original answer", abcd, esdb.StreamExists{}, events("b", "c"), written(2), []string{"a", "b", "c", "d"}},
		{"3 exists, seen then unseen: wrong version", ab, esdb.StreamExists{}, events("a", "x"), esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},
		{"3 any, to nothing: written", nothing, esdb.Any{}, events("x"), written(0), []string{"x"}},
		{"3 any, soft-deleted: written behind what was", softDeleted, esdb.Any{}, events("x"), written(2), []string{"x"}},

		{"4 no stream, same events: the original answer", ab, esdb.NoStream{}, events("a", "b"), written(1), []string{"a", "b"}},
		{"4 no stream, same events and more after them: the original answer", abcd, esdb.NoStream{}, events("a", "b"), written(1), []string{"a", "b", "c", "d"}},
		{"4 no stream, other event: wrong version", ab, esdb.NoStream{}, events("x"), esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},
		{"4 no stream, same then other: wrong version", ab, esdb.NoStream{}, events("a", "x"), esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},
		{"4 no stream, same and one past the end: wrong version", ab, esdb.NoStream{}, events("a", "b", "c"), esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},
		{"4 no stream, same in another order: wrong version", ab, esdb.NoStream{}, events("b", "a"), esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},
		{"4 no stream, soft-deleted: written", softDeleted, esdb.NoStream{}, events("x"), written(2), []string{"x"}},
		{"4 earlier revision, same events: the original answer", abcd, esdb.Revision(0), events("b", "c"), written(2), []string{"a", "b", "c", "d"}},
		{"4 earlier revision, events of another place: wrong version", abcd, esdb.Revision(0), events("c", "d"), esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b", "c", "d"}},
		{"4 earlier revision, other events: wrong version", ab, esdb.Revision(0), events("x"), esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},

		{"5 later revision: wrong version", ab, esdb.Revision(2), events("x"), esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},
		{"5 a revision of nothing: wrong version", nothing, esdb.Revision(0), events("x"), esdb.ErrorCodeWrongExpectedVersion, nil},
		{"5 the current revision: written", ab, esdb.Revision(1), events("x"), written(2), []string{"a", "b", "x"}},
		{"5 no stream, nothing there: written", nothing, esdb.NoStream{}, events("x", "y"), written(1), []string{"x", "y"}},
		{"5 the current revision, soft-deleted: written", softDeleted, esdb.Revision(1), events("x"), written(2), []string{"x"}},

		{"6 no events, any: the current revision", ab, esdb.Any{}, nil, written(1), []string{"a", "b"}},
		{"6 no events, the current revision: that revision", ab, esdb.Revision(1), nil, written(1), []string{"a", "b"}},
		{"6 no events, an earlier revision: wrong version", ab, esdb.Revision(0), nil, esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},
		{"6 no events, a later revision: wrong version", ab, esdb.Revision(2), nil, esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},
		{"6 no events, to nothing: success", nothing, esdb.NoStream{}, nil, written(0), nil},
		{"6 no events, soft-deleted: undeleted", softDeleted, esdb.NoStream{}, nil, written(1), nil},
		{"6 no events, tombstoned: deleted", tombstoned, esdb.Any{}, nil, esdb.ErrorCodeStreamDeleted, nil},
		{"6 no events, tombstoned, no stream: deleted", tombstoned, esdb.NoStream{}, nil, esdb.ErrorCodeStreamDeleted, nil},
		{"7 the revision 2^64-1 is no stream", nothing, esdb.Revision(math.MaxUint64), events("x"), written(0), []string{"x"}},
		{"7 the revision 2^64-1, the same events: the original answer", ab, esdb.Revision(math.MaxUint64), events("a", "b"), written(1), []string{"a", "b"}},
		{"7 the revision 2^64-1, another event: wrong version", ab, esdb.Revision(math.MaxUint64), events("x"), esdb.ErrorCodeWrongExpectedVersion, []string{"a", "b"}},
	} {
		t.Run(c.clause, func(t *testing.T) {
			t.Parallel()
			db := start(t)
			c.given(t, db)
			result, err := db.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: c.expected}, c.append...)
			switch then := c.then.(type) {
			case written:
				if err != nil || result.NextExpectedVersion != uint64(then) {
					t.Errorf("got %+v, %v; want revision %d", result, err, then)
				}
			case esdb.ErrorCode:
				if code(err) != then {
					t.Errorf("got %+v, %v; want code %d", result, err, then)
				}
			}
			found, _ := readStream(t, db, stream, esdb.Forwards, esdb.Start{}, everything)
			if got := names(found); !slices.Equal(got, c.stays) {
				t.Errorf("the stream holds %v, want %v", got, c.stays)
			}
		})
	}
}

func TestAppendAnswersThePositionOfItsLastEvent(t *testing.T) {
	db := start(t)
	first := write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
	second := write(t, db, "s", esdb.Revision(1), events("c")...)
	again := write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
	if first.CommitPosition != 2 || first.PreparePosition != 2 || second.CommitPosition != 3 {
		t.Errorf("positions %+v and %+v, want 2 and 3", first, second)
	}
	if *again != *first {
		t.Errorf("the repeated append answers %+v, the first %+v", again, first)
	}
}

func TestStrongIdempotencyOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	server := open(t, embedded.Options{Dir: dir})
	db := connect(t, dir)
	first := write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
	third := write(t, db, "s", esdb.Revision(1), events("c")...)
	shut(t, server)
	open(t, embedded.Options{Dir: dir})
	db = connect(t, dir)

	if again := write(t, db, "s", esdb.NoStream{}, events("a", "b")...); *again != *first {
		t.Errorf("NoStream after a restart: %+v, want %+v", again, first)
	}
	if again := write(t, db, "s", esdb.Revision(1), events("c")...); *again != *third {
		t.Errorf("revision 1 after a restart: %+v, want %+v", again, third)
	}
	// The cache of ids that Any looks in is not kept, so Any writes again: never rely on it.
	if again := write(t, db, "s", esdb.Any{}, events("c")...); again.NextExpectedVersion != 3 {
		t.Errorf("Any after a restart: revision %d, want 3", again.NextExpectedVersion)
	}
}

func TestTheSameEventIDInTwoStreamsIsTwoEvents(t *testing.T) {
	db := start(t)
	write(t, db, "s", esdb.NoStream{}, events("a")...)
	write(t, db, "t", esdb.NoStream{}, events("a")...)
	if again := write(t, db, "s", esdb.NoStream{}, events("a")...); again.CommitPosition != 1 {
		t.Errorf("repeated append to the first stream answers position %d, want 1", again.CommitPosition)
	}
	if other := write(t, db, "u", esdb.Any{}, events("a")...); other.CommitPosition != 3 {
		t.Errorf("append to a third stream answers position %d, want 3", other.CommitPosition)
	}
}

func TestAppendRefusals(t *testing.T) {
	db := start(t)
	big := func(bytes int) esdb.EventData {
		e := event("big")
		e.Metadata, e.Data = nil, make([]byte, bytes-2*len(e.EventType))
		return e
	}
	huge := slices.Repeat([]esdb.EventData{big(1 << 19)}, 20)
	for _, c := range []struct {
		clause string
		stream string
		events []esdb.EventData
		says   string
	}{
		{"one event over 1 MiB", "s", []esdb.EventData{big(1<<20 + 1)}, "Maximum Append Size of 1048576 Exceeded"},
		{"two events over 1 MiB together", "s", []esdb.EventData{big(1 << 19), big(1<<19 + 1)}, "Maximum Append Size of 1048576 Exceeded"},
		{"ten MiB, all of it sent", "s", huge, "Maximum Append Size of 1048576 Exceeded"},
		{"no type", "s", []esdb.EventData{typed("a", "")}, "type of an event is empty"},
		{"no stream", "", events("a"), "stream name is empty"},
		{"a name without end", strings.Repeat("s", 65534), events("a"), "longer than 65533"},
		{"metadata of metadata without end", strings.Repeat("$$", 9) + "s", events("a"), "begins with $$ more than 8 times"},
		{"the name of no stream's metadata", "$$", events("a"), "describes no stream"},
		{"to $all", "$all", events("a"), "Access Denied"},
	} {
		t.Run(c.clause, func(t *testing.T) {
			_, err := db.AppendToStream(t.Context(), c.stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, c.events...)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error that says %q", err, c.says)
			}
			if all := readAll(t, db, esdb.Forwards, esdb.Start{}, everything); len(all) != 0 {
				t.Errorf("%d events were written", len(all))
			}
		})
	}
	t.Run("just 1 MiB is written", func(t *testing.T) { write(t, db, "s", esdb.NoStream{}, big(1<<20)) })
}
