package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/internal/problem"
	"loyalty/internal/strictjson"
)

type sessionAnswer struct {
	Subject string   `json:"subject"`
	Role    Role     `json:"role"`
	Scopes  []string `json:"scopes"`
	// Expires is a moment, ExpiresIn the seconds until then, for those whose clock is another.
	Expires   time.Time `json:"expires"`
	ExpiresIn int64     `json:"expiresIn"`
}

// session says who is signed in, and until when.
func (s *Server) session(_ context.Context, c echo.Context, caller Claims) error {
	answer := sessionAnswer{Subject: caller.Subject, Role: caller.Role, Scopes: strings.Fields(caller.Scope), Expires: caller.Expires.UTC()}
	answer.ExpiresIn = int64(caller.Expires.Sub(s.config.Now()).Seconds())
	return c.JSON(http.StatusOK, answer)
}

var sessionFields = []string{"token"}

// openSession makes a token the session of the browser that sends it.
func (s *Server) openSession(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), requestTimeout)
	defer cancel()
	if err := s.auth.SameOrigin(c.Request()); err != nil {
		return err
	}
	data, err := readBody(c)
	if err != nil {
		return err
	}
	body := strictjson.Parse(data, sessionFields)
	token, _ := body.String("token", "token_malformed")
	if err := body.Err(); err != nil {
		return err
	}
	if token == "" {
		return problem.ErrTokenMissing
	}
	if err := s.auth.OpenSession(ctx, c.Response(), c.Request(), token); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// closeSession ends the session of the browser that asks.
func (s *Server) closeSession(c echo.Context) error {
	if err := s.auth.SameOrigin(c.Request()); err != nil {
		return err
	}
	s.auth.CloseSession(c.Response(), c.Request())
	return c.NoContent(http.StatusNoContent)
}
