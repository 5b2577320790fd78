package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
	"loyalty/queries/view"
)

// explain says how an entry's points came about.
func (s *Server) explain(ctx context.Context, c echo.Context, _ Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	id, badID := pathID[string](c, "entryId")
	position, badPosition := minPosition(c)
	if err := domain.JoinInvalid(badCustomer, badID, badPosition); err != nil {
		return err
	}
	if err := catchUp(ctx, s.config.Ledger, position); err != nil {
		return err
	}
	entry, err := s.config.Finder.Entry(ctx, customer, id)
	if err != nil {
		return err
	}
	explained, err := s.config.Evidence.Explain(ctx, entry)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, view.ExplanationOf(explained))
}
