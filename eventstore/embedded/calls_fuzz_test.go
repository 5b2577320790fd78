package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"loyalty/eventstore/embedded"
)

// What the calls of the fuzz target are made of.
var (
	fuzzNames = []string{
		"t", "$$t", "$$$$t", "$$$$$$t", "s", "$$s", "$$", "$$$$", "", "$all", "$$$all", "$", "größe", "a\xffb",
		strings.Repeat("$$", 8) + "t", strings.Repeat("$$", 9) + "t", strings.Repeat("n", 300), strings.Repeat("n", 65533), strings.Repeat("n", 65534),
		"$$" + strings.Repeat("n", 65531),
	}
	fuzzTypes = []string{"noted.v1", "$>", "$metadata", "$streamDeleted", "", "t"}
	fuzzData  = []string{
		"", "{}", "{", `{"$tb":1}`, `{"$tb":9223372036854775807}`, `{"$tb":-1}`, `{"$maxCount":1}`, `{"$maxAge":1,"x":"y"}`, `{"$tb":9223372036854775808}`,
		"0@t", "1@$$t", "-1@s", "9223372036854775807@t", "9223372036854775807@$$t", "-9223372036854775808@t", " 1@s", "5", "3@", "@", "x@s",
	}
	fuzzRevisions = []uint64{0, 1, 2, 3, 30, math.MaxInt64 - 1, math.MaxInt64, 1 << 63, math.MaxUint64 - 1, math.MaxUint64}
	fuzzPatterns  = []string{"", "^t", `^[^\$].*`, "(", "^(?!t)"}
)

// fuzzCalls reads calls from bytes. At their end it reads zeros.
type fuzzCalls struct {
	*testing.T
	bytes  []byte
	client streams.StreamsClient
}

func (c *fuzzCalls) byte() int {
	if len(c.bytes) == 0 {
		return 0
	}
	b := c.bytes[0]
	c.bytes = c.bytes[1:]
	return int(b)
}

func (c *fuzzCalls) yes() bool { return c.byte()&1 == 1 }

func pick[T any](c *fuzzCalls, from []T) T { return from[c.byte()%len(from)] }

func (c *fuzzCalls) stream() *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(pick(c, fuzzNames))}
}

// id is one of a few, so that they repeat.
func (c *fuzzCalls) id() *shared.UUID {
	n := c.byte() % 12
	if n == 11 {
		return nil
	}
	return stringUUID(fmt.Sprint(n))
}

func (c *fuzzCalls) properties() map[string]string {
	properties := map[string]string{"type": pick(c, fuzzTypes), "content-type": "application/json"}
	if c.byte()%8 == 7 {
		delete(properties, "type")
	}
	return properties
}

// ended fails if the server says that it is its own fault that a call failed, or didn't answer.
func (c *fuzzCalls) ended(call string, err error) {
	switch status.Code(err) {
	case codes.Internal, codes.DataLoss, codes.DeadlineExceeded, codes.Unavailable, codes.Unimplemented:
		c.Errorf("%s: %v", call, err)
	}
}

func (c *fuzzCalls) append(ctx context.Context) {
	o := &streams.AppendReq_Options{StreamIdentifier: c.stream()}
	switch c.byte() % 5 {
	case 0:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_Any{Any: &shared.Empty{}}
	case 1:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	case 2:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	case 3:
		o.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: pick(c, fuzzRevisions)}
	}
	call, err := c.client.Append(ctx)
	if err == nil {
		// The error of a call that ended early comes with the answer.
		_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: o}})
		for range c.byte() % 4 {
			_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
				Id: c.id(), Metadata: c.properties(), Data: []byte(pick(c, fuzzData)), CustomMetadata: []byte(pick(c, fuzzData))}}})
		}
		_, err = call.CloseAndRecv()
	}
	c.ended("append", err)
}

func (c *fuzzCalls) batch(ctx context.Context) {
	call, err := c.client.BatchAppend(ctx)
	if err != nil {
		c.ended("batch append", err)
		return
	}
	for range 1 + c.byte()%4 {
		m := &streams.BatchAppendReq{CorrelationId: c.id(), IsFinal: c.byte()%4 > 0}
		if c.byte()%4 > 0 {
			m.Options = &streams.BatchAppendReq_Options{StreamIdentifier: c.stream()}
			switch c.byte() % 5 {
			case 0:
				m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}
			case 1:
				m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
			case 2:
				m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}}
			case 3:
				m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: pick(c, fuzzRevisions)}
			}
		}
		for range c.byte() % 3 {
			m.ProposedMessages = append(m.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
				Id: c.id(), Metadata: c.properties(), Data: []byte(pick(c, fuzzData))})
		}
		_ = call.Send(m)
	}
	_ = call.CloseSend()
	for err == nil {
		_, err = call.Recv()
	}
	if !errors.Is(err, io.EOF) {
		c.ended("batch append", err)
	}
}

func (c *fuzzCalls) delete(ctx context.Context) {
	o := &streams.DeleteReq_Options{StreamIdentifier: c.stream()}
	switch c.byte() % 3 {
	case 0:
		o.ExpectedStreamRevision = &streams.DeleteReq_Options_Any{Any: &shared.Empty{}}
	case 1:
		o.ExpectedStreamRevision = &streams.DeleteReq_Options_Revision{Revision: pick(c, fuzzRevisions)}
	case 2:
		o.ExpectedStreamRevision = &streams.DeleteReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	}
	_, err := c.client.Delete(ctx, &streams.DeleteReq{Options: o})
	c.ended("delete", err)
}

func (c *fuzzCalls) tombstone(ctx context.Context) {
	o := &streams.TombstoneReq_Options{StreamIdentifier: c.stream()}
	if o.ExpectedStreamRevision = (&streams.TombstoneReq_Options_Any{Any: &shared.Empty{}}); c.yes() {
		o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Revision{Revision: pick(c, fuzzRevisions)}
	}
	_, err := c.client.Tombstone(ctx, &streams.TombstoneReq{Options: o})
	c.ended("tombstone", err)
}

func (c *fuzzCalls) read(ctx context.Context) {
	o := &streams.ReadReq_Options{
		ReadDirection: streams.ReadReq_Options_ReadDirection(c.byte() % 2), ResolveLinks: c.yes(),
		CountOption: &streams.ReadReq_Options_Count{Count: pick(c, []uint64{0, 1, 5, math.MaxInt64, math.MaxUint64})},
		UuidOption:  &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}
	if c.yes() {
		o.ControlOption = &streams.ReadReq_Options_ControlOption{Compatibility: 1}
	}
	if c.yes() {
		of := &streams.ReadReq_Options_StreamOptions{StreamIdentifier: c.stream()}
		if of.RevisionOption = (&streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}); c.yes() {
			of.RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: pick(c, fuzzRevisions)}
		}
		o.StreamOption = &streams.ReadReq_Options_Stream{Stream: of}
	} else {
		of := &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}}
		if c.yes() {
			at := pick(c, fuzzRevisions)
			of.AllOption = &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{CommitPosition: at, PreparePosition: at}}
		}
		o.StreamOption = &streams.ReadReq_Options_All{All: of}
	}
	if c.byte()%3 == 2 {
		expression := &streams.ReadReq_Options_FilterOptions_Expression{Regex: pick(c, fuzzPatterns)}
		if c.yes() {
			expression.Prefix = []string{"t", "$$"}
		}
		o.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: expression}}}
	}
	call, err := c.client.Read(ctx, &streams.ReadReq{Options: o})
	for err == nil {
		_, err = call.Recv()
	}
	if !errors.Is(err, io.EOF) {
		c.ended("read", err)
	}
}

// everythingStored reads $all in one direction, and fails unless it holds whole events at positions without a gap.
func (c *fuzzCalls) everythingStored(ctx context.Context, direction streams.ReadReq_Options_ReadDirection) (all [][]byte) {
	from := &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}
	if direction == streams.ReadReq_Options_Backwards {
		from.AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
	}
	call, err := c.client.Read(ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: from}, ReadDirection: direction,
		CountOption: &streams.ReadReq_Options_Count{Count: math.MaxUint64},
		UuidOption:  &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
	}})
	if err != nil {
		c.Fatal(err)
	}
	for {
		m, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.Fatalf("read $all, direction %v: %v", direction, err)
		}
		event, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.GetEvent().GetEvent())
		if err != nil {
			c.Fatal(err)
		}
		all = append(all, event)
	}
	if direction == streams.ReadReq_Options_Backwards {
		for i := range len(all) / 2 {
			all[i], all[len(all)-1-i] = all[len(all)-1-i], all[i]
		}
	}
	return all
}

func equalEvents(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// FuzzWhatAnyCallStoresIsRead makes calls of all kinds in any order and with any arguments. None is answered with a fault of the server, and
// after a restart the log reads as before, in both directions, and Check finds nothing.
func FuzzWhatAnyCallStoresIsRead(f *testing.F) {
	appendAny := func(stream, events byte) []byte {
		calls := []byte{0, stream, 0, events}
		for i := range events {
			calls = append(calls, i, 0, 0, 1, 0)
		}
		return calls
	}
	f.Add(bytes.Join([][]byte{appendAny(4, 1), {3, 5, 0}, {2, 4, 0}}, nil))                                     // s, tombstone of $$s, delete of s
	f.Add(bytes.Join([][]byte{appendAny(4, 2), {2, 4, 0}, appendAny(5, 1), {3, 5, 0}, appendAny(4, 0)}, nil))   // undeleted by metadata
	f.Add(bytes.Join([][]byte{appendAny(1, 1), {2, 1, 0}, appendAny(1, 1), {2, 2, 0}, appendAny(2, 1)}, nil))   // metadata of metadata, deleted
	f.Add(bytes.Join([][]byte{{3, 6, 0}, appendAny(7, 1), {2, 6, 0}, {3, 7, 0}, {2, 6, 0}}, nil))               // $$ and $$$$
	f.Add(bytes.Join([][]byte{appendAny(17, 1), {2, 17, 0}, appendAny(17, 1), appendAny(19, 2), {3, 17}}, nil)) // long names
	f.Add(bytes.Join([][]byte{appendAny(14, 1), {2, 14, 0}, appendAny(15, 1), {3, 0, 0}, appendAny(14, 1)}, nil))
	f.Add([]byte{1, 3, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 4, 9, 1, 2, 0, 0, 4, 0, 1, 0, 1, 4, 1, 9, 0})
	f.Add([]byte{0, 0, 3, 6, 1, 0, 0, 0, 3, 0, 0, 0, 3, 9, 1, 0, 0, 0, 3, 0, 4, 1, 1, 4, 1, 1, 0, 1, 5, 0, 0})
	f.Fuzz(func(t *testing.T, calls []byte) {
		if len(calls) > 1<<10 {
			return
		}
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		target, err := embedded.SocketTarget(dir)
		if err != nil {
			t.Fatal(err)
		}
		c := &fuzzCalls{T: t, bytes: calls}
		served := func(work func()) {
			server, err := embedded.Open(ctx, embedded.Options{Dir: dir})
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			defer shut(t, server)
			conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c.client = streams.NewStreamsClient(conn)
			work()
		}
		var before [][]byte
		served(func() {
			for len(c.bytes) > 0 {
				pick(c, []func(context.Context){c.append, c.batch, c.delete, c.tombstone, c.read})(ctx)
			}
			before = c.everythingStored(ctx, streams.ReadReq_Options_Forwards)
		})
		served(func() {
			for _, direction := range []streams.ReadReq_Options_ReadDirection{streams.ReadReq_Options_Forwards, streams.ReadReq_Options_Backwards} {
				if after := c.everythingStored(ctx, direction); !equalEvents(before, after) {
					t.Errorf("%d events before the restart, others after it: %d, direction %v", len(before), len(after), direction)
				}
			}
		})
		report, err := embedded.Check(ctx, dir, nil)
		if err != nil || report.Found != 0 || report.Events != uint64(len(before)) {
			t.Errorf("of %d events the check found %+v, %v", len(before), report, err)
		}
	})
}
