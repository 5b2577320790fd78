package staff

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

type approvalsAnswer struct {
	Approvals []view.Approval `json:"approvals"`
	Next      string          `json:"next,omitempty"`
	Position  domain.Position `json:"position"`
	AsOf      *time.Time      `json:"asOf"`
}

type auditLogAnswer struct {
	Acts     []view.AuditRecord `json:"acts"`
	Next     string             `json:"next,omitempty"`
	Position domain.Position    `json:"position"`
	AsOf     *time.Time         `json:"asOf"`
}

// Approvals lists the adjustments that wait for a second person, newest first.
func (h *Handler) Approvals(ctx context.Context, c echo.Context, _ auth.Claims) error {
	page, err := h.auditPage(ctx, c, func(url.Values) (ledger.AuditFilter, error) {
		return ledger.AuditFilter{Kinds: []ledger.AuditKind{ledger.Requested}, Waiting: true}, nil
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, approvalsAnswer{
		Approvals: view.ApprovalsOf(page.Records), Next: page.Next, Position: page.Position, AsOf: view.OptionalTime(page.AsOf),
	})
}

// AuditLog lists the audit log, newest first.
func (h *Handler) AuditLog(ctx context.Context, c echo.Context, _ auth.Claims) error {
	page, err := h.auditPage(ctx, c, auditFilter)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, auditLogAnswer{
		Acts: view.AuditRecordsOf(page.Records), Next: page.Next, Position: page.Position, AsOf: view.OptionalTime(page.AsOf),
	})
}

// auditPage reads the page of the audit log that a request asks for.
func (h *Handler) auditPage(ctx context.Context, c echo.Context, filterOf func(url.Values) (ledger.AuditFilter, error)) (page ledger.AuditPage, err error) {
	values, badQuery := request.Query(c)
	limit, badLimit := request.Number(values, "limit", request.DefaultPage, 1, ledger.MaxPage)
	filter, badFilter := filterOf(values)
	position, badPosition := request.MinPosition(c)
	if err := domain.JoinInvalid(badQuery, badLimit, badFilter, badPosition); err != nil {
		return page, err
	}
	err = request.Reflecting(ctx, h.Ledger, position, func() (domain.Position, error) {
		page, err = h.Auditor.AuditLog(ctx, filter, values.Get("cursor"), limit)
		return page.Position, err
	})
	return page, err
}

// auditFilter reads which audit records are wanted: all, unless the reader says.
func auditFilter(values url.Values) (f ledger.AuditFilter, err error) {
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
	f.From, f.Until, err = request.TimeRange(values)
	return f, domain.JoinInvalid(append(errs, err)...)
}
