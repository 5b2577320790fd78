package embedded_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"loyalty/eventstore/embedded"
)

func TestReadStream(t *testing.T) {
	db := start(t)
	write(t, db, "other", esdb.NoStream{}, event("x"))
	for i := range 10 {
		write(t, db, "s", esdb.Any{}, event(fmt.Sprint("s", i)))
		write(t, db, "s0", esdb.Any{}, event(fmt.Sprint("s0", i))) // a name that begins like the other
	}
	for _, c := range []struct {
		clause    string
		direction esdb.Direction
		from      esdb.StreamPosition
		count     uint64
		want      []uint64
	}{
		{"forwards from the start", esdb.Forwards, esdb.Start{}, everything, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"forwards from a revision, that one included", esdb.Forwards, esdb.Revision(7), everything, []uint64{7, 8, 9}},
		{"forwards from the last revision", esdb.Forwards, esdb.Revision(9), everything, []uint64{9}},
		{"forwards from behind the last revision", esdb.Forwards, esdb.Revision(10), everything, nil},
		{"forwards from far behind", esdb.Forwards, esdb.Revision(1 << 40), everything, nil},
		{"forwards, no more than asked for", esdb.Forwards, esdb.Revision(3), 2, []uint64{3, 4}},
		{"backwards from the end", esdb.Backwards, esdb.End{}, everything, []uint64{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
		{"backwards from a revision, that one included", esdb.Backwards, esdb.Revision(2), everything, []uint64{2, 1, 0}},
		{"backwards from the start", esdb.Backwards, esdb.Start{}, everything, []uint64{0}},
		{"backwards from behind the last revision", esdb.Backwards, esdb.Revision(99), 3, []uint64{9, 8, 7}},
		{"backwards, no more than asked for", esdb.Backwards, esdb.End{}, 2, []uint64{9, 8}},
	} {
		t.Run(c.clause, func(t *testing.T) {
			found, err := readStream(t, db, "s", c.direction, c.from, c.count)
			if err != nil {
				t.Fatal(err)
			}
			if got := revisions(found); !slices.Equal(got, c.want) {
				t.Errorf("got revisions %v, want %v", got, c.want)
			}
			for _, e := range found {
				if want := fmt.Sprint("s", e.OriginalEvent().EventNumber); e.OriginalEvent().StreamID != "s" || name(e.OriginalEvent()) != want {
					t.Errorf("event %d of %s is %q", e.OriginalEvent().EventNumber, e.OriginalEvent().StreamID, name(e.OriginalEvent()))
				}
			}
		})
	}
	for direction, from := range map[esdb.Direction]esdb.StreamPosition{esdb.Forwards: esdb.Start{}, esdb.Backwards: esdb.End{}} {
		t.Run(fmt.Sprint("a stream that isn't there, direction ", direction), func(t *testing.T) {
			_, err := readStream(t, db, "nothing", direction, from, 1)
			if code(err) != esdb.ErrorCodeResourceNotFound {
				t.Errorf("got %v, want not found", err)
			}
		})
	}
}

func TestReadAll(t *testing.T) {
	db := start(t)
	var want []string
	for i := range 10 {
		n := fmt.Sprint("e", i)
		write(t, db, fmt.Sprint("s", i%3), esdb.Any{}, event(n))
		want = append(want, n)
	}
	for _, c := range []struct {
		clause    string
		direction esdb.Direction
		from      esdb.AllPosition
		count     uint64
		want      []uint64
	}{
		{"forwards from the start", esdb.Forwards, esdb.Start{}, everything, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{"forwards from position zero", esdb.Forwards, esdb.Position{}, 2, []uint64{1, 2}},
		{"forwards from a position, that one included", esdb.Forwards, esdb.Position{Commit: 8, Prepare: 8}, everything, []uint64{8, 9, 10}},
		{"forwards from behind the last", esdb.Forwards, esdb.Position{Commit: 11, Prepare: 11}, everything, nil},
		{"forwards, no more than asked for", esdb.Forwards, esdb.Position{Commit: 3, Prepare: 3}, 2, []uint64{3, 4}},
		{"backwards from the end", esdb.Backwards, esdb.End{}, everything, []uint64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
		{"backwards from a position, that one excluded", esdb.Backwards, esdb.Position{Commit: 3, Prepare: 3}, everything, []uint64{2, 1}},
		{"backwards from behind the last", esdb.Backwards, esdb.Position{Commit: 11, Prepare: 11}, 1, []uint64{10}},
		{"backwards from the start", esdb.Backwards, esdb.Start{}, everything, nil},
		{"backwards, no more than asked for", esdb.Backwards, esdb.End{}, 2, []uint64{10, 9}},
	} {
		t.Run(c.clause, func(t *testing.T) {
			all := readAll(t, db, c.direction, c.from, c.count)
			if got := positions(all); !slices.Equal(got, c.want) {
				t.Errorf("got positions %v, want %v", got, c.want)
			}
			for _, e := range all {
				if at := e.OriginalEvent().Position.Commit; name(e.OriginalEvent()) != want[at-1] || *e.Commit != at {
					t.Errorf("position %d (resolved event: %d) is %q, want %q", at, *e.Commit, name(e.OriginalEvent()), want[at-1])
				}
			}
		})
	}
	t.Run("an empty store", func(t *testing.T) {
		db := start(t)
		for _, direction := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
			if all := readAll(t, db, direction, esdb.End{}, everything); len(all) != 0 {
				t.Errorf("direction %v: %d events", direction, len(all))
			}
		}
	})
}

func TestAnEventIsReadAsItWasWritten(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 2, 3, 4, 5, 6, 789_012_300, time.UTC)
	open(t, embedded.Options{Dir: dir, Now: func() time.Time { return now }})
	db := connect(t, dir)
	binary := event("b")
	binary.ContentType, binary.Data, binary.Metadata = esdb.ContentTypeBinary, []byte{0, 255, 128}, nil
	result := write(t, db, "größe", esdb.NoStream{}, event("a"), binary)

	found, err := readStream(t, db, "größe", esdb.Forwards, esdb.Start{}, everything)
	if err != nil || len(found) != 2 {
		t.Fatal(found, err)
	}
	for i, sent := range []esdb.EventData{event("a"), binary} {
		e := found[i].OriginalEvent()
		contentType := map[esdb.ContentType]string{esdb.ContentTypeJson: "application/json", esdb.ContentTypeBinary: "application/octet-stream"}[sent.ContentType]
		if e.EventID != sent.EventID || e.EventType != sent.EventType || e.ContentType != contentType || e.StreamID != "größe" ||
			e.EventNumber != uint64(i) || !bytes.Equal(e.Data, sent.Data) || !bytes.Equal(e.UserMetadata, sent.Metadata) ||
			!e.CreatedDate.Equal(now) || e.Position.Commit != uint64(i+1) || e.Position.Prepare != uint64(i+1) {
			t.Errorf("event %d is %+v, sent was %+v", i, e, sent)
		}
	}
	if result.CommitPosition != 2 {
		t.Errorf("the append answered position %d, want 2", result.CommitPosition)
	}
}

// TestReadManyPages has more events, and larger ones, than a page takes.
func TestReadManyPages(t *testing.T) {
	db := start(t)
	const total = 3000
	for i := 0; i < total; i += 100 {
		var batch []esdb.EventData
		for j := range 100 {
			e := event(fmt.Sprint(i + j))
			if j%40 == 0 {
				e.Metadata = make([]byte, 100_000)
			}
			batch = append(batch, e)
		}
		write(t, db, "long", esdb.Any{}, batch...)
	}
	check := func(clause string, all []*esdb.ResolvedEvent, nth func(i int) int) {
		t.Helper()
		if len(all) != total {
			t.Fatalf("%s: %d events, want %d", clause, len(all), total)
		}
		for i, e := range all {
			if want := fmt.Sprint(nth(i)); name(e.OriginalEvent()) != want {
				t.Fatalf("%s: event %d is %q, want %q", clause, i, name(e.OriginalEvent()), want)
			}
		}
	}
	up, down := func(i int) int { return i }, func(i int) int { return total - 1 - i }
	check("all forwards", readAll(t, db, esdb.Forwards, esdb.Start{}, everything), up)
	check("all backwards", readAll(t, db, esdb.Backwards, esdb.End{}, everything), down)
	for direction, nth := range map[esdb.Direction]func(int) int{esdb.Forwards: up, esdb.Backwards: down} {
		from := map[esdb.Direction]esdb.StreamPosition{esdb.Forwards: esdb.Start{}, esdb.Backwards: esdb.End{}}[direction]
		all, err := readStream(t, db, "long", direction, from, everything)
		if err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprint("stream, direction ", direction), all, nth)
	}
}

// protocol is a bare client of the protocol, for what other languages' clients ask for and the official Go client doesn't.
func protocol(t *testing.T, dir string) streams.StreamsClient {
	t.Helper()
	target, err := embedded.SocketTarget(dir)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return streams.NewStreamsClient(conn)
}

func received(t *testing.T, client streams.StreamsClient, options *streams.ReadReq_Options) ([]*streams.ReadResp, error) {
	t.Helper()
	stream, err := client.Read(t.Context(), &streams.ReadReq{Options: options})
	if err != nil {
		t.Fatal(err)
	}
	var all []*streams.ReadResp
	for {
		m, err := stream.Recv()
		if err != nil {
			if err.Error() == "EOF" {
				err = nil
			}
			return all, err
		}
		all = append(all, m)
	}
}

func TestReadForOtherClients(t *testing.T) {
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	db, client := connect(t, dir), protocol(t, dir)
	write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
	asText := &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}}
	ofStream := func(revision uint64) *streams.ReadReq_Options_Stream {
		return &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")},
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Revision{Revision: revision},
		}}
	}
	count := &streams.ReadReq_Options_Count{Count: 10}

	t.Run("ids as text", func(t *testing.T) {
		all, err := received(t, client, &streams.ReadReq_Options{StreamOption: ofStream(1), CountOption: count, UuidOption: asText})
		if err != nil || len(all) != 2 {
			t.Fatal(all, err)
		}
		e := all[0].GetEvent().GetEvent()
		if e.GetId().GetString_() != event("b").EventID.String() || string(e.GetData()) != string(event("b").Data) || e.GetStreamRevision() != 1 || e.GetCommitPosition() != 2 {
			t.Errorf("got %v", e)
		}
	})
	t.Run("compatibility 1: the last revision follows", func(t *testing.T) {
		all, err := received(t, client, &streams.ReadReq_Options{StreamOption: ofStream(1), CountOption: count, UuidOption: asText,
			ControlOption: &streams.ReadReq_Options_ControlOption{Compatibility: 1}})
		if err != nil || len(all) != 3 || all[2].GetLastStreamPosition() != 2 {
			t.Fatal(all, err)
		}
	})
	t.Run("compatibility 1: the first revision is told to who begins elsewhere", func(t *testing.T) {
		all, err := received(t, client, &streams.ReadReq_Options{StreamOption: ofStream(7), CountOption: count, UuidOption: asText,
			ControlOption: &streams.ReadReq_Options_ControlOption{Compatibility: 1}})
		if err != nil || len(all) != 2 || all[0].GetFirstStreamPosition() != 3 || all[1].GetLastStreamPosition() != 2 {
			t.Fatal(all, err)
		}
	})
	t.Run("a filtered read of $all", func(t *testing.T) {
		write(t, db, "t", esdb.NoStream{}, typed("d", "other"))
		for _, direction := range []streams.ReadReq_Options_ReadDirection{streams.ReadReq_Options_Forwards, streams.ReadReq_Options_Backwards} {
			from := &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}
			if direction == streams.ReadReq_Options_Backwards {
				from.AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
			}
			all, err := received(t, client, &streams.ReadReq_Options{
				StreamOption: &streams.ReadReq_Options_All{All: from}, ReadDirection: direction, CountOption: count, UuidOption: asText,
				FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
					Filter: &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"oth"}}},
					Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 1},
				}},
			})
			if err != nil || len(all) != 1 || all[0].GetEvent().GetCommitPosition() != 4 {
				t.Errorf("%v: %v, %v", direction, all, err)
			}
		}
	})
	for clause, options := range map[string]*streams.ReadReq_Options{
		"no form of ids":            {StreamOption: ofStream(0), CountOption: count},
		"neither stream nor all":    {CountOption: count, UuidOption: asText},
		"neither read nor follow":   {StreamOption: ofStream(0), UuidOption: asText},
		"a revision out of range":   {StreamOption: ofStream(1 << 63), CountOption: count, UuidOption: asText},
		"a subscription backwards":  {StreamOption: ofStream(0), CountOption: &streams.ReadReq_Options_Subscription{}, UuidOption: asText, ReadDirection: streams.ReadReq_Options_Backwards},
		"a filter without criteria": {StreamOption: ofStream(0), CountOption: count, UuidOption: asText, FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{}}},
	} {
		t.Run("refused: "+clause, func(t *testing.T) {
			if all, err := received(t, client, options); err == nil || len(all) > 0 {
				t.Errorf("got %v, %v", all, err)
			}
		})
	}
}
