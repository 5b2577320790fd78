package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"loyalty/api/auth"
	"loyalty/api/web"
	"loyalty/domain"
)

// SignIn signs people in at an identity provider, from many goroutines at once.
type SignIn interface {
	// Begin sends the browser to the provider. It comes back to Finish, and then to the path to, which is one of ours.
	Begin(w http.ResponseWriter, r *http.Request, to string) error
	// Finish takes the browser's return: the token that is the session from now on, and the path it wanted.
	Finish(w http.ResponseWriter, r *http.Request) (token, to string, err error)
}

// addPages adds the pages that this process can fill, and what signing in needs.
func (s *Server) addPages() error {
	var err error
	if s.files, err = web.Load(); err != nil || !hasPages(s.config) {
		return err
	}
	has := map[string]bool{
		web.CustomerPath: hasLeaderboard(s.config), web.SupportPath: hasFinder(s.config), web.AnalysisPath: hasLedger(s.config),
	}
	both := []string{http.MethodGet, http.MethodHead}
	for _, path := range s.files.Paths() {
		if has[path] || strings.HasPrefix(path, web.AssetsPath) {
			s.echo.Match(both, path, echo.WrapHandler(s.files))
		}
	}
	s.echo.POST("/session", s.openSession)
	s.echo.DELETE("/session", s.closeSession)
	s.echo.GET("/sign-in", s.signIn)
	if s.config.SignIn != nil {
		s.echo.GET("/signed-in", s.signedIn)
	}
	if s.config.Development != nil {
		s.echo.POST("/sign-in", s.signInAs)
	}
	return nil
}

// allowOrigins lets pages of other origins read dashboards with a bearer token, and nothing else (Fetch Standard, CORS protocol).
func (s *Server) allowOrigins(origins []string) {
	if len(origins) == 0 {
		return
	}
	s.echo.Use(middleware.CORSWithConfig(middleware.CORSConfig{
		Skipper: func(c echo.Context) bool {
			path := c.Request().URL.Path
			return path != "/seasons" && !strings.HasPrefix(path, "/loyalty/")
		},
		AllowOrigins:  origins,
		AllowMethods:  []string{http.MethodGet},
		AllowHeaders:  []string{"Authorization", "Last-Event-ID", headerMinPosition, headerRequestID},
		ExposeHeaders: []string{"Date", "Retry-After", headerRequestID},
		MaxAge:        int((10 * time.Minute).Seconds()),
	}))
}

// signIn begins to sign somebody in.
func (s *Server) signIn(c echo.Context) error {
	to := web.LocalPath(c.QueryParam("to"))
	switch {
	case s.config.SignIn != nil:
		if err := s.config.SignIn.Begin(c.Response(), c.Request(), to); err != nil {
			return s.notSignedIn(c, to, err)
		}
		return nil
	case s.developing(c):
		return web.SignIn{To: to, People: people}.Write(c.Response(), http.StatusOK)
	}
	return web.SignIn{To: to, Problem: "Nobody signs in here. Open this page from where you are signed in, or ask those who run this system to name an identity provider."}.
		Write(c.Response(), http.StatusNotFound)
}

// signedIn takes those who come back from the identity provider to where they wanted.
func (s *Server) signedIn(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), requestTimeout)
	defer cancel()
	token, to, err := s.config.SignIn.Finish(c.Response(), c.Request().WithContext(ctx))
	to = web.LocalPath(to)
	if err == nil {
		err = s.auth.OpenSession(ctx, c.Response(), c.Request(), token)
	}
	if err != nil {
		return s.notSignedIn(c, to, err)
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// notSignedIn says why, as far as that is for the one who tried.
func (s *Server) notSignedIn(c echo.Context, to string, err error) error {
	page, status, level := web.SignIn{To: to, Again: true}, http.StatusInternalServerError, slog.LevelError
	switch {
	case errors.Is(err, domain.ErrUnavailable):
		status, level = http.StatusServiceUnavailable, slog.LevelWarn
		page.Problem = "The identity provider does not answer. Try again in a moment."
	case errors.Is(err, domain.ErrUnauthenticated):
		status, level = http.StatusForbidden, slog.LevelWarn
		page.Problem = "You were not signed in: the identity provider did not say so, said it too long ago, or gave you no role here. Try again."
	default:
		page.Problem = "Something went wrong while signing in. Try again; if it happens again, tell those who run this system: request " + s.requestID(c) + "."
	}
	s.config.Log.LogAttrs(c.Request().Context(), level, "sign in", slog.String("id", s.requestID(c)), slog.Any("error", err))
	return page.Write(c.Response(), status)
}

// people are whom a developer can be with one click. Two are in support, for one approves what the other asked for.
var people = []web.Person{
	{Role: string(RoleCustomer), ID: "shopper-050", Choose: true, Label: "Customer", About: "Their dashboard: points, rank, neighbours. With --demo, shopper-000 to shopper-199 buy."},
	{Role: string(RoleSupport), ID: "agent-1", Label: "Support", About: "Search, trails, adjustments, names and audit."},
	{Role: string(RoleSupport), ID: "agent-2", Label: "Support, a second person", About: "Approves what agent-1 asks for."},
	{Role: string(RoleAnalyst), ID: "analyst-1", Label: "Analyst", About: "The past, points over time, and what if."},
}

// developmentSession is how long a session lasts in development.
const developmentSession = 12 * time.Hour

// developmentScopes are what each role may do beyond itself in development.
var developmentScopes = map[Role]string{RoleSupport: "reveal audit", RoleAnalyst: "audit"}

// developing tells whether the request is a developer's: by the name that only their own machine has, for a name of somebody else's
// may lead here, too (DNS rebinding).
func (s *Server) developing(c echo.Context) bool {
	return s.config.Development != nil && auth.OnLoopback(c.Request())
}

// signInAs makes a developer whoever they choose to be.
func (s *Server) signInAs(c echo.Context) error {
	if !s.developing(c) {
		return echo.ErrNotFound
	}
	if err := s.auth.SameOrigin(c.Request()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), requestTimeout)
	defer cancel()
	c.Request().Body = http.MaxBytesReader(c.Response(), c.Request().Body, maxBody)
	role, to := Role(c.FormValue("role")), web.LocalPath(c.FormValue("to"))
	token, err := s.config.Development(Claims{Subject: c.FormValue("sub"), Role: role, Scope: developmentScopes[role]}, developmentSession)
	if err == nil {
		err = s.auth.OpenSession(ctx, c.Response(), c.Request(), token)
	}
	if errors.Is(err, domain.ErrInvalid) {
		return web.SignIn{To: to, People: people, Problem: problemOf(err).Detail + "."}.Write(c.Response(), http.StatusBadRequest)
	}
	if err != nil {
		return err
	}
	if to == web.CustomerPath {
		to = homes[role]
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// homes are the pages that people of each role begin with.
var homes = map[Role]string{RoleCustomer: web.CustomerPath, RoleSupport: web.SupportPath, RoleAnalyst: web.AnalysisPath, RoleChannel: web.CustomerPath}
