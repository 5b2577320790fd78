package request

import (
	"context"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/commands"
	"loyalty/domain"
)

// Views records that a member of staff is shown what the system knows of a customer, from many goroutines at once. A commands.Handler does.
type Views interface {
	ViewCustomer(context.Context, commands.ViewCustomer) error
}

// viewTimeout bounds the record of a view, so that the answer behind it is in time.
const viewTimeout = time.Second

// Shown records that the caller is about to be shown what the system knows of a customer, by the route of the request. Of customers, who see
// themselves, nothing is recorded. It is domain.ErrUnavailable where that can't be recorded, as without views: what leaves no trace is not shown.
func Shown(ctx context.Context, c echo.Context, views Views, caller auth.Claims, customer domain.CustomerID) error {
	if caller.Role == auth.RoleCustomer {
		return nil
	}
	if views == nil {
		return fmt.Errorf("%w: what staff are shown is not recorded here", domain.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	return views.ViewCustomer(ctx, commands.ViewCustomer{Caller: CallerOf(c, caller), Customer: customer, Route: c.Path()})
}
