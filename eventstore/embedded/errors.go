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

// errClosing says that the server is shutting down. The client may try again elsewhere or later.
var errClosing = errors.New("the event store is shutting down")

// errUnwritable says that nothing can be written at the moment. Reads go on, and the client may try again later.
var errUnwritable = errors.New("the event store can't write")

// errInvalid says what is wrong with a request.
type errInvalid string

func (e errInvalid) Error() string { return string(e) }

// errTooBig says that one append is larger than maxAppendBytes.
type errTooBig struct{}

func (errTooBig) Error() string {
	return "Maximum Append Size of " + strconv.Itoa(maxAppendBytes) + " Exceeded."
}

// errNoProperty names a property that every event's metadata must have and one has not.
type errNoProperty string

func (e errNoProperty) Error() string {
	return "Required Metadata Property '" + string(e) + "' is missing"
}

// errStreamDeleted names a stream that is gone for ever, or soft-deleted where that matters.
type errStreamDeleted string

func (e errStreamDeleted) Error() string { return "Event stream '" + string(e) + "' is deleted." }

// errWrongVersion is the answer to a delete that expected the stream at another revision.
type errWrongVersion struct {
	stream           string
	expected, actual int64
}

func (e errWrongVersion) Error() string {
	return "Delete failed due to WrongExpectedVersion. Stream: " + e.stream + ", Expected version: " +
		strconv.FormatInt(e.expected, 10) + ", Actual version: " + strconv.FormatInt(e.actual, 10)
}

// errAccessDenied says that nobody may do that.
type errAccessDenied struct{}

func (errAccessDenied) Error() string { return "Access Denied" }

// errUnauthenticated says that a name and password are not those of a user.
type errUnauthenticated struct{}

func (errUnauthenticated) Error() string { return "Unauthenticated" }

// reply is what a client is told of an error: a status, and details in trailers, "exception" first.
func reply(err error) (codes.Code, []string) {
	var (
		invalid  errInvalid
		tooBig   errTooBig
		property errNoProperty
		deleted  errStreamDeleted
		version  errWrongVersion
		denied   errAccessDenied
		unknown  errUnauthenticated
	)
	switch {
	case errors.As(err, &unknown):
		return codes.Unauthenticated, nil
	case errors.As(err, &invalid):
		return codes.InvalidArgument, nil
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

// fail turns an error into the status of the call that ctx belongs to, and sets the call's trailers. An error that already
// is a status stays as it is. What is the store's fault and not the client's is logged.
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
		// It fails only where there is no call to set them on.
		_ = grpc.SetTrailer(ctx, metadata.Pairs(trailers...))
	}
	return status.Error(code, err.Error())
}

// headerText makes text fit for a header, which takes printable ASCII only: other text is percent-encoded.
func headerText(text string) string {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return url.PathEscape(text)
		}
	}
	return text
}
