package commands

import (
	"context"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
)

// withinAllowance decides an adjustment, and uses the caller's allowance of the day for one that would be made alone. Beyond the allowance it
// becomes a request. The allowance is used before anything is in the account: what is lost in between may cost a person points that they can
// give alone that day, and never lets them give more. What is repeated costs nothing more.
func (h *Handler) withinAllowance(c AdjustPoints, adjust account.Adjust, command uuid.UUID) func(context.Context, account.State) ([]domain.Event, error) {
	return func(ctx context.Context, s account.State) ([]domain.Event, error) {
		events, err := account.Decide(adjust, s)
		if err != nil || len(events) == 0 {
			return events, err
		}
		if _, alone := events[0].(account.PointsAdjusted); !alone {
			return events, nil
		}
		granted, err := h.useAllowance(ctx, c, account.UseAllowance{
			Customer: adjust.Customer, ID: adjust.ID, Points: adjust.Points, Actor: adjust.Actor, Limit: c.DayLimit, At: adjust.At,
		}, command)
		if err != nil || granted {
			return events, err
		}
		asked := adjust
		asked.Ask = true
		return account.Decide(asked, s)
	}
}

// useAllowance tells whether the allowance of the day is enough, and takes the points out of it unless this is a preview.
func (h *Handler) useAllowance(ctx context.Context, c AdjustPoints, use account.UseAllowance, command uuid.UUID) (granted bool, err error) {
	stream, id := account.AllowanceStream(use.Actor, use.At), h.newID()
	err = h.store.RetryWrongRevision(ctx, func() error {
		past, err := load(ctx, h.store, stream, account.EvolveAllowance)
		if err != nil {
			return err
		}
		var events []domain.Event
		if events, granted = account.DecideAllowance(use, past.state); c.Preview || len(events) == 0 {
			return nil
		}
		_, err = h.store.Append(ctx, stream, past.revision, id, h.metadata(c.Caller, command), events...)
		return err
	})
	return granted, err
}
