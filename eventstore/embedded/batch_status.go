package embedded

import (
	"context"
	"errors"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

var empty = &emptypb.Empty{}

// batchStatus is an error as the answer to one append of a batch: a code, the name of a message of shared.proto, and that message as
// details.
func batchStatus(err error) *rpcstatus.Status {
	var (
		invalid  errInvalid
		tooBig   errTooBig
		property errNoProperty
		deleted  errStreamDeleted
		version  errWrongVersion
		denied   errAccessDenied
	)
	statusOf := func(code codes.Code, message string, details proto.Message) *rpcstatus.Status {
		packed, packErr := anypb.New(details)
		if packErr != nil {
			return &rpcstatus.Status{Code: int32(codes.Internal), Message: packErr.Error()}
		}
		return &rpcstatus.Status{Code: int32(code), Message: message, Details: []*anypb.Any{packed}}
	}
	switch {
	case errors.As(err, &invalid), errors.As(err, &property):
		return statusOf(codes.InvalidArgument, "BadRequest", &shared.BadRequest{Message: err.Error()})
	case errors.As(err, &tooBig):
		return statusOf(codes.InvalidArgument, "MaximumAppendSizeExceeded", &shared.MaximumAppendSizeExceeded{MaxAppendSize: maxAppendBytes})
	case errors.As(err, &deleted):
		return statusOf(codes.NotFound, "StreamDeleted",
			&shared.StreamDeleted{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(deleted)}})
	case errors.As(err, &version):
		return statusOf(codes.AlreadyExists, "WrongExpectedVersion", wrongVersionDetails(version))
	case errors.As(err, &denied):
		return statusOf(codes.PermissionDenied, "AccessDenied", &shared.AccessDenied{})
	case errors.Is(err, context.DeadlineExceeded):
		return statusOf(codes.DeadlineExceeded, "Timeout", &shared.Timeout{})
	}
	code, _ := reply(err)
	return statusOf(code, err.Error(), empty)
}

func wrongVersionDetails(e errWrongVersion) *shared.WrongExpectedVersion {
	details := &shared.WrongExpectedVersion{CurrentStreamRevisionOption: &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: empty}}
	if e.actual >= 0 {
		details.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(e.actual)}
	}
	switch e.expected {
	case expectAny:
		details.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: empty}
	case expectExists:
		details.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: empty}
	case expectNoStream:
		details.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: empty}
	default:
		details.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: uint64(e.expected)}
	}
	return details
}
