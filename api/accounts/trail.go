package accounts

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

type trailAnswer struct {
	CustomerID domain.CustomerID `json:"customerId"`
	Points     domain.Points     `json:"points"`
	Entries    []view.Entry      `json:"entries"`
	Next       string            `json:"next,omitempty"`
	Position   domain.Position   `json:"position"`
	// AsOf is nil while the ledger was never known to be complete. So it is in all answers.
	AsOf *time.Time `json:"asOf"`
}

// Trail lists a customer's entries, newest first, in JSON a page at a time or all of them in CSV.
func (h *Handler) Trail(ctx context.Context, c echo.Context, caller auth.Claims) error {
	customer, badCustomer := request.PathID[domain.CustomerID](c, "userId")
	values, badQuery := request.Query(c)
	limit, badLimit := request.Number(values, "limit", request.DefaultPage, 1, ledger.MaxPage)
	filter, badFilter := trailFilter(values)
	position, badPosition := request.MinPosition(c)
	if err := domain.JoinInvalid(badCustomer, badQuery, badLimit, badFilter, badPosition); err != nil {
		return err
	}
	cursor, whole := values.Get("cursor"), wantsCSV(c.Request())
	if whole {
		cursor, limit = "", ledger.MaxPage
	}
	var trail ledger.Trail
	bounded, cancel := context.WithTimeout(ctx, request.Timeout)
	defer cancel()
	err := request.Reflecting(bounded, h.Ledger, position, func() (_ domain.Position, err error) {
		trail, err = h.Ledger.Trail(bounded, customer, filter, cursor, limit)
		return trail.Position, err
	})
	if err != nil {
		return err
	}
	if err := request.Shown(ctx, c, h.Views, caller, customer); err != nil {
		return err
	}
	if whole {
		return sendCSV(c, ledger.PagesFrom(ctx, boundedPages{h.Ledger}, customer, filter, limit, trail), caller.Role)
	}
	return c.JSON(http.StatusOK, answerTrail(customer, trail, caller.Role))
}

// trailFilter reads which entries of a trail are wanted: all, unless the reader says.
func trailFilter(values url.Values) (f ledger.Filter, err error) {
	var errs []error
	for _, kind := range values["kind"] {
		switch k := ledger.Kind(kind); k {
		case ledger.Award, ledger.Reversal, ledger.Adjustment:
			f.Kinds = append(f.Kinds, k)
		default:
			errs = append(errs, domain.Invalid("kind", "kind_unknown", "the kind must be award, reversal or adjustment"))
		}
	}
	if text := values.Get("channel"); text != "" {
		f.Channel, err = domain.ParseChannel("channel", text)
		errs = append(errs, err)
	}
	if text := values.Get("order"); text != "" {
		f.Order, err = domain.ParseFullID[domain.OrderID]("order", text)
		errs = append(errs, err)
	}
	f.From, f.Until, err = request.TimeRange(values)
	errs = append(errs, err)
	if text := values.Get("after"); text != "" {
		f.After, err = domain.ParsePosition("after", text)
		errs = append(errs, err)
	}
	return f, domain.JoinInvalid(errs...)
}

// answerTrail is a trail as a role may see it.
func answerTrail(customer domain.CustomerID, t ledger.Trail, role auth.Role) trailAnswer {
	answer := trailAnswer{
		CustomerID: customer, Points: t.Account.Points, Entries: make([]view.Entry, len(t.Entries)),
		Next: t.Next, Position: t.Position, AsOf: view.OptionalTime(t.AsOf),
	}
	for i, e := range t.Entries {
		answer.Entries[i] = view.EntryOf(seenBy(role, e))
	}
	return answer
}

// seenBy is an entry as a role may see it. Who of the staff did something, and what they wrote about it, is not for customers: a reason is
// for colleagues and auditors, and may be a suspicion.
func seenBy(role auth.Role, e ledger.Entry) ledger.Entry {
	if role == auth.RoleCustomer {
		e.Actor, e.Reason, e.Correlation = "", "", ""
	}
	return e
}
