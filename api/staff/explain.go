package staff

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

// Explain says how an entry's points came about.
func (h *Handler) Explain(ctx context.Context, c echo.Context, caller auth.Claims) error {
	customer, badCustomer := request.PathID[domain.CustomerID](c, "userId")
	id, badID := request.PathID[string](c, "entryId")
	position, badPosition := request.MinPosition(c)
	if err := domain.JoinInvalid(badCustomer, badID, badPosition); err != nil {
		return err
	}
	var entry ledger.Entry
	err := request.Reflecting(ctx, h.Ledger, position, func() (_ domain.Position, err error) {
		if entry, err = h.Finder.Entry(ctx, customer, id); !errors.Is(err, domain.ErrNotFound) {
			return position, err // an entry that is there never changes
		}
		_, state, failed := h.Ledger.Account(ctx, customer)
		return state.Position, cmp.Or(failed, err)
	})
	if err != nil {
		return err
	}
	explained, err := h.Evidence.Explain(ctx, entry)
	if err != nil {
		return err
	}
	if err := request.Shown(ctx, c, h.Views, caller, customer); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, view.ExplanationOf(explained))
}
