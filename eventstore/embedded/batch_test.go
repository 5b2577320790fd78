package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"loyalty/eventstore/embedded"
)

// batched is a message of a BatchAppend. Its name is the correlation id's.
func batched(name string, options *streams.BatchAppendReq_Options, final bool, events ...string) *streams.BatchAppendReq {
	m := &streams.BatchAppendReq{CorrelationId: stringUUID(name), Options: options, IsFinal: final}
	for _, e := range events {
		m.ProposedMessages = append(m.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
			Id: stringUUID(e), Metadata: map[string]string{"type": "noted.v1", "content-type": "application/json"},
			Data: event(e).Data, CustomMetadata: event(e).Metadata})
	}
	return m
}

func stringUUID(name string) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: event(name).EventID.String()}}
}

func into(stream string, position ...uint64) *streams.BatchAppendReq_Options {
	o := &streams.BatchAppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(stream)},
		ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}},
	}
	if len(position) > 0 {
		o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: position[0]}
	}
	return o
}

// appendBatch sends messages in one call and returns the answers.
func appendBatch(t *testing.T, client streams.StreamsClient, messages ...*streams.BatchAppendReq) []*streams.BatchAppendResp {
	t.Helper()
	call, err := client.BatchAppend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := call.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var answers []*streams.BatchAppendResp
	for {
		answer, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return answers
		}
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer)
	}
}

func TestOneCallTakesManyAppends(t *testing.T) {
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	answers := appendBatch(t, protocol(t, dir),
		batched("first", into("a"), true, "1", "2"),
		batched("in parts", into("b"), false, "3"),
		batched("second", into("a", 1), true, "4"),
		batched("in parts", nil, false, "5"),
		batched("in parts", nil, true),
		batched("nothing", into("a", 2), true),
		batched("again", into("a"), true, "1", "2"),
	)
	type outcome struct {
		Stream             string
		Revision, Position uint64
	}
	var got []outcome
	for i, answer := range answers {
		if want := []string{"first", "second", "in parts", "nothing", "again"}[i]; !proto.Equal(stringUUID(want), answer.GetCorrelationId()) {
			t.Errorf("answer %d is under %v, not %s's", i, answer.GetCorrelationId(), want)
		}
		success := answer.GetSuccess()
		got = append(got, outcome{string(answer.GetStreamIdentifier().GetStreamName()), success.GetCurrentRevision(), success.GetPosition().GetCommitPosition()})
	}
	want := []outcome{{"a", 1, 2}, {"a", 2, 3}, {"b", 1, 5}, {"a", 2, 5}, {"a", 1, 2}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if got := names(readAll(t, connect(t, dir), esdb.Forwards, esdb.Start{}, everything)); !slices.Equal(got, []string{"1", "2", "4", "3", "5"}) {
		t.Errorf("the log holds %v", got)
	}
}

func TestAnAppendOfABatchFailsAlone(t *testing.T) {
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	db := connect(t, dir)
	write(t, db, "there", esdb.NoStream{}, event("a"))
	write(t, db, "gone", esdb.NoStream{}, event("b"))
	if _, err := db.TombstoneStream(t.Context(), "gone", esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	large := batched("large", into("l"), false, "x")
	large.ProposedMessages[0].Data = make([]byte, 1<<20)
	untyped := batched("untyped", into("u"), true, "x")
	delete(untyped.ProposedMessages[0].Metadata, "type")
	late, later := into("late"), into("later")
	late.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(0)}
	later.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(time.Now().Add(-time.Minute))}
	unexpected := into("unexpected")
	unexpected.ExpectedStreamPosition = nil

	noStream := &emptypb.Empty{}
	for _, c := range []struct {
		message *streams.BatchAppendReq
		code    codes.Code
		says    string
		details proto.Message
	}{
		{batched("wrong version", into("there"), true, "x"), codes.AlreadyExists, "WrongExpectedVersion", &shared.WrongExpectedVersion{
			CurrentStreamRevisionOption:  &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: 0},
			ExpectedStreamPositionOption: &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: noStream}}},
		{batched("not there", into("nowhere", 7), true, "x"), codes.AlreadyExists, "WrongExpectedVersion", &shared.WrongExpectedVersion{
			CurrentStreamRevisionOption:  &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: noStream},
			ExpectedStreamPositionOption: &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: 7}}},
		{batched("gone", into("gone", 0), true, "x"), codes.NotFound, "StreamDeleted",
			&shared.StreamDeleted{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("gone")}}},
		{batched("$all", into("$all"), true, "x"), codes.PermissionDenied, "AccessDenied", &shared.AccessDenied{}},
		{large, codes.InvalidArgument, "MaximumAppendSizeExceeded", &shared.MaximumAppendSizeExceeded{MaxAppendSize: 1 << 20}},
		{untyped, codes.InvalidArgument, "BadRequest", &shared.BadRequest{Message: "Required Metadata Property 'type' is missing"}},
		{batched("no name", into(""), true, "x"), codes.InvalidArgument, "BadRequest", &shared.BadRequest{Message: "stream name is empty"}},
		{batched("unexpected", unexpected, true, "x"), codes.InvalidArgument, "BadRequest", &shared.BadRequest{Message: "expected revision is missing"}},
		{batched("late", late, true, "x"), codes.DeadlineExceeded, "Timeout", &shared.Timeout{}},
		{batched("later", later, true, "x"), codes.DeadlineExceeded, "Timeout", &shared.Timeout{}},
	} {
		t.Run(c.says+" "+string(c.message.GetOptions().GetStreamIdentifier().GetStreamName()), func(t *testing.T) {
			next := fmt.Sprint("after ", c.message.GetCorrelationId())
			answers := appendBatch(t, protocol(t, dir), c.message, batched(next, into(next), true, next))
			if len(answers) != 2 {
				t.Fatalf("got %d answers", len(answers))
			}
			failure := answers[0].GetError()
			if failure.GetCode() != int32(c.code) || failure.GetMessage() != c.says || len(failure.GetDetails()) != 1 {
				t.Fatalf("got %v", failure)
			}
			details, err := failure.GetDetails()[0].UnmarshalNew()
			if err != nil || !proto.Equal(details, c.details) {
				t.Errorf("the details are %v, %v; want %v", details, err, c.details)
			}
			if answers[1].GetSuccess() == nil {
				t.Errorf("the append after it got %v", answers[1].GetError())
			}
		})
	}
}

func TestABatchHoldsBoundedWork(t *testing.T) {
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	var messages []*streams.BatchAppendReq
	for i := range 1025 {
		messages = append(messages, batched(fmt.Sprint(i), into(fmt.Sprint("s", i)), false, fmt.Sprint("e", i)))
	}
	messages = append(messages, batched("0", nil, true))
	answers := appendBatch(t, protocol(t, dir), messages...)
	if len(answers) != 2 || answers[0].GetError().GetMessage() != "BadRequest" || answers[1].GetSuccess() == nil {
		t.Errorf("got %v", answers)
	}
	if all := readAll(t, connect(t, dir), esdb.Forwards, esdb.Start{}, everything); len(all) != 1 {
		t.Errorf("the log holds %d events", len(all))
	}
}

func TestABatchHoldsBoundedBytes(t *testing.T) {
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	var messages []*streams.BatchAppendReq
	for i := range 20 { // 20 MB begun, where 16 MiB may be
		name := fmt.Sprint(i)
		messages = append(messages, batched(name, into(name), false)) // a small beginning
	}
	for i := range 20 {
		large := batched(fmt.Sprint(i), nil, false, fmt.Sprint("e", i))
		large.ProposedMessages[0].Data = make([]byte, 1_000_000)
		messages = append(messages, large)
	}
	messages = append(messages, batched("0", nil, true))
	answers := appendBatch(t, protocol(t, dir), messages...)
	refused, placed := 0, 0
	for _, answer := range answers {
		if answer.GetError().GetMessage() == "BadRequest" {
			refused++
		} else if answer.GetSuccess() != nil {
			placed++
		}
	}
	if refused != 4 || placed != 1 || len(answers) != 5 {
		t.Errorf("%d are refused and %d placed, of %d", refused, placed, len(answers))
	}
}

func TestAClosingServerEndsABatchThatIsOpen(t *testing.T) {
	dir := t.TempDir()
	server := open(t, embedded.Options{Dir: dir})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	call, err := protocol(t, dir).BatchAppend(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(batched("a", into("s"), true, "a")); err != nil {
		t.Fatal(err)
	}
	if answer, err := call.Recv(); err != nil || answer.GetSuccess() == nil {
		t.Fatalf("got %v, %v", answer, err)
	}
	shut(t, server)
	if _, err := call.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}
