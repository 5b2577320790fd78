package dashboards

import (
	"context"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/internal/problem"
	"loyalty/readmodels/history"
)

// asOf answers with a customer's dashboard as it stood at a moment. Errors of a refusal are those of
// admission.Semaphore.
func (h *Handler) asOf(ctx context.Context, c echo.Context, caller auth.Claims, customer domain.CustomerID, moment history.Moment, top, around int, position domain.Position) error {
	if h.History == nil {
		return problem.ErrNoHistory
	}
	ctx, cancel := context.WithTimeout(ctx, request.PastTimeout)
	defer cancel()
	if err := request.CatchUp(ctx, h.History, position); err != nil {
		return err
	}
	reads := h.PastReads[caller.Role]
	if err := reads.Acquire(ctx, caller); err != nil {
		return err
	}
	defer reads.Release(caller)
	v := buffers.Get().(*buffer)
	defer buffers.Put(v)
	key := h.Proxies.Key(customer)
	if err := h.History.AsOf(ctx, "asOf", moment, key, top, around, &v.dashboard); err != nil {
		return err
	}
	if err := request.Shown(ctx, c, h.Views, caller, customer); err != nil {
		return err
	}
	// What readers of today's dashboards share is of no use here.
	v.json = new(encoder).appendDashboard(v.json[:0], &v.dashboard, key, caller.SeesNames())
	return request.JSON(c, v.json)
}
