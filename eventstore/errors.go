package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"loyalty/domain"
)

// translate wraps an error of the client in the domain's error of the same meaning. The client's own esdb.FromError does not unwrap
// errors, and errors of reads are plain gRPC errors. If the error shows that the connection is unusable, translate retires g. A call that was
// canceled although its ctx has not ended was canceled by the client, which has gone over to another node.
func translate(ctx context.Context, err error, g *generation) error {
	if err == nil || errors.Is(err, domain.ErrUndecodable) || errors.Is(err, io.EOF) {
		return err
	}
	if errors.Is(err, errRetired) {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	if errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		if ctx.Err() == nil {
			return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
		}
		return fmt.Errorf("%w: %w", context.Canceled, err)
	}
	if known, ok := errors.AsType[*esdb.Error](err); ok && known.Code() == esdb.ErrorCodeNotLeader {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err) // the client goes over to the leader, whose address came with the error
	}
	meaning := meaningOf(err)
	switch meaning {
	case nil:
		return fmt.Errorf("event store: %w", err)
	case domain.ErrUnavailable:
		g.retire()
	}
	return fmt.Errorf("%w: %w", meaning, err)
}

// meaningOf is the domain's error of the same meaning, nil if there is none.
func meaningOf(err error) error {
	var known *esdb.Error
	if errors.As(err, &known) {
		switch known.Code() {
		case esdb.ErrorCodeWrongExpectedVersion:
			return domain.ErrWrongRevision
		case esdb.ErrorCodeResourceNotFound, esdb.ErrorCodeStreamDeleted:
			return domain.ErrNotFound
		case esdb.ErrorUnavailable, esdb.ErrorAborted, esdb.ErrorCodeDeadlineExceeded, esdb.ErrorCodeConnectionClosed:
			return domain.ErrUnavailable
		}
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Aborted, codes.DeadlineExceeded, codes.ResourceExhausted:
		return domain.ErrUnavailable
	case codes.NotFound:
		return domain.ErrNotFound
	}
	return nil
}
