package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"loyalty/api/request"
	"loyalty/api/web"
)

// hasPages tells whether the process can fill any page that customers or staff look at.
func hasPages(c *Config) bool { return c.Leaderboard != nil || c.Ledger != nil }

// addPages adds the pages that this process can fill, and what signing in needs.
func (s *Server) addPages(c *Config) {
	if !hasPages(c) {
		return
	}
	has := map[string]bool{web.CustomerPath: c.Leaderboard != nil, web.SupportPath: c.Finder != nil, web.AnalysisPath: c.Ledger != nil}
	both := []string{http.MethodGet, http.MethodHead}
	for _, path := range s.files.Paths() {
		if has[path] || strings.HasPrefix(path, web.AssetsPath) {
			s.echo.Match(both, path, echo.WrapHandler(s.files))
		}
	}
	s.echo.POST("/session", s.rooms.web.OpenSession)
	s.echo.DELETE("/session", s.rooms.web.CloseSession)
	s.echo.GET("/sign-in", s.rooms.web.SignIn)
	s.echo.GET("/sign-out", s.rooms.web.SignOut)
	s.echo.GET("/signed-out", s.rooms.web.SignedOut)
	if c.SignIn != nil {
		s.echo.GET("/signed-in", s.rooms.web.SignedIn)
	}
	if c.Development != nil {
		s.echo.POST("/sign-in", s.rooms.web.SignInAs)
	}
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
		AllowHeaders:  []string{"Authorization", "Last-Event-ID", request.HeaderMinPosition, request.HeaderID},
		ExposeHeaders: []string{"Date", "Retry-After", request.HeaderID},
		MaxAge:        int((10 * time.Minute).Seconds()),
	}))
}
