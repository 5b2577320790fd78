package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
)

// route is one line of the API: what is asked, what the process must have to answer, who may ask, and who answers.
type route struct {
	method, path string
	needs        func(Config) bool
	grants       grants
	handle       func(*Server, context.Context, echo.Context, Claims) error
	// quick is for a route that bounds its own waits, because it may take long or a timer for each request would show.
	quick bool
	// byLine is for a route that counts each line of a request against its caller's rate instead of the request.
	byLine bool
}

// grants is what each role may do on a route. A role that is not in it may do nothing.
type grants map[Role]grant

type grant int

const (
	// forAnyone lets a caller act for every customer.
	forAnyone grant = iota + 1
	// forThemselves lets a customer act for nobody else: the userId in the path must be their own.
	forThemselves
	// asThemselves is for a customer on a route whose path names none: the handler takes the customer from the token.
	asThemselves
	// withAward, withReveal and withAudit let a caller act for every customer if their token has the scope award, reveal or audit.
	withAward
	withReveal
	withAudit
	// lookingBack lets a caller see every customer's account as it stood at a moment in the past, and not as it stands.
	lookingBack
)

// scopes are what a token must have for a grant.
var scopes = map[grant]string{withAward: "award", withReveal: "reveal", withAudit: "audit"}

// routes is all of the API. Whatever a route is not granted to in this table is refused with 403.
var routes = []route{
	{http.MethodPost, "/order/:orderId", hasCommands,
		grants{RoleChannel: forAnyone, RoleCustomer: asThemselves}, (*Server).placeOrder, false, false},
	{http.MethodPost, "/orders", hasCommands,
		grants{RoleChannel: forAnyone}, (*Server).placeOrders, true, true},
	{http.MethodPost, "/order/:orderId/returns/:returnId", hasCommands,
		grants{RoleChannel: forAnyone, RoleSupport: forAnyone}, (*Server).returnItems, false, false},
	{http.MethodGet, "/loyalty/:userId", hasLeaderboard,
		grants{RoleCustomer: forThemselves, RoleSupport: forAnyone, RoleAnalyst: lookingBack}, (*Server).dashboard, true, false},
	{http.MethodGet, "/loyalty/:userId/live", hasLeaderboard,
		grants{RoleCustomer: forThemselves, RoleSupport: forAnyone}, (*Server).live, true, false},
	{http.MethodPost, "/loyalty/:userId", hasCommands,
		grants{RoleChannel: withAward, RoleSupport: forAnyone}, (*Server).adjustPoints, false, false},
	{http.MethodPost, "/loyalty/:userId/adjustments/:loyaltyId/approval", hasCommands,
		grants{RoleSupport: forAnyone}, (*Server).approveAdjustment, false, false},
	{http.MethodPost, "/loyalty/:userId/adjustments/:loyaltyId/refusal", hasCommands,
		grants{RoleSupport: forAnyone}, (*Server).declineAdjustment, false, false},
	{http.MethodGet, "/loyalty/:userId/trail", hasLedger,
		grants{RoleCustomer: forThemselves, RoleSupport: forAnyone}, (*Server).trail, false, false},
	{http.MethodGet, "/loyalty/:userId/entries/:entryId", hasEvidence,
		grants{RoleSupport: forAnyone}, (*Server).explain, false, false},
	{http.MethodGet, "/loyalty/:userId/changes", hasHistory,
		grants{RoleCustomer: forThemselves, RoleSupport: forAnyone}, (*Server).changes, false, false},
	{http.MethodGet, "/session", hasPages,
		grants{RoleCustomer: asThemselves, RoleChannel: asThemselves, RoleSupport: asThemselves, RoleAnalyst: asThemselves}, (*Server).session, false, false},
	{http.MethodGet, "/seasons", hasLeaderboard,
		grants{RoleCustomer: asThemselves, RoleSupport: forAnyone, RoleAnalyst: forAnyone}, (*Server).seasons, false, false},
	{http.MethodGet, "/search", hasFinder,
		grants{RoleSupport: forAnyone}, (*Server).search, false, false},
	{http.MethodPost, "/reveals", hasReveals,
		grants{RoleSupport: withReveal}, (*Server).reveal, false, false},
	{http.MethodGet, "/approvals", hasAuditor,
		grants{RoleSupport: forAnyone}, (*Server).approvals, false, false},
	{http.MethodGet, "/acts", hasAuditor,
		grants{RoleSupport: withAudit, RoleAnalyst: withAudit}, (*Server).acts, false, false},
	{http.MethodGet, "/leaderboard", hasHistory,
		grants{RoleSupport: forAnyone, RoleAnalyst: forAnyone}, (*Server).leaderboard, false, false},
	{http.MethodGet, "/earnings", hasEarner,
		grants{RoleSupport: forAnyone, RoleAnalyst: forAnyone}, (*Server).earnings, false, false},
	{http.MethodPost, "/what-if", hasReplays,
		grants{RoleAnalyst: forAnyone}, (*Server).whatIf, true, false},
}

func hasCommands(c Config) bool    { return c.Commands != nil }
func hasLeaderboard(c Config) bool { return c.Leaderboard != nil }
func hasLedger(c Config) bool      { return c.Ledger != nil }
func hasFinder(c Config) bool      { return c.Finder != nil }
func hasAuditor(c Config) bool     { return c.Auditor != nil }
func hasEvidence(c Config) bool    { return c.Evidence != nil && c.Finder != nil }
func hasHistory(c Config) bool     { return c.History != nil }
func hasEarner(c Config) bool      { return c.Earner != nil }
func hasReplays(c Config) bool     { return c.Replays != nil }
func hasReveals(c Config) bool     { return c.Reveals != nil && c.Finder != nil }
func hasPages(c Config) bool       { return hasLeaderboard(c) || hasLedger(c) }

// guard lets those requests through to the route's handler whose caller is known and may do this.
func (s *Server) guard(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		if !r.quick {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, requestTimeout)
			defer cancel()
		}
		caller, err := s.auth.Authenticate(ctx, c.Request())
		if err != nil {
			return err
		}
		if err := s.takeRate(r, caller); err != nil {
			return err
		}
		if err = r.grants.admit(c, caller); err == nil {
			err = r.handle(s, ctx, c, caller)
		}
		if errors.Is(err, domain.ErrForbidden) {
			s.noteRefused(ctx, c, caller)
		}
		return err
	}
}

// takeRate counts a request against its caller's rate, unless the route counts lines.
func (s *Server) takeRate(r route, caller Claims) error {
	switch {
	case r.byLine:
		return nil
	case r.method == http.MethodGet:
		return s.admission.ReadRates.Take(caller, s.config.Now)
	}
	return s.admission.WriteRates.Take(caller, s.config.Now)
}

// admit returns nil if the caller may make this request, domain.ErrForbidden if not.
func (g grants) admit(c echo.Context, caller Claims) error {
	switch granted := g[caller.Role]; granted {
	case forAnyone, asThemselves:
		return nil
	case withAward, withReveal, withAudit:
		if caller.HasScope(scopes[granted]) {
			return nil
		}
	case lookingBack:
		if c.QueryParams().Has("asOf") {
			return nil
		}
	case forThemselves:
		customer, err := pathID[domain.CustomerID](c, "userId")
		if err != nil {
			return err
		}
		if string(customer) == caller.Subject {
			return nil
		}
	}
	return domain.ErrForbidden
}
