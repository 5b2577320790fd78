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

// SignIn begins to sign somebody in.
func (h *Handler) SignIn(c echo.Context) error {
	to := auth.LocalPath(c.QueryParam("to"))
	switch {
	case h.Provider != nil:
		if err := h.Provider.Begin(c.Response(), c.Request(), to); err != nil {
			return h.notSignedIn(c, to, err)
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
	ctx, cancel := context.WithTimeout(c.Request().Context(), providerTimeout)
	defer cancel()
	token, to, err := h.Provider.Finish(c.Response(), c.Request().WithContext(ctx))
	to = auth.LocalPath(to)
	if err == nil {
		err = h.Auth.OpenSession(ctx, c.Response(), c.Request(), token)
	}
	if err != nil {
		return h.notSignedIn(c, to, err)
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// notSignedIn shows why a sign-in failed, without what only the log may hold.
func (h *Handler) notSignedIn(c echo.Context, to string, err error) error {
	page, status, level := signInPage{To: to, Again: true}, http.StatusInternalServerError, slog.LevelError
	switch {
	case errors.Is(err, domain.ErrUnavailable):
		status, level = http.StatusServiceUnavailable, slog.LevelWarn
		page.Problem = "The identity provider does not answer. Try again in a moment."
	case errors.Is(err, domain.ErrUnauthenticated):
		status, level = http.StatusForbidden, slog.LevelWarn
		page.Problem = "You were not signed in: the identity provider did not say so, said it too long ago, or gave you no role here. Try again."
	default:
		page.Problem = "Something went wrong while signing in. Try again; if it happens again, tell those who run this system: request " + h.IDs.Of(c) + "."
	}
	h.Log.LogAttrs(c.Request().Context(), level, "sign in", slog.String("id", h.IDs.Of(c)), slog.Any("error", err))
	return page.write(c.Response(), status)
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
var developmentScopes = map[auth.Role]string{auth.RoleSupport: "reveal audit", auth.RoleAnalyst: "audit"}

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
		err = h.Auth.OpenSession(ctx, c.Response(), c.Request(), token)
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
