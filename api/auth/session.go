package auth

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"

	"loyalty/domain"
	"loyalty/internal/problem"
)

const (
	// sessionCookie holds the token of somebody who looks at pages. Scripts can't read it, and requests of other sites don't carry it.
	sessionCookie = "loyalty_session"
	// hostPrefix before its name has browsers keep it only if it comes from this very host by TLS, so that no page of a sibling domain can
	// sign its visitor in here as somebody else (RFC 6265bis, section 4.1.3.2).
	hostPrefix = "__Host-"
	// signedInCookie is there for so many seconds after a sign-in. A page that is refused meanwhile does not begin another.
	signedInCookie  = "loyalty_just_signed_in"
	signedInSeconds = 10
	// maxCookie is what a browser keeps of a cookie, name and value, in bytes (RFC 6265, section 6.1).
	maxCookie = 4096
)

// sessionToken is the token of a request that comes from one of this system's own pages.
func (a *Authenticator) sessionToken(r *http.Request) (string, error) {
	cookie, err := r.Cookie(cookieName(a.secure(r)))
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
	cookie := a.sessionCookie(r)
	if room := maxCookie - len(cookie.Name) - 1; len(token) > room {
		return domain.Invalid("token", "token_too_long", fmt.Sprintf("a browser keeps no token of more than %d bytes", room))
	}
	// A lifetime and no date: a browser's clock may be wrong.
	cookie.Value, cookie.MaxAge = token, max(1, int(claims.Expires.Sub(a.verifier.now()).Seconds()))
	http.SetCookie(w, cookie)
	return nil
}

// HasSession tells whether a request comes with a session, be it one that has ended.
func (a *Authenticator) HasSession(r *http.Request) bool {
	_, err := r.Cookie(cookieName(a.secure(r)))
	return err == nil
}

// NoteSignIn tells the pages of the browser that made the request that somebody has just signed in. Their scripts read it.
func (a *Authenticator) NoteSignIn(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{
		Name: signedInCookie, Value: "true", Path: "/", MaxAge: signedInSeconds, Secure: a.secure(r), SameSite: http.SameSiteStrictMode,
	})
}

// CloseSession ends the session of the browser that made the request.
func (a *Authenticator) CloseSession(w http.ResponseWriter, r *http.Request) {
	cookie := a.sessionCookie(r)
	cookie.MaxAge = -1
	http.SetCookie(w, cookie)
}

// sessionCookie is that of the browser that made the request, without a value.
func (a *Authenticator) sessionCookie(r *http.Request) *http.Cookie {
	secure := a.secure(r)
	return &http.Cookie{Name: cookieName(secure), Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode}
}

func cookieName(secure bool) string {
	if secure {
		return hostPrefix + sessionCookie
	}
	return sessionCookie
}

// secure tells whether the browser that made the request reached us by TLS, by way of a proxy perhaps: the public address says so where it is
// known, because a proxy may rewrite the Host header. Otherwise only on loopback there is none.
func (a *Authenticator) secure(r *http.Request) bool {
	if a.publicURL != "" {
		return strings.HasPrefix(a.publicURL, "https:")
	}
	return !OnLoopback(r)
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
