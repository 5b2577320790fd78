package api

import (
	"context"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
	"loyalty/readmodels/history"
)

// forgottenName is what a dashboard of the past calls those who were forgotten since: they keep their place, not their name.
const forgottenName = "Forgotten"

// lookBack answers with a customer's dashboard as it stood at a moment. A question that finds no turn in its time is overloaded.
func (s *Server) lookBack(ctx context.Context, c echo.Context, customer domain.CustomerID, moment history.Moment, top, around int, position domain.Position) error {
	if s.config.History == nil {
		return errNoHistory
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := s.enterPast(ctx, position); err != nil {
		return err
	}
	defer s.admission.History.Release()
	v := buffers.Get().(*buffer)
	defer buffers.Put(v)
	key := s.config.Proxies.Key(customer)
	if err := s.config.History.AsOf(ctx, "asOf", moment, key, top, around, &v.dashboard); err != nil {
		return err
	}
	// What readers of today's dashboard share is of no use to this one.
	v.json = new(shared).appendDashboard(v.json[:0], &v.dashboard, key)
	return sendDashboard(c, v.json)
}

// enterPast waits until the history reflects a position, and then for a turn to look back, which whoever got one leaves.
func (s *Server) enterPast(ctx context.Context, position domain.Position) error {
	if err := catchUp(ctx, s.config.History, position); err != nil {
		return err
	}
	return s.admission.History.Acquire(ctx)
}
