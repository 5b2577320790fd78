package embedded_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"loyalty/eventstore/embedded"
)

// onEveryVersion runs a test with a new store of each version, and what is expected of it there.
func onEveryVersion[W any](t *testing.T, want map[string]W, test func(t *testing.T, db *esdb.Client, i *embedded.Imitation, want W)) {
	t.Helper()
	for _, version := range embedded.Versions() {
		t.Run(version, func(t *testing.T) {
			expected, known := want[version]
			if !known {
				t.Fatalf("nothing is expected of %s", version)
			}
			i, _, db := imitate(t, "", version)
			test(t, db, i, expected)
		})
	}
}

// sameOn is one expectation of 23.10.8, and another of all later versions.
func sameOn[W any](on2310, later W) map[string]W {
	all := map[string]W{}
	for _, version := range embedded.Versions() {
		all[version] = later
	}
	all["23.10.8"] = on2310
	return all
}

// Given a version of EventStoreDB or KurrentDB
// When a client asks the server for its version
// Then it is that one, and the newest if none was chosen.
func TestAServerSaysTheVersionItBehavesAs(t *testing.T) {
	for _, version := range append(embedded.Versions(), "") {
		_, _, db := imitate(t, "", version)
		got, err := db.GetServerVersion()
		if version == "" {
			version = "25.0.1"
		}
		if want := version; err != nil || fmt.Sprintf("%d.%d.%d", got.Major, got.Minor, got.Patch) != want {
			t.Errorf("got %+v, %v; want %s", got, err, want)
		}
	}
	if _, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Version: "24.6.0"}); err == nil || !strings.Contains(err.Error(), "25.0.1") {
		t.Errorf("an unknown version: got %v, want an error that lists the known ones", err)
	}
}

// Given a log in which nothing matches, shorter than one search window
// When a client subscribes from its start
// Then the first checkpoint says 2^64−1 from 24.2 to 24.10.4, which drop all later ones.
func TestTheFirstCheckpointOfAShortLog(t *testing.T) {
	const nothing = "checkpoint 18446744073709551615"
	none := &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"none"}}
	onEveryVersion(t, map[string][]string{
		"23.10.8":  {"caught up", "checkpoint 2", "checkpoint 4"}, // it counts on from the history
		"24.10.0":  {nothing, "caught up"},
		"24.10.14": {"checkpoint 0", "caught up", "checkpoint 3"},
		"25.0.1":   {"checkpoint 0", "caught up", "checkpoint 3"},
	}, func(t *testing.T, db *esdb.Client, _ *embedded.Imitation, want []string) {
		write(t, db, "s", esdb.NoStream{}, event("a"))
		sub := followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: none, MaxSearchWindow: 2, CheckpointInterval: 1})
		for k, message := range want {
			expect(t, sub, message)
			if message == "caught up" {
				write(t, db, "s", esdb.Revision(0), events("b", "c")...)
				write(t, db, "s", esdb.Revision(2), events("d")...)
				if k+1 == len(want) { // no checkpoint comes: the event behind them comes first
					write(t, db, "s", esdb.Revision(3), typed("e", "none"))
					expect(t, sub, "e")
				}
			}
		}
	})
}

// Given a subscription that is live
// When its client is slow while more events come than 64
// Then 23.10 ends it; later versions read the log again, and say so.
func TestASlowClientOfALiveSubscription(t *testing.T) {
	onEveryVersion(t, sameOn("ends", "goes on"), func(t *testing.T, db *esdb.Client, _ *embedded.Imitation, want string) {
		sub := followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}})
		expect(t, sub, "caught up")
		const total = 10_000 // far more than the buffers between them hold
		many := make([]esdb.EventData, 1000)
		data := []byte(strings.Repeat("x", 500))
		for range total / len(many) {
			for i := range many {
				many[i] = esdb.EventData{EventID: uuid.New(), EventType: "noted.v1", ContentType: esdb.ContentTypeBinary, Data: data}
			}
			write(t, db, "s", esdb.Any{}, many...)
		}
		again := 0
		for events := 0; events < total; {
			m := sub.Recv()
			switch {
			case m.EventAppeared != nil:
				events++
			case m.CaughtUp != nil:
				again++
			case m.SubscriptionDropped != nil:
				if want != "ends" || status.Code(m.SubscriptionDropped.Error) != codes.Aborted {
					t.Fatalf("dropped after %d events: %v", events, m.SubscriptionDropped.Error)
				}
				return
			}
		}
		if want == "ends" {
			t.Errorf("all events came, and the subscription went on")
		}
		expect(t, sub, "caught up")
	})
}

// Given a stream without events
// When a client subscribes to it
// Then it has caught up at once, on 23.10 when the stream exists.
func TestASubscriptionToAMissingStream(t *testing.T) {
	onEveryVersion(t, sameOn([]string{"a", "caught up", "b"}, []string{"caught up", "a", "b"}), func(t *testing.T, db *esdb.Client, _ *embedded.Imitation, want []string) {
		sub := followStream(t, db, "s", esdb.Start{})
		if want[0] == "caught up" {
			expect(t, sub, want[0])
			want = want[1:]
		}
		write(t, db, "s", esdb.NoStream{}, event("a"))
		expect(t, sub, want[:len(want)-1]...)
		write(t, db, "s", esdb.Revision(0), event("b"))
		expect(t, sub, want[len(want)-1])
	})
}

// Given a position at which no event begins
// When a client reads or subscribes from there
// Then it is refused: on 23.10 without a reason.
func TestAPositionThatIsNoEvents(t *testing.T) {
	onEveryVersion(t, sameOn(codes.Unknown, codes.InvalidArgument), func(t *testing.T, db *esdb.Client, i *embedded.Imitation, want codes.Code) {
		write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
		i.Displace(2)
		for _, direction := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
			_, err := drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{From: at(2), Direction: direction}, 10))
			if status.Code(err) != want {
				t.Errorf("direction %d: got %v, want the code %s", direction, err, want)
			}
		}
		if _, err := db.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: at(2)}); err == nil {
			t.Error("it can be subscribed from")
		}
		_, err := drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{From: at(9), Direction: esdb.Backwards}, 10))
		if status.Code(err) != want {
			t.Errorf("backwards from beyond the end: got %v, want the code %s", err, want)
		}
		got, err := drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{From: at(1)}, 10))
		wantNames(t, "from the event before it", names(got), err, "a", "c")
		got, err = drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{From: at(4), Direction: esdb.Backwards}, 10))
		wantNames(t, "backwards from the end", names(got), err, "c", "a")
	})
}

// Given a position of two numbers, of which the second is smaller
// When a client reads backwards from there
// Then the event before it is left out.
func TestBackwardsFromTheMiddleOfATransaction(t *testing.T) {
	db := start(t)
	write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
	got, err := drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{From: esdb.Position{Commit: 3, Prepare: 2}, Direction: esdb.Backwards}, 10))
	wantNames(t, "backwards", names(got), err, "a")
}

// Given a position beyond the end
// When a client subscribes from there, and events come
// Then later versions are silent until the log has passed it, and 23.10 is not.
func TestASubscriptionFromBeyondTheEnd(t *testing.T) {
	onEveryVersion(t, sameOn([]string{"caught up", "b", "c", "d"}, []string{"caught up", "d"}), func(t *testing.T, db *esdb.Client, _ *embedded.Imitation, want []string) {
		write(t, db, "s", esdb.NoStream{}, event("a"))
		sub := followAll(t, db, esdb.SubscribeToAllOptions{From: at(3)})
		expect(t, sub, want[0])
		write(t, db, "s", esdb.Revision(0), events("b", "c", "d")...)
		expect(t, sub, want[1:]...)
	})
}

// Given an append whose data alone is as large as an append may be
// When it has metadata, too
// Then it is too large from 24.10.4 on.
func TestWhatCountsAgainstTheSizeOfAnAppend(t *testing.T) {
	onEveryVersion(t, map[string]bool{"23.10.8": true, "24.10.0": true, "24.10.14": false, "25.0.1": false},
		func(t *testing.T, db *esdb.Client, _ *embedded.Imitation, want bool) {
			e := esdb.EventData{EventType: "t", ContentType: esdb.ContentTypeBinary, Data: make([]byte, 1<<20), Metadata: []byte("{}")}
			_, err := db.AppendToStream(t.Context(), "s", esdb.AppendToStreamOptions{}, e)
			if (err == nil) != want {
				t.Errorf("got %v, want it stored: %t", err, want)
			}
			e.Data = append(e.Data, 0)
			if _, err := db.AppendToStream(t.Context(), "s", esdb.AppendToStreamOptions{}, e); err == nil {
				t.Error("a byte more of data was stored")
			}
		})
}

// Given a subscription
// When it has caught up, or comes to a checkpoint
// Then the server says when, and where, from 24.10.5 on.
func TestTimesAndPlacesOfCatchingUp(t *testing.T) {
	stamped := map[string]bool{"23.10.8": false, "24.10.0": false, "24.10.14": true, "25.0.1": true}
	all := &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
			AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}},
		FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"noted."}}},
			Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 1}, CheckpointIntervalMultiplier: 1}},
	}
	one := &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")},
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}}}},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
	}
	for _, version := range embedded.Versions() {
		t.Run(version, func(t *testing.T) {
			dir, now := t.TempDir(), time.Unix(1_700_000_000, 42)
			open(t, embedded.Options{Dir: dir, Version: version, Now: func() time.Time { return now }})
			write(t, connect(t, dir), "s", esdb.NoStream{}, events("a", "b")...)
			stamp := func(field protowire.Number) []byte { return bytesOf(field, integer(1, 1_700_000_000), integer(2, 42)) }
			wantCheckpoint, wantAll, wantStream := []byte(nil), []byte(nil), []byte(nil)
			if stamped[version] {
				wantCheckpoint = stamp(3)
				wantAll = append(stamp(1), bytesOf(3, integer(1, 2), integer(2, 2))...)
				wantStream = append(stamp(1), integer(2, 1)...)
			}
			checkpoint, caughtUp := unknownFields(t, dir, all)
			if !slices.Equal(checkpoint, wantCheckpoint) {
				t.Errorf("the checkpoint has the fields %x, want %x", checkpoint, wantCheckpoint)
			}
			if !slices.Equal(caughtUp, wantAll) {
				t.Errorf("caught up in $all has the fields %x, want %x", caughtUp, wantAll)
			}
			if _, caughtUp := unknownFields(t, dir, one); !slices.Equal(caughtUp, wantStream) {
				t.Errorf("caught up in a stream has the fields %x, want %x", caughtUp, wantStream)
			}
		})
	}
}

func integer(field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), value)
}

func bytesOf(field protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), slices.Concat(parts...))
}

// unknownFields are the fields of the first checkpoint and of CaughtUp that the client's protocol doesn't have.
func unknownFields(t *testing.T, dir string, o *streams.ReadReq_Options) (checkpoint, caughtUp []byte) {
	t.Helper()
	o = proto.Clone(o).(*streams.ReadReq_Options)
	o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	o.UuidOption = &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}}
	read, err := protocol(t, dir).Read(t.Context(), &streams.ReadReq{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := read.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if c := m.GetCheckpoint(); c != nil && checkpoint == nil {
			checkpoint = c.ProtoReflect().GetUnknown()
		}
		if c := m.GetCaughtUp(); c != nil {
			return checkpoint, c.ProtoReflect().GetUnknown()
		}
	}
}

// Given a cluster that times out repeats
// When an append is sent many times at once
// Then some are told that the outcome is unknown; asked again, all are told the same, and it is stored once.
func TestARepeatOfAnAppendThatIsUnderWay(t *testing.T) {
	i, _, db := imitate(t, "", "")
	i.TimeOutRepeats()
	var mu sync.Mutex
	timedOut, revisions := 0, map[uint64]int{}
	for round := range 200 {
		e := event(fmt.Sprint(round))
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for {
					result, err := db.AppendToStream(t.Context(), fmt.Sprint("s-", round), esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, e)
					mu.Lock()
					switch {
					case err == nil:
						revisions[result.NextExpectedVersion]++
					case code(err) == esdb.ErrorAborted:
						timedOut++
					default:
						t.Error(err)
					}
					mu.Unlock()
					if code(err) != esdb.ErrorAborted {
						return
					}
				}
			})
		}
		all.Wait()
		if timedOut > 0 {
			break
		}
	}
	if timedOut == 0 || len(revisions) != 1 {
		t.Errorf("%d timed out, and the revisions %v were answered; want some, and one", timedOut, revisions)
	}
}
