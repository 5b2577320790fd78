package api

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/request"
	"loyalty/internal/problem"
)

// problemOf is the problem of an error, those of Echo's router among them.
func problemOf(err error) problem.Problem {
	switch {
	case errors.Is(err, echo.ErrNotFound):
		err = problem.ErrRouteNotFound
	case errors.Is(err, echo.ErrMethodNotAllowed):
		err = problem.ErrMethodNotAllowed
	}
	return problem.Of(err)
}

// fail answers a request with the problem that err is to its caller. It is Echo's HTTPErrorHandler.
func (s *Server) fail(err error, c echo.Context) {
	p := problemOf(err)
	p.ID = s.ids.Of(c)
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, problem.ErrOverloaded) {
		level := slog.LevelWarn
		if p.Status == http.StatusInternalServerError {
			level = slog.LevelError
		}
		s.log.LogAttrs(c.Request().Context(), level, p.Title, slog.String("id", p.ID), slog.Any("error", err))
	}
	if c.Response().Committed {
		return
	}
	header := c.Response().Header()
	if p.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", challenge(p))
	}
	if p.RetryAfter > 0 {
		header.Set("Retry-After", wholeSeconds(p.RetryAfter))
	}
	if err := request.WriteProblem(c.Response(), p); err != nil {
		s.log.LogAttrs(c.Request().Context(), slog.LevelDebug, "answer not sent", slog.String("id", p.ID), slog.Any("error", err))
	}
}

// wholeSeconds rounds up.
func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10)
}

// challenge is what RFC 6750 section 3 asks a 401 to say.
func challenge(p problem.Problem) string {
	if p.Code == "token_missing" {
		return `Bearer realm="loyalty"`
	}
	return fmt.Sprintf(`Bearer realm="loyalty", error="invalid_token", error_description=%q`, p.Detail)
}
