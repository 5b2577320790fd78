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
	Approvals []view.Approval `json:"approvals"`
	Next      string          `json:"next,omitempty"`
	Position  domain.Position `json:"position"`
	AsOf      *time.Time      `json:"asOf"`
}

type actsAnswer struct {
	Acts     []view.AuditRecord `json:"acts"`
	Next     string             `json:"next,omitempty"`
	Position domain.Position    `json:"position"`
	AsOf     *time.Time         `json:"asOf"`
}

// approvals lists the adjustments that wait for a second person, newest first.
func (s *Server) approvals(ctx context.Context, c echo.Context, _ Claims) error {
	page, err := s.actsOf(ctx, c, func(url.Values) (ledger.AuditFilter, error) {
		return ledger.AuditFilter{Kinds: []ledger.AuditKind{ledger.Requested}, Waiting: true}, nil
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, approvalsAnswer{
		Approvals: view.ApprovalsOf(page.Records), Next: page.Next, Position: page.Position, AsOf: view.OptionalTime(page.AsOf),
	})
}

// acts lists the audit log, newest first.
func (s *Server) acts(ctx context.Context, c echo.Context, _ Claims) error {
	page, err := s.actsOf(ctx, c, actFilter)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, actsAnswer{
		Acts: view.AuditRecordsOf(page.Records), Next: page.Next, Position: page.Position, AsOf: view.OptionalTime(page.AsOf),
	})
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
