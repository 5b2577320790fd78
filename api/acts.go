package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

type approvalsAnswer struct {
	Approvals []approvalAnswer `json:"approvals"`
	Next      string           `json:"next,omitempty"`
	Position  domain.Position  `json:"position"`
	AsOf      *time.Time       `json:"asOf"`
}

// approvalAnswer is an adjustment that waits for a second person.
type approvalAnswer struct {
	CustomerID  domain.CustomerID `json:"customerId"`
	LoyaltyID   domain.LoyaltyID  `json:"loyaltyId"`
	Points      domain.Points     `json:"points"`
	Reason      string            `json:"reason"`
	RequestedBy string            `json:"requestedBy"`
	OccurredAt  time.Time         `json:"occurredAt"`
	Position    domain.Position   `json:"position"`
}

type actsAnswer struct {
	Acts     []actAnswer     `json:"acts"`
	Next     string          `json:"next,omitempty"`
	Position domain.Position `json:"position"`
	AsOf     *time.Time      `json:"asOf"`
}

type actAnswer struct {
	EventID     string            `json:"eventId"`
	Kind        ledger.AuditKind  `json:"kind"`
	CustomerID  domain.CustomerID `json:"customerId"`
	LoyaltyID   domain.LoyaltyID  `json:"loyaltyId,omitempty"`
	Points      domain.Points     `json:"points,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Actor       string            `json:"actor"`
	Correlation string            `json:"correlationId,omitempty"`
	OccurredAt  time.Time         `json:"occurredAt"`
	Position    domain.Position   `json:"position"`
	// Decided is there of a request only.
	Decided *bool `json:"decided,omitempty"`
}

// approvals lists the adjustments that wait for a second person, newest first.
func (s *Server) approvals(ctx context.Context, c echo.Context, _ Claims) error {
	page, err := s.actsOf(ctx, c, func(url.Values) (ledger.AuditFilter, error) {
		return ledger.AuditFilter{Kinds: []ledger.AuditKind{ledger.Requested}, Waiting: true}, nil
	})
	if err != nil {
		return err
	}
	answer := approvalsAnswer{
		Approvals: make([]approvalAnswer, len(page.Records)), Next: page.Next, Position: page.Position, AsOf: view.OptionalTime(page.AsOf),
	}
	for i, a := range page.Records {
		answer.Approvals[i] = approvalAnswer{
			CustomerID: a.Customer, LoyaltyID: a.Loyalty, Points: a.Points, Reason: a.Reason, RequestedBy: a.Actor,
			OccurredAt: a.OccurredAt.UTC(), Position: a.Position,
		}
	}
	return c.JSON(http.StatusOK, answer)
}

// acts lists what somebody did that did not by itself change any points, newest first.
func (s *Server) acts(ctx context.Context, c echo.Context, _ Claims) error {
	page, err := s.actsOf(ctx, c, actFilter)
	if err != nil {
		return err
	}
	answer := actsAnswer{Acts: make([]actAnswer, len(page.Records)), Next: page.Next, Position: page.Position, AsOf: view.OptionalTime(page.AsOf)}
	for i, a := range page.Records {
		answer.Acts[i] = actAnswer{
			EventID: a.EventID, Kind: a.Kind, CustomerID: a.Customer, LoyaltyID: a.Loyalty, Points: a.Points, Reason: a.Reason,
			Actor: a.Actor, Correlation: a.Correlation, OccurredAt: a.OccurredAt.UTC(), Position: a.Position,
		}
		if a.Kind == ledger.Requested {
			answer.Acts[i].Decided = &a.Decided
		}
	}
	return c.JSON(http.StatusOK, answer)
}

// actsOf reads the page of acts that a request asks for.
func (s *Server) actsOf(ctx context.Context, c echo.Context, filterOf func(url.Values) (ledger.AuditFilter, error)) (ledger.AuditPage, error) {
	values, badQuery := query(c)
	limit, badLimit := number(values, "limit", defaultPage, 1, ledger.MaxPage)
	filter, badFilter := filterOf(values)
	position, badPosition := minPosition(c)
	if err := domain.JoinInvalid(badQuery, badLimit, badFilter, badPosition); err != nil {
		return ledger.AuditPage{}, err
	}
	if err := catchUp(ctx, s.config.Ledger, position); err != nil {
		return ledger.AuditPage{}, err
	}
	return s.config.Auditor.AuditLog(ctx, filter, values.Get("cursor"), limit)
}

// actFilter reads which acts are wanted: all, unless the reader says.
func actFilter(values url.Values) (f ledger.AuditFilter, err error) {
	var errs []error
	for _, kind := range values["kind"] {
		switch k := ledger.AuditKind(kind); k {
		case ledger.Requested, ledger.Approved, ledger.Declined, ledger.Forgotten, ledger.Certified, ledger.Revealed:
			f.Kinds = append(f.Kinds, k)
		default:
			errs = append(errs, domain.Invalid("kind", "kind_unknown",
				"the kind must be requested, approved, declined, forgotten, certified or revealed"))
		}
	}
	if text := values.Get("customer"); text != "" {
		f.Customer, err = domain.ParseID[domain.CustomerID]("customer", text)
		errs = append(errs, err)
	}
	if text := values.Get("actor"); text != "" {
		f.Actor, err = domain.ParseID[string]("actor", text)
		errs = append(errs, err)
	}
	f.From, f.Until, err = fromUntil(values)
	return f, domain.JoinInvalid(append(errs, err)...)
}
