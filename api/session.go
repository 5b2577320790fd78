package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
)

const (
	// sessionCookie holds the token of somebody who looks at pages. Scripts can't read it, and no other site's request carries it.
	sessionCookie = "loyalty_session"
	// maxCookie is what a browser keeps of a cookie, name and value, in bytes (RFC 6265 section 6.1).
	maxCookie = 4096
)

// sessionToken is the token of a request that comes from a page: of this system's own, if the request is to change anything
// (Fetch Metadata, else Origin).
func (s *Server) sessionToken(r *http.Request) (string, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || cookie.Value == "" {
		return "", errTokenMissing
	}
	return cookie.Value, s.sameOrigin(r)
}

func (s *Server) sameOrigin(r *http.Request) error {
	if err := s.crossOrigin.Check(r); err != nil {
		return fmt.Errorf("%w: %w", errCrossOrigin, err)
	}
	return nil
}

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
	if err := s.sameOrigin(c.Request()); err != nil {
		return err
	}
	data, err := readBody(c)
	if err != nil {
		return err
	}
	body, badBody := parseObject(data, sessionFields)
	token, badToken := body.text("token", "token_malformed")
	if err := domain.JoinInvalid(badBody, badToken); err != nil {
		return err
	}
	if token == "" {
		return errTokenMissing
	}
	if err := s.beSession(ctx, c, token); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// beSession sets the cookie to a token that is valid. Errors are those of authentication.
func (s *Server) beSession(ctx context.Context, c echo.Context, token string) error {
	claims, err := s.config.Verifier.verify(ctx, token, s.keyed)
	if err != nil {
		return err
	}
	if len(sessionCookie)+1+len(token) > maxCookie {
		return domain.Invalid("token", "token_too_long", fmt.Sprintf("a browser keeps no token of more than %d bytes", maxCookie-len(sessionCookie)-1))
	}
	c.SetCookie(s.cookie(c.Request(), token, claims.Expires))
	return nil
}

// closeSession ends the session of the browser that asks.
func (s *Server) closeSession(c echo.Context) error {
	if err := s.sameOrigin(c.Request()); err != nil {
		return err
	}
	c.SetCookie(s.cookie(c.Request(), "", time.Unix(1, 0)))
	return c.NoContent(http.StatusNoContent)
}

func (s *Server) cookie(r *http.Request, value string, expires time.Time) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", Expires: expires.UTC(), HttpOnly: true, Secure: !onLoopback(r), SameSite: http.SameSiteStrictMode,
	}
}

// onLoopback tells whether a browser reached us without TLS on its own machine, where nobody listens in.
func onLoopback(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return r.TLS == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
