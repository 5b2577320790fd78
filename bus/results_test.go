package bus

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"loyalty/domain"
)

func TestAnErrorIsPermanentOrTemporaryOrUnknown(t *testing.T) {
	const isPermanent, isTemporary, isUnknown = "permanent", "temporary", "unknown"
	for _, c := range []struct {
		err  error
		want string
	}{
		{domain.Invalid("a", "a_missing", "say a"), isPermanent},
		{domain.ErrNotFound, isPermanent},
		{domain.ErrConflict, isPermanent},
		{domain.ErrForgotten, isPermanent},
		{domain.ErrReturnExceedsPaid, isPermanent},
		{domain.ErrOrderPoints, isPermanent},
		{domain.ErrAdjustmentPoints, isPermanent},
		{domain.ErrUnavailable, isTemporary},
		{domain.ErrNotCaughtUp, isTemporary},
		{context.DeadlineExceeded, isTemporary},
		{context.Canceled, isTemporary},
		{domain.ErrUndecodable, isUnknown},
		{domain.ErrWrongRevision, isUnknown},
		{errors.New("nobody knows this"), isUnknown},
		{domain.ErrUnauthenticated, isUnknown}, // a store's, not a caller's: the bus has none
		{domain.ErrForbidden, isUnknown},
		{errPanic, isPermanent},
		{fmt.Errorf("%w: %w", domain.ErrUnavailable, domain.ErrNotFound), isTemporary},
	} {
		err := fmt.Errorf("order o-1: %w", c.err)
		got := isUnknown
		switch {
		case permanent(err) && temporary(err):
			t.Errorf("%v is both", c.err)
		case permanent(err):
			got = isPermanent
		case temporary(err):
			got = isTemporary
		}
		if got != c.want {
			t.Errorf("%v is %s, want %s", c.err, got, c.want)
		}
	}
}
