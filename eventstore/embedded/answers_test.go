package embedded_test

import (
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"loyalty/eventstore/embedded"
)

// The tests of this file hold what EventStoreDB 23.10.8, 24.10.0 and 24.10.14 answer where an implementation can easily differ.

// TestARepeatOfWhatIsHiddenByNowHasNoPosition: the store says that the events are there, and where in the stream, but it would have to read the
// last of them to say where in the log.
func TestARepeatOfWhatIsHiddenByNowHasNoPosition(t *testing.T) {
	for clause, hide := range map[string]func(*testing.T, *esdb.Client){
		"deleted": func(t *testing.T, db *esdb.Client) {
			if _, err := db.DeleteStream(t.Context(), "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
				t.Fatal(err)
			}
		},
		"truncated":           func(t *testing.T, db *esdb.Client) { describe(t, db, "s", truncateBefore(2)) },
		"more than $maxCount": func(t *testing.T, db *esdb.Client) { describe(t, db, "s", maxCount(1)) },
		"deleted and back again": func(t *testing.T, db *esdb.Client) {
			if _, err := db.DeleteStream(t.Context(), "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
				t.Fatal(err)
			}
			write(t, db, "s", esdb.Revision(2), event("d"))
		},
	} {
		t.Run(clause, func(t *testing.T) {
			t.Parallel()
			db := start(t)
			write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
			if again := write(t, db, "s", esdb.NoStream{}, events("a", "b")...); again.NextExpectedVersion != 1 || again.CommitPosition != 2 {
				t.Errorf("at first: %+v", again)
			}
			hide(t, db)
			for _, expected := range []esdb.ExpectedRevision{esdb.NoStream{}, esdb.Any{}} {
				again := write(t, db, "s", expected, events("a", "b")...)
				if again.NextExpectedVersion != 1 || again.CommitPosition != 0 || again.PreparePosition != 0 {
					t.Errorf("expecting %v: %+v", expected, again)
				}
			}
		})
	}
}

func TestARepeatOfExpiredEventsHasNoPosition(t *testing.T) {
	dir := t.TempDir()
	var seconds atomic.Int64
	seconds.Store(1_700_000_000)
	open(t, embedded.Options{Dir: dir, Now: func() time.Time { return time.Unix(seconds.Load(), 0) }})
	db := connect(t, dir)
	write(t, db, "s", esdb.NoStream{}, event("a"))
	var m esdb.StreamMetadata
	m.SetMaxAge(10 * time.Second)
	describe(t, db, "s", m)
	if again := write(t, db, "s", esdb.NoStream{}, event("a")); again.CommitPosition != 1 {
		t.Errorf("before it expires: %+v", again)
	}
	seconds.Add(11)
	if again := write(t, db, "s", esdb.NoStream{}, event("a")); again.NextExpectedVersion != 0 || again.CommitPosition != 0 {
		t.Errorf("after that: %+v", again)
	}
}

// TestAnAppendOfNoEventsBringsADeletedStreamBack: it is there again and empty, and goes on behind its last event.
func TestAnAppendOfNoEventsBringsADeletedStreamBack(t *testing.T) {
	for _, expected := range []esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.Revision(1)} {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
		if _, err := db.DeleteStream(t.Context(), "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
			t.Fatal(err)
		}
		if result := write(t, db, "s", expected); result.NextExpectedVersion != 1 {
			t.Errorf("expecting %v: %+v", expected, result)
		}
		if found, err := readStream(t, db, "s", esdb.Forwards, esdb.Start{}, everything); err != nil || len(found) > 0 {
			t.Errorf("expecting %v: it reads %v, %v", expected, names(found), err)
		}
		if m, err := db.GetStreamMetadata(t.Context(), "s", esdb.ReadStreamOptions{}); err != nil || *m.TruncateBefore() != 2 {
			t.Errorf("expecting %v: metadata %v, %v; want $tb 2", expected, m, err)
		}
		write(t, db, "s", esdb.StreamExists{}, event("c"))
	}
}

// TestReadsAtTheEdgesOfAStreamAreUnknown: also of a stream that isn't there.
func TestReadsAtTheEdgesOfAStreamAreUnknown(t *testing.T) {
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	db, client := connect(t, dir), protocol(t, dir)
	write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
	for _, name := range []string{"s", "missing"} {
		for _, c := range []struct {
			clause    string
			direction streams.ReadReq_Options_ReadDirection
			end       bool
			revision  uint64
			count     uint64
		}{
			{"forwards from the end", streams.ReadReq_Options_Forwards, true, 0, 10},
			{"forwards from the revision 2^64-1", streams.ReadReq_Options_Forwards, false, math.MaxUint64, 10},
			{"no events, forwards", streams.ReadReq_Options_Forwards, false, 0, 0},
			{"no events, backwards", streams.ReadReq_Options_Backwards, true, 0, 0},
		} {
			of := &streams.ReadReq_Options_StreamOptions{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(name)}}
			if of.RevisionOption = (&streams.ReadReq_Options_StreamOptions_Revision{Revision: c.revision}); c.end {
				of.RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
			}
			all, err := received(t, client, &streams.ReadReq_Options{
				StreamOption: &streams.ReadReq_Options_Stream{Stream: of}, ReadDirection: c.direction,
				CountOption: &streams.ReadReq_Options_Count{Count: c.count},
				UuidOption:  &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
			})
			if status.Code(err) != codes.Unknown || len(all) > 0 {
				t.Errorf("%s of %s: %v, %v", c.clause, name, all, err)
			}
		}
	}
}

// TestMetadataDeletedJustBeforeIsBroughtBackByNewMetadata: the metadata of the metadata says so, as long as nothing was written in between.
func TestMetadataDeletedJustBeforeIsBroughtBackByNewMetadata(t *testing.T) {
	for _, between := range []bool{false, true} {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, event("a"))
		describe(t, db, "s", maxCount(5))
		if _, err := db.DeleteStream(t.Context(), "$$s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
			t.Fatal(err)
		}
		want := []string{`{"$tb":9223372036854775807}`}
		if between {
			write(t, db, "t", esdb.NoStream{}, event("b"))
		} else {
			want = []string{`{"$tb":9223372036854775807}`, `{"$tb":1}`}
		}
		if m, err := db.GetStreamMetadata(t.Context(), "s", esdb.ReadStreamOptions{}); err != nil || *m.MaxCount() != 5 {
			t.Errorf("the deleted metadata still reads: %v, %v", m, err)
		}
		describe(t, db, "s", maxCount(6))
		var got []string
		for _, e := range readAll(t, db, esdb.Forwards, esdb.Start{}, everything) {
			if e.Event.StreamID == "$$$$s" {
				got = append(got, string(e.Event.Data))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("with an event between: %v; $$$$s holds %v, want %v", between, got, want)
		}
	}
}

// TestAMetadataStreamExistsWithMetadataOfItsOwn: though it holds no events, it can be deleted.
func TestAMetadataStreamExistsWithMetadataOfItsOwn(t *testing.T) {
	db := start(t)
	write(t, db, "$$$$s", esdb.NoStream{}, event("m"))
	if _, err := db.DeleteStream(t.Context(), "$$s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		t.Error(err)
	}
	write(t, db, "t", esdb.NoStream{}, event("b"))
	write(t, db, "$$s", esdb.StreamExists{}, event("n"))
}

// TestTheStreamOfTwoDollarsIsAppendedToByNobody: but it can be read, deleted and tombstoned as others.
func TestTheStreamOfTwoDollarsIsAppendedToByNobody(t *testing.T) {
	db := start(t)
	if _, err := db.AppendToStream(t.Context(), "$$", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event("a")); err == nil {
		t.Error("it takes an event")
	}
	if _, err := readStream(t, db, "$$", esdb.Forwards, esdb.Start{}, 1); code(err) != esdb.ErrorCodeResourceNotFound {
		t.Errorf("it reads: %v", err)
	}
	write(t, db, "$$$$", esdb.NoStream{}, event("m"))
	if _, err := db.DeleteStream(t.Context(), "$$", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := db.TombstoneStream(t.Context(), "$$", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		t.Errorf("tombstone: %v", err)
	}
	if _, err := readStream(t, db, "$$", esdb.Forwards, esdb.Start{}, 1); code(err) != esdb.ErrorCodeStreamDeleted {
		t.Errorf("after that it reads: %v", err)
	}
}

// TestABatchedAppendWithoutACorrelationIDIsAnswered: with an error, without an id, and the call goes on.
func TestABatchedAppendWithoutACorrelationIDIsAnswered(t *testing.T) {
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	var messages []*streams.BatchAppendReq
	ids := []*shared.UUID{
		nil,
		{Value: &shared.UUID_String_{String_: "no id"}},
		{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{}}},
		{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: -1, LeastSignificantBits: 7}}},
	}
	for _, id := range ids {
		m := batched("", into("s"), true, "a")
		m.CorrelationId = id
		messages = append(messages, m)
	}
	answers := appendBatch(t, protocol(t, dir), messages...)
	if len(answers) != len(ids) {
		t.Fatalf("got %v", answers)
	}
	for i, answer := range answers {
		if !proto.Equal(answer.GetCorrelationId(), ids[i]) || string(answer.GetStreamIdentifier().GetStreamName()) != "s" {
			t.Errorf("answer %d is to %v", i, answer)
		}
		if last := i == len(ids)-1; last != (answer.GetSuccess() != nil) || last != (answer.GetError().GetCode() == 0) {
			t.Errorf("answer %d is %v", i, answer)
		}
	}
}

func TestALongStreamNameIsANameLikeOthers(t *testing.T) {
	dir := t.TempDir()
	server := open(t, embedded.Options{Dir: dir})
	db := connect(t, dir)
	stream := strings.Repeat("n", 65533)
	write(t, db, stream, esdb.NoStream{}, event("a"))
	write(t, db, stream, esdb.Revision(0), event("b"))
	if _, err := db.DeleteStream(t.Context(), stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(1)}); err != nil {
		t.Fatal(err)
	}
	write(t, db, stream, esdb.NoStream{}, event("c"))
	_ = db.Close()
	shut(t, server)
	if report, err := embedded.Check(t.Context(), dir, nil); err != nil || report.Found != 0 || report.Events != 5 {
		t.Errorf("the check found %+v, %v", report, err)
	}
	open(t, embedded.Options{Dir: dir})
	found, err := readStream(t, connect(t, dir), stream, esdb.Forwards, esdb.Start{}, everything)
	if err != nil || !slices.Equal(names(found), []string{"c"}) {
		t.Errorf("got %v, %v", names(found), err)
	}
}

// TestManySmallEventsWithALongStreamNameAreRefused: each is stored with the name.
func TestManySmallEventsWithALongStreamNameAreRefused(t *testing.T) {
	db := start(t)
	var many []esdb.EventData
	for range 1100 {
		many = append(many, esdb.EventData{EventID: event("a").EventID, EventType: "t"})
	}
	_, err := db.AppendToStream(t.Context(), strings.Repeat("n", 65533), esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, many...)
	if err == nil || !strings.Contains(err.Error(), "with their stream's name") {
		t.Errorf("got %v", err)
	}
	write(t, db, strings.Repeat("n", 65533), esdb.NoStream{}, many[:10]...)
}

func TestWhatALinkPointsTo(t *testing.T) {
	db := start(t)
	write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
	for target, want := range map[string]string{
		"0@s": "a", "-1@s": "c", " 1@s": "b", "1 @s": "b", "+1@s": "b", "\t2\n@s": "c", "-0@s": "a", "-1@$$s": "$metadata",
		"5": "", "3@": "", "-1@": "", "-2@s": "", "3@s": "", "0@missing": "", "-1@missing": "", "0@@s": "", "-9223372036854775808@s": "",
		"x@s": "plain", "": "plain", "@s": "plain", "1.0@s": "plain", "- 1@s": "plain", "9223372036854775808@s": "plain", "1_0@s": "plain",
	} {
		if target == "-1@$$s" {
			describe(t, db, "s", maxCount(3))
		}
		link := typed("link to "+target, "$>")
		link.Data = []byte(target)
		stream := "links-" + target
		write(t, db, stream, esdb.NoStream{}, link)
		found, err := drain(db.ReadStream(t.Context(), stream, esdb.ReadStreamOptions{ResolveLinkTos: true}, 1))
		if err != nil || len(found) != 1 {
			t.Fatalf("%q: %v, %v", target, found, err)
		}
		got := "plain"
		if e := found[0]; e.Link != nil {
			got = ""
			if e.Event != nil {
				got = name(e.Event)
			}
		}
		if got != want {
			t.Errorf("%q is resolved to %q, want %q", target, got, want)
		}
	}
}

// TestAFilterOfNothingMatchesNothing: and a subscription with it catches up all the same.
func TestAFilterOfNothingMatchesNothing(t *testing.T) {
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	db, client := connect(t, dir), protocol(t, dir)
	write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
	options := &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
			AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}},
		CountOption: &streams.ReadReq_Options_Count{Count: 10},
		UuidOption:  &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
		FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{}},
			Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 32}, CheckpointIntervalMultiplier: 1}},
	}
	if all, err := received(t, client, options); err != nil || len(all) > 0 {
		t.Errorf("a read finds %v, %v", all, err)
	}
	options.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	following, err := client.Read(t.Context(), &streams.ReadReq{Options: options})
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := following.Recv()
		if err != nil || m.GetEvent() != nil {
			t.Fatalf("a subscription gets %v, %v", m, err)
		}
		if m.GetCaughtUp() != nil {
			return
		}
	}
}
