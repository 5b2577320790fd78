package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
)

// route is one line of the API: what is asked, whether the process has what answers it, who may ask, and who answers.
type route struct {
	method, path string
	has          bool
	grants       grants
	handle       func(context.Context, echo.Context, auth.Claims) error
	flags        routeFlags
}

type routeFlags int

const (
	// ownTimeout is for a route that bounds its own waits, because it may take long or a timer for each request would show.
	ownTimeout routeFlags = 1 << iota
	// ratedByLine is for a route that counts each line of a request against its caller's rate instead of the request.
	ratedByLine
	// previews is for a write that can also tell what it would do.
	previews
)

// grants is what each role may do on a route. A role that is not in it may do nothing.
type grants map[auth.Role]grant

type grant int

const (
	// forAnyone lets a caller act for every customer.
	forAnyone grant = iota + 1
	// forThemselves lets a customer act for nobody else: the userId in the path must be their own.
	forThemselves
	// asThemselves is for a customer on a route whose path names none: the handler takes the customer from the token.
	asThemselves
	// withOrder is asThemselves for a customer who has the right order. A token for pages has none, so that whoever holds it can
	// look and not make up orders.
	withOrder
	// withAward, withReveal and withAudit let a caller who has the right award, reveal or audit act for every customer.
	withAward
	withReveal
	withAudit
)

// rights are what a caller must have for a grant.
var rights = map[grant]string{withOrder: auth.RightOrder, withAward: auth.RightAward, withReveal: auth.RightReveal, withAudit: auth.RightAudit}

const (
	customer = auth.RoleCustomer
	channel  = auth.RoleChannel
	support  = auth.RoleSupport
	analyst  = auth.RoleAnalyst

	get  = http.MethodGet
	post = http.MethodPost
)

// routes is all of the API. Whatever a route is not granted to in this table is denied with 403.
func (r rooms) routes(c *Config) []route {
	board, history, search := c.Leaderboard != nil, c.History != nil, c.Finder != nil
	commands, trails, audit := c.Commands != nil, c.Ledger != nil, c.Auditor != nil
	return []route{
		{post, "/order/:orderId", commands, grants{channel: forAnyone, customer: withOrder}, r.orders.Place, 0},
		{post, "/orders", commands, grants{channel: forAnyone}, r.orders.PlaceBatch, ownTimeout | ratedByLine},
		{post, "/order/:orderId/returns/:returnId", commands, grants{channel: forAnyone, support: forAnyone}, r.orders.Return, previews},

		{get, "/loyalty/:userId", board, grants{customer: forThemselves, support: forAnyone}, r.dashboards.Dashboard, ownTimeout},
		{get, "/loyalty/:userId/live", board, grants{customer: forThemselves, support: forAnyone}, r.dashboards.Live, ownTimeout},
		{get, "/seasons", board, grants{customer: asThemselves, support: forAnyone, analyst: forAnyone}, r.dashboards.ListSeasons, 0},

		{post, "/loyalty/:userId", commands, grants{channel: withAward, support: forAnyone}, r.accounts.Adjust, previews},
		{post, "/loyalty/:userId/adjustments/:loyaltyId/approval", commands, grants{support: forAnyone}, r.accounts.Approve, previews},
		{post, "/loyalty/:userId/adjustments/:loyaltyId/refusal", commands, grants{support: forAnyone}, r.accounts.Decline, 0},
		{get, "/loyalty/:userId/trail", trails, grants{customer: forThemselves, support: forAnyone}, r.accounts.Trail, ownTimeout},

		{get, "/loyalty/:userId/changes", history, grants{support: forAnyone}, r.past.Changes, ownTimeout},
		{get, "/leaderboard", history, grants{support: forAnyone, analyst: forAnyone}, r.past.Leaderboard, ownTimeout},
		{get, "/earnings", c.Earner != nil, grants{support: forAnyone, analyst: forAnyone}, r.past.Earnings, 0},
		{post, "/what-if", c.Replays != nil, grants{analyst: forAnyone}, r.past.WhatIf, ownTimeout},

		{get, "/search", search, grants{support: forAnyone}, r.staff.Search, 0},
		{post, "/reveals", c.Reveals != nil && search, grants{support: withReveal}, r.staff.Reveal, 0},
		{get, "/loyalty/:userId/entries/:entryId", c.Evidence != nil && search, grants{support: forAnyone}, r.staff.Explain, 0},
		{get, "/approvals", audit, grants{support: forAnyone}, r.staff.Approvals, 0},
		{get, "/acts", audit, grants{support: withAudit, analyst: withAudit}, r.staff.AuditLog, 0},

		{get, "/session", hasPages(c), grants{customer: asThemselves, channel: asThemselves, support: asThemselves, analyst: asThemselves}, r.web.Session, 0},
	}
}

// guard lets those requests through to the route's handler whose caller is known and may do this.
func (s *Server) guard(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		if r.flags&ownTimeout == 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, request.Timeout)
			defer cancel()
		}
		caller, err := s.auth.Authenticate(ctx, c.Request())
		if err != nil {
			return err
		}
		s.remember(c, caller, nil)
		if err = s.answer(ctx, c, r, caller); err != nil {
			s.remember(c, caller, err)
		}
		return err
	}
}

// answer has the handler answer a caller who asks for what they may, and no more often than they may.
func (s *Server) answer(ctx context.Context, c echo.Context, r route, caller auth.Claims) error {
	err := s.takeRate(r, caller)
	if err == nil {
		err = r.grants.admit(c, caller)
	}
	if err == nil {
		err = r.checkQuery(c)
	}
	if err == nil {
		err = r.handle(ctx, c, caller)
	}
	if errors.Is(err, domain.ErrForbidden) {
		s.noteDenied(ctx, c, caller)
	}
	return err
}

// checkQuery rejects what a write has no use for in its query: a misspelt preview would be carried out.
func (r route) checkQuery(c echo.Context) error {
	switch {
	case r.method == get:
		return nil
	case r.flags&previews != 0:
		return request.CheckQuery(c, "preview")
	}
	return request.CheckQuery(c)
}

// takeRate counts a request against its caller's rate, unless the route counts lines.
func (s *Server) takeRate(r route, caller auth.Claims) error {
	switch {
	case r.flags&ratedByLine != 0:
		return nil
	case r.method == get:
		return s.admission.ReadRates.Take(caller, s.now)
	}
	return s.admission.WriteRates.Take(caller, s.now)
}

// admit returns nil if the caller may make this request, domain.ErrForbidden if not.
func (g grants) admit(c echo.Context, caller auth.Claims) error {
	switch granted := g[caller.Role]; granted {
	case forAnyone, asThemselves:
		return nil
	case withOrder, withAward, withReveal, withAudit:
		if caller.HasRight(rights[granted]) {
			return nil
		}
	case forThemselves:
		customer, err := request.PathID[domain.CustomerID](c, "userId")
		if err != nil {
			return err
		}
		if string(customer) == caller.Subject {
			return nil
		}
	}
	return domain.ErrForbidden
}
