package request

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
)

// catchUpTimeout is how long a read waits for the position that its caller asked for.
const catchUpTimeout = 2 * time.Second

// firstPause is before an answer that was behind is read again. Each further one is twice as long.
const firstPause = 10 * time.Millisecond

// MinPosition reads the position that a read must reflect; the zero Position if the caller asks for none.
func MinPosition(c echo.Context) (domain.Position, error) {
	text := First(c.Request().Header[HeaderMinPosition])
	if text == "" {
		return domain.Position{}, nil
	}
	return domain.ParsePosition(HeaderMinPosition, text)
}

// waiter is a read model that can be waited for.
type waiter interface {
	Wait(context.Context, domain.Position) error
}

// CatchUp waits until a read model reflects a position, for 2 s at most. The error is then domain.ErrNotCaughtUp. It is for read models that
// only this process has and that never go back: for others use Reflecting.
func CatchUp(ctx context.Context, model waiter, position domain.Position) error {
	if position == (domain.Position{}) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	return model.Wait(ctx, position)
}

// Reflecting reads an answer that reflects a position from a read model, for which it waits 2 s at most; the error is then domain.ErrNotCaughtUp.
// read says which position its answer, or its domain.ErrNotFound, reflects. It is called again if that is before the one that was asked for:
// after a failover, and where several servers answer, an answer may be older than what the read model had reached before.
func Reflecting(ctx context.Context, model waiter, position domain.Position, read func() (domain.Position, error)) error {
	if position == (domain.Position{}) {
		_, err := read()
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	for pause := firstPause; ; pause *= 2 {
		if err := model.Wait(waiting, position); err != nil {
			return err
		}
		at, err := read()
		if err != nil && !errors.Is(err, domain.ErrNotFound) || !at.Before(position) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-waiting.Done():
			timer.Stop()
			return fmt.Errorf("the answer is of position %s and not of %s: %w (%w)", at, position, domain.ErrNotCaughtUp, context.Cause(waiting))
		}
	}
}
