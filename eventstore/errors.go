package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"loyalty/domain"
)

// translate wraps an error of the client in the domain's error of the same meaning. The client's own esdb.FromError does not unwrap
// errors, and errors of reads are plain gRPC errors. A call that was canceled although its ctx has not ended was canceled by the client, which has
// gone over to another node.
func translate(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, domain.ErrUndecodable) || errors.Is(err, domain.ErrUnavailable) {
		return err
	}
	if errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		if ctx.Err() == nil {
			return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
		}
		return fmt.Errorf("%w: %w", context.Canceled, err)
	}
	return fmt.Errorf("%w: %w", meaningOf(err), err)
}

// errRefused: the server has refused a call, or can't carry it out, for a reason that stays.
var errRefused = errors.New("the event store refuses")

// meaningOf is what an error of the client means. What a repeat can't change is permanent. All else is domain.ErrUnavailable, also what nobody
// knows yet: an operator may put it right, and whoever waits loses nothing.
func meaningOf(err error) error {
	answer, coded := status.FromError(err)
	if known, ok := errors.AsType[*esdb.Error](err); ok {
		switch known.Code() {
		case esdb.ErrorCodeWrongExpectedVersion:
			return domain.ErrWrongRevision
		case esdb.ErrorCodeStreamDeleted:
			return domain.ErrNotFound
		case esdb.ErrorCodeResourceNotFound:
			// A proxy says NotFound, too. Only the server speaks of a stream.
			if !coded || strings.Contains(answer.Message(), "Event stream '") {
				return domain.ErrNotFound
			}
		}
	}
	// An append that is too large is an invalid argument. Data that is lost stays so until an operator restores it.
	if coded && (answer.Code() == codes.InvalidArgument || answer.Code() == codes.DataLoss) {
		return errRefused
	}
	return domain.ErrUnavailable
}

// answered reports whether an error came over a connection that works: from a server that is ready, or, as io.EOF, because the server
// ended a call that the client was still sending.
func answered(err error) bool {
	if known, ok := errors.AsType[*esdb.Error](err); ok && known.Code() == esdb.ErrorCodeNotLeader {
		return true // the client goes over to the leader, whose address came with the error
	}
	answer, coded := status.FromError(err)
	own := errors.Is(err, domain.ErrUndecodable) || errors.Is(err, domain.ErrUnavailable) && !errors.Is(err, errRetired)
	return own || meaningOf(err) != domain.ErrUnavailable || errors.Is(err, io.EOF) || coded && answer.Code() != codes.Unavailable && answer.Code() != codes.DeadlineExceeded
}
