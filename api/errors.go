package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/internal/problem"
)

// problemOf is the problem of an error of a request, those of Echo's router among them.
func problemOf(ctx context.Context, err error) problem.Problem {
	switch {
	case errors.Is(err, echo.ErrNotFound):
		err = problem.ErrRouteNotFound
	case errors.Is(err, echo.ErrMethodNotAllowed):
		err = problem.ErrMethodNotAllowed
	}
	p := problem.Of(err)
	if p.Status == http.StatusServiceUnavailable && clientLeft(ctx, err) {
		p = problem.Of(problem.ErrClientGone)
	}
	return p
}

// clientLeft tells whether a request failed because its client went away: its context ends with its connection. Deadlines of ours and a
// stop end contexts that were made from it.
func clientLeft(ctx context.Context, err error) bool {
	return ctx.Err() == context.Canceled && !errors.Is(err, context.DeadlineExceeded)
}

// fail answers a request with the problem that err is to its caller. It is Echo's HTTPErrorHandler.
func (s *Server) fail(err error, c echo.Context) { s.answerError(err, c) }

// answerError is fail, and returns the status that counts: that of the problem, also where another was sent before.
func (s *Server) answerError(err error, c echo.Context) (status int) {
	ctx := c.Request().Context()
	p := problemOf(ctx, err)
	p.ID = s.ids.Of(c)
	level := slog.LevelDebug
	switch {
	case p.Status == http.StatusInternalServerError:
		level = slog.LevelError
	case p.Status > http.StatusInternalServerError && !errors.Is(err, problem.ErrOverloaded):
		level = slog.LevelWarn
	}
	if because := new(auth.RefusedError); errors.As(err, &because) {
		// Whoever was refused is told little, so that whoever runs this must be able to find out.
		s.log.LogAttrs(ctx, slog.LevelInfo, "a token was refused", slog.String("id", p.ID), slog.String("because", because.Because),
			slog.String("kid", because.KeyID), slog.String("iss", because.Issuer))
	}
	if level > slog.LevelDebug || p.Status == problem.StatusClientGone {
		s.log.LogAttrs(ctx, level, p.Title, slog.String("id", p.ID), slog.Any("error", err))
	}
	if c.Response().Committed {
		return p.Status
	}
	header := c.Response().Header()
	if p.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", challenge(p))
	}
	p.SetRetryAfter(header)
	if err := request.WriteProblem(c.Response(), p); err != nil {
		s.log.LogAttrs(c.Request().Context(), slog.LevelDebug, "answer not sent", slog.String("id", p.ID), slog.Any("error", err))
	}
	return p.Status
}

// challenge is what RFC 6750 section 3 asks a 401 to say.
func challenge(p problem.Problem) string {
	if p.Code == "token_missing" {
		return `Bearer realm="loyalty"`
	}
	return fmt.Sprintf(`Bearer realm="loyalty", error="invalid_token", error_description=%q`, p.Detail)
}
