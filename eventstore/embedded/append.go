package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/encoding/protowire"
)

// maxAppendBytes is the greatest size of one append in EventStoreDB 22.10 to 25.0. What counts is in the profile of each version.
const maxAppendBytes = 1 << 20

// maxStoredBytes is the greatest size of one append as it is stored. A long stream name and many small events can get there.
const maxStoredBytes = 64 << 20

const (
	// maxStoredName is the longest name of a stream in the store, in bytes: its keys have 16 bits for the length.
	maxStoredName = math.MaxUint16
	// maxStreamName is the longest name that a client may give. Its metadata stream's is the longest that is stored.
	maxStreamName = maxStoredName - len(metaStreamPrefix)
	// maxDescribing is how often a name may begin with the prefix of metadata streams: each stands for one more stream to look up.
	maxDescribing = 8
)

const allStream = "$all"

// Append receives options and events, and answers once they are synced. An error is sent after the client has sent everything: if it came
// earlier, the client would see no more than that its connection ended.
func (s *service) Append(stream streams.Streams_AppendServer) error {
	in := incoming{dataOnly: s.profile.dataOnly}
	if err := stream.RecvMsg(&in); errors.Is(err, io.EOF) {
		return errInvalid("append: the call ends before its first message")
	} else if err != nil {
		return err
	}
	r := &request{}
	invalid := r.address(in.options, in.options.GetExpectedStreamRevision() != nil)
	if invalid == nil {
		invalid = s.permit(stream.Context(), rightWrite, r.stream)
	}
	in.stream = r.stream
	for size := 0; ; {
		in.skip = invalid != nil
		err := stream.RecvMsg(&in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if in.skip {
			continue
		}
		size += in.size
		switch {
		case in.err != nil:
			invalid, r.events = in.err, nil
		case size > maxAppendBytes, len(r.events) == mostEvents:
			invalid, r.events = errTooBig{}, nil
		default:
			invalid = r.add(in.event)
		}
	}
	if invalid != nil {
		return invalid
	}
	v, err := s.writer.submit(stream.Context(), r)
	if err != nil {
		return err
	}
	switch v.outcome {
	case streamDeleted:
		return errStreamDeleted(r.stream)
	case wrongVersion:
		return stream.SendAndClose(wrongVersionResponse(in.options, v.revision))
	}
	return stream.SendMsg(success(v))
}

// target is the options of Append, Delete and Tombstone: each has its own types for the same fields.
type target interface {
	GetStreamIdentifier() *shared.StreamIdentifier
	GetRevision() uint64
	GetNoStream() *shared.Empty
	GetAny() *shared.Empty
	GetStreamExists() *shared.Empty
}

// address reads the stream of a request and its expected revision, which must be given.
func (r *request) address(options target, given bool) (err error) {
	if r.stream, err = streamName(options.GetStreamIdentifier()); err != nil {
		return err
	}
	switch {
	case r.stream == allStream:
		return errAccessDenied{}
	case r.stream == metaStreamPrefix && r.operation == opAppend:
		return errInvalid("stream name " + metaStreamPrefix + " describes no stream")
	case !given:
		return errInvalid("expected revision is missing")
	case options.GetNoStream() != nil:
		r.expected = expectNoStream
	case options.GetAny() != nil:
		r.expected = expectAny
	case options.GetStreamExists() != nil:
		r.expected = expectExists
	case options.GetRevision() == math.MaxUint64: // as an int64 it is -1
		r.expected = expectNoStream
	case options.GetRevision() > math.MaxInt64:
		return errInvalid(fmt.Sprintf("expected revision %d is too large", options.GetRevision()))
	default:
		r.expected = int64(options.GetRevision())
	}
	return nil
}

// add adds an event to an append. Here its stream's name counts, with which each event is stored.
func (r *request) add(p proposal) error {
	if r.size += len(p.body); r.size > maxStoredBytes {
		return errInvalid(fmt.Sprintf("append: with their stream's name, the events take more than %d bytes", maxStoredBytes))
	}
	r.events = append(r.events, p)
	return nil
}

func streamName(id *shared.StreamIdentifier) (string, error) {
	name := id.GetStreamName()
	switch {
	case len(name) == 0:
		return "", errInvalid("stream name is empty")
	case len(name) > maxStreamName:
		return "", errInvalid(fmt.Sprintf("stream name is longer than %d bytes", maxStreamName))
	case !utf8.Valid(name):
		return "", errInvalid("stream name is not UTF-8")
	case bytes.HasPrefix(name, bytes.Repeat([]byte(metaStreamPrefix), maxDescribing+1)):
		return "", errInvalid(fmt.Sprintf("stream name begins with %s more than %d times", metaStreamPrefix, maxDescribing))
	}
	return string(name), nil
}

// Field numbers of AppendResp and of the messages in it (streams.proto).
const (
	respSuccess       = 1
	successRevision   = 1
	successNoStream   = 2
	successPosition   = 3
	successNoPosition = 4
	positionCommit    = 1
	positionPrepare   = 2
)

// success encodes the answer to a successful append: the stream's revision and the position, if there are any.
func success(v decision) frame {
	var body, position []byte
	if v.revision >= 0 {
		body = protowire.AppendTag(make([]byte, 0, 64), successRevision, protowire.VarintType)
		body = protowire.AppendVarint(body, uint64(v.revision))
	} else {
		body = protowire.AppendTag(body, successNoStream, protowire.BytesType)
		body = protowire.AppendBytes(body, nil)
	}
	if v.position > 0 {
		position = appendPosition(make([]byte, 0, 24), v.position)
		body = protowire.AppendTag(body, successPosition, protowire.BytesType)
	} else {
		body = protowire.AppendTag(body, successNoPosition, protowire.BytesType)
	}
	body = protowire.AppendBytes(body, position)
	return protowire.AppendBytes(protowire.AppendTag(make([]byte, 0, 72), respSuccess, protowire.BytesType), body)
}

// wrongVersionResponse holds the actual and the expected revision, the latter as it was given, both in the current fields and in those for clients
// before 20.6.1.
func wrongVersionResponse(options *streams.AppendReq_Options, current int64) *streams.AppendResp {
	wrong := &streams.AppendResp_WrongExpectedVersion{
		CurrentRevisionOption:        &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}},
		CurrentRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}},
	}
	if current >= 0 {
		wrong.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(current)}
		wrong.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(current)}
	}
	switch expected := options.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_Any:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
	case *streams.AppendReq_Options_StreamExists:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
	case *streams.AppendReq_Options_NoStream:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: math.MaxUint64}
	case *streams.AppendReq_Options_Revision:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: expected.Revision}
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: expected.Revision}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: wrong}}
}

// Delete hides a stream until something is appended to it.
func (s *service) Delete(ctx context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	position, err := s.delete(ctx, opDelete, req.GetOptions(), req.GetOptions().GetExpectedStreamRevision() != nil)
	if err != nil {
		return nil, err
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{
		Position: &streams.DeleteResp_Position{CommitPosition: position, PreparePosition: position}}}, nil
}

// Tombstone ends a stream for ever.
func (s *service) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	position, err := s.delete(ctx, opTombstone, req.GetOptions(), req.GetOptions().GetExpectedStreamRevision() != nil)
	if err != nil {
		return nil, err
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{
		Position: &streams.TombstoneResp_Position{CommitPosition: position, PreparePosition: position}}}, nil
}

func (s *service) delete(ctx context.Context, op operation, options target, given bool) (uint64, error) {
	r := &request{operation: op}
	if err := r.address(options, given); err != nil {
		return 0, err
	}
	if err := s.permit(ctx, rightDelete, r.stream); err != nil {
		return 0, err
	}
	v, err := s.writer.submit(ctx, r)
	switch {
	case err != nil:
		return 0, err
	case v.outcome == streamDeleted:
		return 0, errStreamDeleted(r.stream)
	case v.outcome == wrongVersion:
		return 0, errWrongVersion{r.stream, r.expected, v.revision}
	}
	return v.position, nil
}
