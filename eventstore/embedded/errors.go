package embedded

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// errClosing is the error of calls while the server shuts down. The client may retry elsewhere or later.
var errClosing = errors.New("the event store is shutting down")

// errUnwritable is the error of appends while nothing can be written. Reads go on, and the client may retry later.
var errUnwritable = errors.New("the event store can't write")

// errInvalid is the error of a malformed request.
type errInvalid string

func (e errInvalid) Error() string { return string(e) }

// errUnanswerable is the error of a request that EventStoreDB answers with Unknown, so that clients may know it by that.
type errUnanswerable string

func (e errUnanswerable) Error() string { return string(e) }

// errTooBig is the error of an append larger than maxAppendBytes.
type errTooBig struct{}

func (errTooBig) Error() string {
	return "Maximum Append Size of " + strconv.Itoa(maxAppendBytes) + " Exceeded."
}

// errNoProperty names a required property that an event's metadata does not have.
type errNoProperty string

func (e errNoProperty) Error() string {
	return "Required Metadata Property '" + string(e) + "' is missing"
}

// errStreamDeleted names a stream that is tombstoned, or soft-deleted where that matters.
type errStreamDeleted string

func (e errStreamDeleted) Error() string { return "Event stream '" + string(e) + "' is deleted." }

// errWrongVersion is the error of a delete, or of an append in a batch, that expected the stream at another revision.
type errWrongVersion struct {
	stream           string
	expected, actual int64
}

func (e errWrongVersion) Error() string {
	return "Delete failed due to WrongExpectedVersion. Stream: " + e.stream + ", Expected version: " +
		strconv.FormatInt(e.expected, 10) + ", Actual version: " + strconv.FormatInt(e.actual, 10)
}

// errAccessDenied is the error of an operation that is not permitted.
type errAccessDenied struct{}

func (errAccessDenied) Error() string { return "Access Denied" }

// errUnauthenticated is the error of a wrong name or password.
type errUnauthenticated struct{}

func (errUnauthenticated) Error() string { return "Unauthenticated" }

// reply is an error as a client gets it: a status code, and details in trailers, "exception" first.
func reply(err error) (codes.Code, []string) {
	var (
		invalid  errInvalid
		edge     errUnanswerable
		tooBig   errTooBig
		property errNoProperty
		deleted  errStreamDeleted
		version  errWrongVersion
		denied   errAccessDenied
		unknown  errUnauthenticated
		leader   errNotLeader
	)
	switch {
	case errors.As(err, &unknown):
		return codes.Unauthenticated, nil
	case errors.As(err, &leader):
		return codes.NotFound, leader.trailers()
	case errors.As(err, &invalid):
		return codes.InvalidArgument, nil
	case errors.As(err, &edge):
		return codes.Unknown, nil
	case errors.As(err, &tooBig):
		return codes.InvalidArgument, []string{
			"exception", "maximum-append-size-exceeded", "maximum-append-size", strconv.Itoa(maxAppendBytes)}
	case errors.As(err, &property):
		return codes.InvalidArgument, []string{
			"exception", "missing-required-metadata-property", "required-metadata-properties", metaType + "," + metaContentType}
	case errors.As(err, &deleted):
		return codes.FailedPrecondition, []string{"exception", "stream-deleted", "stream-name", headerText(string(deleted))}
	case errors.As(err, &version):
		return codes.FailedPrecondition, []string{
			"exception", "wrong-expected-version", "stream-name", headerText(version.stream),
			"expected-version", strconv.FormatInt(version.expected, 10),
			"actual-version", strconv.FormatInt(version.actual, 10)}
	case errors.As(err, &denied):
		return codes.PermissionDenied, []string{"exception", "access-denied"}
	case errors.Is(err, errClosing), errors.Is(err, errUnwritable):
		return codes.Unavailable, nil
	case errors.Is(err, ErrDamaged):
		return codes.DataLoss, nil
	case errors.Is(err, context.Canceled):
		return codes.Canceled, nil
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded, nil
	}
	return codes.Internal, nil
}

// fail turns an error into the status of ctx's call, and sets the call's trailers. An error that is a status already stays as it is. Errors
// of the store, not of the client, are logged.
func fail(ctx context.Context, log *slog.Logger, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	code, trailers := reply(err)
	if code == codes.DataLoss || code == codes.Internal {
		log.Error("call failed", "error", err)
	}
	if trailers != nil {
		// It fails only if ctx has no call.
		_ = grpc.SetTrailer(ctx, metadata.Pairs(trailers...))
	}
	return status.Error(code, err.Error())
}

// headerText encodes a text for a header, which allows printable ASCII only: other text is percent-encoded.
func headerText(text string) string {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return url.PathEscape(text)
		}
	}
	return text
}
