package embedded_test

import (
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"loyalty/eventstore/embedded"
)

// TestWhatAClientIsToldOfAnError checks the status and the trailers of each error, as they go over the wire.
func TestWhatAClientIsToldOfAnError(t *testing.T) {
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	db, client := connect(t, dir), protocol(t, dir)
	write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
	write(t, db, "größe", esdb.NoStream{}, event("c"))
	for _, stream := range []string{"gone", "größe"} {
		if _, err := db.TombstoneStream(t.Context(), stream, esdb.TombstoneStreamOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	named := func(stream string) *shared.StreamIdentifier {
		return &shared.StreamIdentifier{StreamName: []byte(stream)}
	}
	options := func(stream string) *streams.AppendReq {
		return &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
			StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}}}}}
	}
	proposed := func(size int, properties map[string]string) *streams.AppendReq {
		return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id: &shared.UUID{Value: &shared.UUID_String_{String_: event("x").EventID.String()}}, Metadata: properties, Data: make([]byte, size)}}}
	}
	good := map[string]string{"type": "t", "content-type": "application/json"}
	appending := func(messages ...*streams.AppendReq) func(*metadata.MD) error {
		return func(trailers *metadata.MD) error {
			stream, err := client.Append(t.Context(), grpc.Trailer(trailers))
			if err != nil {
				return err
			}
			for _, m := range messages {
				if err := stream.Send(m); err != nil {
					t.Fatalf("the server doesn't take everything before it fails: %v", err)
				}
			}
			_, err = stream.CloseAndRecv()
			return err
		}
	}
	reading := func(stream string) func(*metadata.MD) error {
		return func(trailers *metadata.MD) error {
			reader, err := client.Read(t.Context(), &streams.ReadReq{Options: &streams.ReadReq_Options{
				StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{StreamIdentifier: named(stream),
					RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}}}},
				CountOption: &streams.ReadReq_Options_Count{Count: 1},
				UuidOption:  &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
			}}, grpc.Trailer(trailers))
			if err == nil {
				_, err = reader.Recv()
			}
			return err
		}
	}
	deleting := func(stream string, revision uint64) func(*metadata.MD) error {
		return func(trailers *metadata.MD) error {
			_, err := client.Delete(t.Context(), &streams.DeleteReq{Options: &streams.DeleteReq_Options{StreamIdentifier: named(stream),
				ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: revision}}}, grpc.Trailer(trailers))
			return err
		}
	}
	large := slices.Repeat([]*streams.AppendReq{proposed(500_000, good)}, 12)

	for _, c := range []struct {
		clause   string
		call     func(*metadata.MD) error
		code     codes.Code
		trailers map[string]string
	}{
		{"append to a tombstoned stream", appending(options("gone"), proposed(1, good)), codes.FailedPrecondition,
			map[string]string{"exception": "stream-deleted", "stream-name": "gone"}},
		{"read of a tombstoned stream", reading("gone"), codes.FailedPrecondition,
			map[string]string{"exception": "stream-deleted", "stream-name": "gone"}},
		{"a name that no header can hold", reading("größe"), codes.FailedPrecondition,
			map[string]string{"exception": "stream-deleted", "stream-name": "gr%C3%B6%C3%9Fe"}},
		{"delete at a wrong version", deleting("s", 5), codes.FailedPrecondition,
			map[string]string{"exception": "wrong-expected-version", "stream-name": "s", "expected-version": "5", "actual-version": "1"}},
		{"too big, all of it taken first", appending(append([]*streams.AppendReq{options("s")}, large...)...), codes.InvalidArgument,
			map[string]string{"exception": "maximum-append-size-exceeded", "maximum-append-size": "1048576"}},
		{"an event without a type", appending(options("s"), proposed(1, map[string]string{"content-type": "application/json"})), codes.InvalidArgument,
			map[string]string{"exception": "missing-required-metadata-property", "required-metadata-properties": "type,content-type"}},
		{"an event without a content type", appending(options("s"), proposed(1, map[string]string{"type": "t"})), codes.InvalidArgument,
			map[string]string{"exception": "missing-required-metadata-property"}},
		{"append to $all", appending(options("$all"), proposed(1, good)), codes.PermissionDenied,
			map[string]string{"exception": "access-denied"}},
		{"append without options", appending(proposed(1, good)), codes.InvalidArgument, nil},
		{"append without any message", appending(), codes.InvalidArgument, nil},
		{"append without an expected revision", appending(&streams.AppendReq{Content: &streams.AppendReq_Options_{
			Options: &streams.AppendReq_Options{StreamIdentifier: named("s")}}}, proposed(1, good)), codes.InvalidArgument, nil},
		{"options where an event is due", appending(options("s"), options("s")), codes.InvalidArgument, nil},
		{"an id that is none", appending(options("s"), &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{
			ProposedMessage: &streams.AppendReq_ProposedMessage{Metadata: good}}}), codes.InvalidArgument, nil},
		{"a name that is not text", reading("\xff"), codes.InvalidArgument, nil},
	} {
		t.Run(c.clause, func(t *testing.T) {
			var trailers metadata.MD
			err := c.call(&trailers)
			if status.Code(err) != c.code {
				t.Errorf("got %v, want %v", err, c.code)
			}
			for key, want := range c.trailers {
				if got := trailers.Get(key); len(got) != 1 || got[0] != want {
					t.Errorf("trailer %s is %q, want %q", key, got, want)
				}
			}
		})
	}
	if all := readAll(t, db, esdb.Forwards, esdb.Start{}, everything); len(all) != 5 {
		t.Errorf("%d events, want the 5 of before", len(all))
	}
}

func TestWrongVersionSaysWhatWasExpectedAndWhatIs(t *testing.T) {
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	client := protocol(t, dir)
	write(t, connect(t, dir), "s", esdb.NoStream{}, events("a", "b")...)
	ask := func(o *streams.AppendReq_Options) *streams.AppendResp_WrongExpectedVersion {
		t.Helper()
		stream, err := client.Append(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: o}}); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.CloseAndRecv()
		if err != nil || resp.GetWrongExpectedVersion() == nil {
			t.Fatalf("got %v, %v", resp, err)
		}
		return resp.GetWrongExpectedVersion()
	}
	stream := &shared.StreamIdentifier{StreamName: []byte("s")}
	nothing := &shared.StreamIdentifier{StreamName: []byte("nothing")}

	w := ask(&streams.AppendReq_Options{StreamIdentifier: stream, ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: 7}})
	if w.GetCurrentRevision() != 1 || w.GetCurrentRevision_20_6_0() != 1 || w.GetExpectedRevision() != 7 || w.GetExpectedRevision_20_6_0() != 7 {
		t.Errorf("a revision: %v", w)
	}
	w = ask(&streams.AppendReq_Options{StreamIdentifier: stream, ExpectedStreamRevision: &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}})
	if w.GetCurrentRevision() != 1 || w.GetExpectedNoStream() == nil || w.GetExpectedRevision_20_6_0() != 1<<64-1 {
		t.Errorf("no stream: %v", w)
	}
	w = ask(&streams.AppendReq_Options{StreamIdentifier: stream, ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: 1<<64 - 1}})
	if w.GetCurrentRevision() != 1 || w.GetExpectedRevision() != 1<<64-1 || w.GetExpectedRevision_20_6_0() != 1<<64-1 || w.GetExpectedNoStream() != nil {
		t.Errorf("no stream, given as a revision: %v", w)
	}
	w = ask(&streams.AppendReq_Options{StreamIdentifier: nothing, ExpectedStreamRevision: &streams.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}})
	if w.GetCurrentNoStream() == nil || w.GetNoStream_20_6_0() == nil || w.GetExpectedStreamExists() == nil || w.GetStreamExists_20_6_0() == nil {
		t.Errorf("exists: %v", w)
	}
}
