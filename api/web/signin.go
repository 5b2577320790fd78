package web

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/internal/problem"
	"loyalty/internal/strictjson"
)

// afreshParameter of /sign-in has the identity provider ask who it is, even if it knows somebody.
const afreshParameter = "afresh"

// SignIn begins to sign somebody in.
func (h *Handler) SignIn(c echo.Context) error {
	to := auth.LocalPath(c.QueryParam("to"))
	switch {
	case h.Provider != nil:
		if err := h.Provider.Begin(c.Response(), c.Request(), to, c.QueryParam(afreshParameter) != ""); err != nil {
			return h.notSignedIn(c, to, err, unfinished)
		}
		return nil
	case h.developing(c):
		return signInPage{To: to, People: people}.write(c.Response(), http.StatusOK)
	}
	return signInPage{To: to, Problem: cmp.Or(h.NoSignIn, "Nobody signs in here. Open this page from where you are signed in, or ask those who run this system to name an identity provider.")}.
		write(c.Response(), http.StatusNotFound)
}

// providerTimeout bounds the talk with the identity provider at the end of a sign-in: it is asked for a token, and perhaps for its keys.
const providerTimeout = 10 * time.Second

// SignedIn opens a session for somebody who comes back from the identity provider, and sends them to the page that they wanted.
func (h *Handler) SignedIn(c echo.Context) error {
	if err := h.Returns.Take(c.Request().RemoteAddr, h.Now); err != nil {
		return h.notSignedIn(c, CustomerPath, err, unfinished)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), providerTimeout)
	defer cancel()
	token, to, err := h.Provider.Finish(c.Response(), c.Request().WithContext(ctx))
	to = auth.LocalPath(to)
	if err != nil {
		return h.notSignedIn(c, to, err, unfinished)
	}
	if err := h.open(ctx, c, token); err != nil {
		return h.notSignedIn(c, to, err, noRole)
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// open makes a token the session of the browser, and tells its pages that they come from a sign-in: a page that is refused then must not
// begin another.
func (h *Handler) open(ctx context.Context, c echo.Context, token string) error {
	if err := h.Auth.OpenSession(ctx, c.Response(), c.Request(), token); err != nil {
		return err
	}
	h.Auth.NoteSignIn(c.Response(), c.Request())
	return nil
}

// What somebody is told whose sign-in ended with domain.ErrUnauthenticated.
const (
	unfinished = "You were not signed in: the sign-in was cancelled, or took too long. Try again."
	noRole     = "You signed in at the identity provider, but have no role here, or were refused. If you should have one, ask those who run this system. You can try again as somebody else."
)

// notSignedIn shows why a sign-in that should lead to a path of ours failed, without what only the log may hold, and the way to try again.
func (h *Handler) notSignedIn(c echo.Context, to string, err error, unauthenticated string) error {
	p := problem.Of(err)
	page, status, level := signInPage{Next: signInAt(to, true), NextLabel: "Try again"}, p.Status, slog.LevelWarn
	switch {
	case errors.Is(err, problem.ErrRateLimited), errors.Is(err, problem.ErrOverloaded):
		page.Problem = "Too many people sign in at this moment. Try again in a moment."
		// Nothing was done: the same return is good then.
		page.Next = c.Request().URL.RequestURI()
	case errors.Is(err, domain.ErrUnavailable):
		page.Problem = "The identity provider does not answer, or has new keys. Try again in a moment."
		page.Next = signInAt(to, false)
	case errors.Is(err, domain.ErrUnauthenticated):
		status, page.Problem = http.StatusForbidden, unauthenticated
	default:
		status, level = http.StatusInternalServerError, slog.LevelError
		page.Problem = "Signing in is not set up as it should be, which only those who run this system can mend. Tell them the request below."
	}
	p.SetRetryAfter(c.Response().Header())
	page.Note = "Request " + h.IDs.Of(c) + "."
	h.Log.LogAttrs(c.Request().Context(), level, "sign in", slog.String("id", h.IDs.Of(c)), slog.Any("error", err))
	return page.write(c.Response(), status)
}

// SignOut shows somebody who has signed out that they are: once the identity provider has ended its own session of theirs, if it does.
func (h *Handler) SignOut(c echo.Context) error {
	page := signInPage{To: auth.LocalPath(c.QueryParam("to"))}
	if h.Provider != nil {
		page.Note = "At the identity provider you may still be signed in. On a machine that others use, sign out there, too."
		ctx, cancel := context.WithTimeout(c.Request().Context(), providerTimeout)
		defer cancel()
		address, err := h.Provider.EndSession(ctx, page.To)
		if err != nil {
			h.Log.LogAttrs(ctx, slog.LevelWarn, "sign out at the identity provider", slog.String("id", h.IDs.Of(c)), slog.Any("error", err))
		}
		if address != "" {
			h.endSession(c)
			c.Response().Header().Set("Cache-Control", "no-store")
			return c.Redirect(http.StatusSeeOther, address)
		}
	}
	return h.signedOut(c, page)
}

// SignedOut is where the identity provider sends browsers back to after SignOut. The state is the path that was left.
func (h *Handler) SignedOut(c echo.Context) error {
	return h.signedOut(c, signInPage{To: auth.LocalPath(c.QueryParam("state"))})
}

// signedOut says that nobody is signed in. It must not sign in by itself, and whoever does afterwards is asked who they are.
func (h *Handler) signedOut(c echo.Context, page signInPage) error {
	h.endSession(c)
	page.Title, page.Next, page.NextLabel = "You are signed out", signInAt(page.To, true), "Sign in"
	return page.write(c.Response(), http.StatusOK)
}

// endSession closes the session of a browser that has one here: whoever opens one of the addresses by hand must not be told what isn't so.
// Links from other sites come without a session, and end none.
func (h *Handler) endSession(c echo.Context) {
	if h.Auth.HasSession(c.Request()) {
		h.Auth.CloseSession(c.Response(), c.Request())
	}
}

// people are whom a developer can sign in as with one click. Two are in support, so that one can approve what the other requests.
var people = []person{
	{Role: string(auth.RoleCustomer), ID: "shopper-050", Choose: true, Label: "Customer", About: "Their dashboard: points, rank, neighbours. With --demo, shopper-000 to shopper-199 buy."},
	{Role: string(auth.RoleSupport), ID: "agent-1", Label: "Support", About: "Search, trails, adjustments, names and audit."},
	{Role: string(auth.RoleSupport), ID: "agent-2", Label: "Support, a second person", About: "Approves what agent-1 asks for."},
	{Role: string(auth.RoleAnalyst), ID: "analyst-1", Label: "Analyst", About: "The past, points over time, and what if."},
}

// developmentSession is how long a session lasts in development.
const developmentSession = 12 * time.Hour

// developmentScopes are the scopes of each role in development.
var developmentScopes = map[auth.Role]string{auth.RoleSupport: auth.RightReveal + " " + auth.RightAudit, auth.RoleAnalyst: auth.RightAudit}

// developing tells whether this is development and the request was made on the developer's own machine.
func (h *Handler) developing(c echo.Context) bool {
	return h.Development != nil && auth.OnLoopback(c.Request())
}

// SignInAs signs a developer in as whom they choose.
func (h *Handler) SignInAs(c echo.Context) error {
	if !h.developing(c) {
		return echo.ErrNotFound
	}
	if err := h.Auth.SameOrigin(c.Request()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), request.Timeout)
	defer cancel()
	c.Request().Body = http.MaxBytesReader(c.Response(), c.Request().Body, strictjson.MaxBytes)
	role, to := auth.Role(c.FormValue("role")), auth.LocalPath(c.FormValue("to"))
	token, err := h.Development(auth.Claims{Subject: c.FormValue("sub"), Role: role, Rights: developmentScopes[role]}, developmentSession)
	if err == nil {
		err = h.open(ctx, c, token)
	}
	if errors.Is(err, domain.ErrInvalid) {
		return signInPage{To: to, People: people, Problem: problem.Of(err).Detail + "."}.write(c.Response(), http.StatusBadRequest)
	}
	if err != nil {
		return err
	}
	if to == CustomerPath {
		to = homes[role]
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// homes are the first pages of each role.
var homes = map[auth.Role]string{auth.RoleCustomer: CustomerPath, auth.RoleSupport: SupportPath, auth.RoleAnalyst: AnalysisPath, auth.RoleChannel: CustomerPath}
