package staff

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/queries/view"
)

// Explain says how an entry's points came about.
func (h *Handler) Explain(ctx context.Context, c echo.Context, _ auth.Claims) error {
	customer, badCustomer := request.PathID[domain.CustomerID](c, "userId")
	id, badID := request.PathID[string](c, "entryId")
	position, badPosition := request.MinPosition(c)
	if err := domain.JoinInvalid(badCustomer, badID, badPosition); err != nil {
		return err
	}
	if err := request.CatchUp(ctx, h.Ledger, position); err != nil {
		return err
	}
	entry, err := h.Finder.Entry(ctx, customer, id)
	if err != nil {
		return err
	}
	explained, err := h.Evidence.Explain(ctx, entry)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, view.ExplanationOf(explained))
}
