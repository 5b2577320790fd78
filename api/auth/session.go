package auth

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"loyalty/domain"
	"loyalty/internal/problem"
)

const (
	// sessionCookie holds the token of somebody who looks at pages. Scripts can't read it, and requests of other sites don't carry it.
	sessionCookie = "loyalty_session"
	// maxCookie is what a browser keeps of a cookie, name and value, in bytes (RFC 6265, section 6.1).
	maxCookie = 4096
)

// sessionToken is the token of a request that comes from one of this system's own pages.
func (a *Authenticator) sessionToken(r *http.Request) (string, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || cookie.Value == "" {
		return "", problem.ErrTokenMissing
	}
	return cookie.Value, a.SameOrigin(r)
}

// OpenSession makes a token the session of the browser that made the request, until the token expires. Errors are those of a token that
// is not valid, and domain.ErrInvalid for one too long for a cookie.
func (a *Authenticator) OpenSession(ctx context.Context, w http.ResponseWriter, r *http.Request, token string) error {
	claims, err := a.verify(ctx, token)
	if err != nil {
		return err
	}
	if len(sessionCookie)+1+len(token) > maxCookie {
		return domain.Invalid("token", "token_too_long", fmt.Sprintf("a browser keeps no token of more than %d bytes", maxCookie-len(sessionCookie)-1))
	}
	http.SetCookie(w, cookie(r, token, claims.Expires))
	return nil
}

// CloseSession ends the session of the browser that made the request.
func (a *Authenticator) CloseSession(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, cookie(r, "", time.Unix(1, 0)))
}

func cookie(r *http.Request, value string, expires time.Time) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", Expires: expires.UTC(), HttpOnly: true, Secure: !OnLoopback(r), SameSite: http.SameSiteStrictMode,
	}
}

// OnLoopback tells whether a browser made the request without TLS on the machine of this process, where nobody can listen in. It goes by
// the Host header, so that a name which resolves to this machine is not enough (DNS rebinding).
func OnLoopback(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return r.TLS == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
