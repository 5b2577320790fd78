package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/internal/problem"
	"loyalty/internal/strictjson"
)

type sessionAnswer struct {
	Subject string    `json:"subject"`
	Role    auth.Role `json:"role"`
	Scopes  []string  `json:"scopes"`
	// Expires is a time, ExpiresIn the seconds until then, for those whose clock differs.
	Expires   time.Time `json:"expires"`
	ExpiresIn int64     `json:"expiresIn"`
}

// Session says who is signed in, and until when.
func (h *Handler) Session(_ context.Context, c echo.Context, caller auth.Claims) error {
	answer := sessionAnswer{Subject: caller.Subject, Role: caller.Role, Scopes: strings.Fields(caller.Rights), Expires: caller.Expires.UTC()}
	answer.ExpiresIn = int64(caller.Expires.Sub(h.Now()).Seconds())
	return c.JSON(http.StatusOK, answer)
}

var sessionFields = []string{"token"}

// OpenSession makes a token the session of the browser that sends it.
func (h *Handler) OpenSession(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), request.Timeout)
	defer cancel()
	if err := h.Auth.SameOrigin(c.Request()); err != nil {
		return err
	}
	data, err := request.ReadBody(c)
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
	if err := h.Auth.OpenSession(ctx, c.Response(), c.Request(), token); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// CloseSession ends the session of the browser that asks.
func (h *Handler) CloseSession(c echo.Context) error {
	if err := h.Auth.SameOrigin(c.Request()); err != nil {
		return err
	}
	h.Auth.CloseSession(c.Response(), c.Request())
	return c.NoContent(http.StatusNoContent)
}
