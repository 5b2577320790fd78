package staff

import (
	"context"
	"net/http"
	"net/url"
	"slices"
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
func (h *Handler) AuditLog(ctx context.Context, c echo.Context, caller auth.Claims) error {
	var of domain.CustomerID
	page, err := h.auditPage(ctx, c, func(values url.Values) (f ledger.AuditFilter, err error) {
		f, err = auditFilter(values)
		of = f.Customer
		return f, err
	})
	if err == nil && of != "" {
		err = request.Shown(ctx, c, h.Views, caller, of)
	}
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

// auditFilter reads which audit records are wanted: unless the reader says, all but views, among which nobody would find the others.
func auditFilter(values url.Values) (f ledger.AuditFilter, err error) {
	var errs []error
	for _, kind := range values["kind"] {
		if k := ledger.AuditKind(kind); slices.Contains(ledger.AuditKinds(), k) {
			f.Kinds = append(f.Kinds, k)
		} else {
			errs = append(errs, domain.Invalid("kind", "kind_unknown",
				"the kind must be requested, approved, declined, forgotten, certified, revealed or viewed"))
		}
	}
	if !values.Has("kind") {
		f.Kinds = slices.DeleteFunc(ledger.AuditKinds(), func(k ledger.AuditKind) bool { return k == ledger.Viewed })
	}
	if text := values.Get("customer"); text != "" {
		f.Customer, err = domain.ParseID[domain.CustomerID]("customer", text)
		errs = append(errs, err)
	}
	if text := values.Get("actor"); text != "" {
		f.Actor, err = domain.ParseActor("actor", text)
		errs = append(errs, err)
	}
	f.From, f.Until, err = request.TimeRange(values)
	return f, domain.JoinInvalid(append(errs, err)...)
}
