package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// defaultPage is how many entries a page of a trail holds whose reader does not say.
const defaultPage = 50

type trailAnswer struct {
	CustomerID domain.CustomerID `json:"customerId"`
	Points     domain.Points     `json:"points"`
	Entries    []entryAnswer     `json:"entries"`
	Next       string            `json:"next,omitempty"`
	Position   domain.Position   `json:"position"`
	// AsOf is nil while the ledger was never known to be complete. So it is in all answers.
	AsOf *time.Time `json:"asOf"`
}

type entryAnswer struct {
	EntryID     string           `json:"entryId"`
	Kind        ledger.Kind      `json:"kind"`
	Points      domain.Points    `json:"points"`
	Total       domain.Points    `json:"total"`
	OccurredAt  time.Time        `json:"occurredAt"`
	OrderID     domain.OrderID   `json:"orderId,omitempty"`
	ReturnID    domain.ReturnID  `json:"returnId,omitempty"`
	LoyaltyID   domain.LoyaltyID `json:"loyaltyId,omitempty"`
	Amount      *moneyAnswer     `json:"amount,omitempty"`
	Channel     domain.Channel   `json:"channel,omitempty"`
	Actor       string           `json:"actor,omitempty"`
	Reason      string           `json:"reason,omitempty"`
	Correlation string           `json:"correlationId,omitempty"`
	Position    domain.Position  `json:"position"`
	Stream      string           `json:"stream"`
	Revision    uint64           `json:"revision"`
}

type moneyAnswer struct {
	Amount   string          `json:"amount"`
	Currency domain.Currency `json:"currency"`
}

func (s *Server) trail(ctx context.Context, c echo.Context, caller Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	values, badQuery := query(c)
	limit, badLimit := number(values, "limit", defaultPage, 1, ledger.MaxPage)
	filter, badFilter := trailFilter(values)
	position, badPosition := minPosition(c)
	if err := domain.JoinInvalid(badCustomer, badQuery, badLimit, badFilter, badPosition); err != nil {
		return err
	}
	if err := catchUp(ctx, s.config.Ledger, position); err != nil {
		return err
	}
	if wantsCSV(c.Request()) {
		return sendCSV(c, ledger.Pages(ctx, s.config.Ledger, customer, filter, ledger.MaxPage), caller.Role)
	}
	trail, err := s.config.Ledger.Trail(ctx, customer, filter, values.Get("cursor"), limit)
	if err != nil {
		return err
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
		f.Order, err = domain.ParseID[domain.OrderID]("order", text)
		errs = append(errs, err)
	}
	f.From, f.Until, err = fromUntil(values)
	errs = append(errs, err)
	if text := values.Get("after"); text != "" {
		f.After, err = domain.ParsePosition("after", text)
		errs = append(errs, err)
	}
	return f, domain.JoinInvalid(errs...)
}

// answerTrail is a trail as a role may see it: who of the staff did something is not for customers.
func answerTrail(customer domain.CustomerID, t ledger.Trail, role Role) trailAnswer {
	answer := trailAnswer{
		CustomerID: customer, Points: t.Account.Points, Entries: make([]entryAnswer, len(t.Entries)),
		Next: t.Next, Position: t.Position, AsOf: known(t.AsOf),
	}
	for i, e := range t.Entries {
		answer.Entries[i] = answerEntry(e, role)
	}
	return answer
}

func answerEntry(e ledger.Entry, role Role) entryAnswer {
	answer := entryAnswer{
		EntryID: e.EventID, Kind: e.Kind, Points: e.Points, Total: e.Total, OccurredAt: e.OccurredAt.UTC(),
		OrderID: e.Order, ReturnID: e.Return, LoyaltyID: e.Loyalty, Correlation: e.Correlation, Channel: e.Channel, Actor: e.Actor, Reason: e.Reason,
		Position: e.Position, Stream: e.Stream, Revision: e.Revision,
	}
	if role == RoleCustomer {
		answer.Actor, answer.Correlation = "", ""
	}
	if e.Amount.Currency != "" {
		answer.Amount = &moneyAnswer{Amount: domain.FormatMinor(e.Amount.Minor), Currency: e.Amount.Currency}
	}
	return answer
}

// known is a time in UTC, nil where there is none.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
