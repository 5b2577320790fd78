package embedded

import (
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

// maxAppendBytes is the most that the data, the metadata and twice the types of the events of one append may take. It is
// what EventStoreDB 22.10 to 25.0 allow, counted as they count.
const maxAppendBytes = 1 << 20

// maxStreamName is the longest name of a stream, in bytes.
const maxStreamName = 4096

const allStream = "$all"

// Append takes a stream of options and events and answers once they are on disk. What is wrong with them is said after the
// client has sent everything: told earlier, the client would only see its connection end.
func (s *service) Append(stream streams.Streams_AppendServer) error {
	var in incoming
	if err := stream.RecvMsg(&in); err != nil {
		return err
	}
	r := &request{}
	refusal := r.address(in.options.GetStreamIdentifier(), in.options, in.options.GetExpectedStreamRevision() != nil)
	in.stream = r.stream
	for size := 0; ; {
		in.skip = refusal != nil
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
			refusal, r.events = in.err, nil
		case size > maxAppendBytes:
			refusal, r.events = errTooBig{}, nil
		default:
			r.events = append(r.events, in.event)
		}
	}
	if refusal != nil {
		return refusal
	}
	v, err := s.writer.submit(stream.Context(), r)
	if err != nil {
		return err
	}
	switch v.outcome {
	case gone:
		return errStreamDeleted(r.stream)
	case wrongVersion:
		return stream.SendAndClose(wrongVersionResponse(r.expected, v.revision))
	}
	return stream.SendMsg(success(v))
}

// expectation is the options of Append, Delete and Tombstone: each has its own types for the same fields.
type expectation interface {
	GetRevision() uint64
	GetNoStream() *shared.Empty
	GetAny() *shared.Empty
	GetStreamExists() *shared.Empty
}

// address reads the stream of a request and what it expects of it, which must be given.
func (r *request) address(id *shared.StreamIdentifier, options expectation, given bool) (err error) {
	if r.stream, err = streamName(id); err != nil {
		return err
	}
	if r.stream == allStream {
		return errAccessDenied{}
	}
	switch {
	case !given:
		return errInvalid("expected revision is missing")
	case options.GetNoStream() != nil:
		r.expected = expectNoStream
	case options.GetAny() != nil:
		r.expected = expectAny
	case options.GetStreamExists() != nil:
		r.expected = expectExists
	case options.GetRevision() > math.MaxInt64:
		return errInvalid(fmt.Sprintf("expected revision %d is too large", options.GetRevision()))
	default:
		r.expected = int64(options.GetRevision())
	}
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
	case string(name) == metaStreamPrefix:
		return "", errInvalid("stream name " + metaStreamPrefix + " describes no stream")
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

// success encodes the answer to an append that succeeded: the stream's revision and the position, as far as there are any.
func success(v verdict) frame {
	var body, position []byte
	if v.revision >= 0 {
		body = protowire.AppendTag(make([]byte, 0, 64), successRevision, protowire.VarintType)
		body = protowire.AppendVarint(body, uint64(v.revision))
	} else {
		body = protowire.AppendTag(body, successNoStream, protowire.BytesType)
		body = protowire.AppendBytes(body, nil)
	}
	if v.position > 0 {
		position = protowire.AppendTag(make([]byte, 0, 24), positionCommit, protowire.VarintType)
		position = protowire.AppendVarint(position, v.position)
		position = protowire.AppendTag(position, positionPrepare, protowire.VarintType)
		position = protowire.AppendVarint(position, v.position)
		body = protowire.AppendTag(body, successPosition, protowire.BytesType)
	} else {
		body = protowire.AppendTag(body, successNoPosition, protowire.BytesType)
	}
	body = protowire.AppendBytes(body, position)
	return protowire.AppendBytes(protowire.AppendTag(make([]byte, 0, 72), respSuccess, protowire.BytesType), body)
}

// wrongVersionResponse says where the stream is and where it was expected, in the fields of today and of clients from
// before 20.6.1.
func wrongVersionResponse(expected, current int64) *streams.AppendResp {
	wrong := &streams.AppendResp_WrongExpectedVersion{
		CurrentRevisionOption:        &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}},
		CurrentRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}},
	}
	if current >= 0 {
		wrong.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(current)}
		wrong.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(current)}
	}
	switch expected {
	case expectAny:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
	case expectExists:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
	case expectNoStream:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: math.MaxUint64}
	default:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(expected)}
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: uint64(expected)}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: wrong}}
}

// Delete hides a stream until something is appended to it.
func (s *service) Delete(ctx context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	r := &request{operation: opDelete}
	options := req.GetOptions()
	if err := r.address(options.GetStreamIdentifier(), options, options.GetExpectedStreamRevision() != nil); err != nil {
		return nil, err
	}
	position, err := s.delete(ctx, r)
	if err != nil {
		return nil, err
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{
		Position: &streams.DeleteResp_Position{CommitPosition: position, PreparePosition: position}}}, nil
}

// Tombstone ends a stream for ever.
func (s *service) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	r := &request{operation: opTombstone}
	options := req.GetOptions()
	if err := r.address(options.GetStreamIdentifier(), options, options.GetExpectedStreamRevision() != nil); err != nil {
		return nil, err
	}
	position, err := s.delete(ctx, r)
	if err != nil {
		return nil, err
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{
		Position: &streams.TombstoneResp_Position{CommitPosition: position, PreparePosition: position}}}, nil
}

func (s *service) delete(ctx context.Context, r *request) (uint64, error) {
	v, err := s.writer.submit(ctx, r)
	switch {
	case err != nil:
		return 0, err
	case v.outcome == gone:
		return 0, errStreamDeleted(r.stream)
	case v.outcome == wrongVersion:
		return 0, errWrongVersion{r.stream, r.expected, v.revision}
	}
	return v.position, nil
}
