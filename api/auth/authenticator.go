package auth

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"loyalty/domain"
	"loyalty/internal/problem"
)

// Authenticator says who makes a request, by its bearer token or its session. It may be used from many goroutines at once.
type Authenticator struct {
	verifier    *Verifier
	complete    func(*Claims)
	publicURL   string
	crossOrigin *http.CrossOriginProtection
}

// NewAuthenticator makes an Authenticator of tokens that verifier accepts. The claims of customers get the key that proxies has for
// them, unless proxies is zero. publicURL is the origin at which browsers find our pages, empty if that isn't known.
func NewAuthenticator(verifier *Verifier, proxies domain.Proxies, publicURL string) *Authenticator {
	complete := func(c *Claims) {
		if c.Role == RoleCustomer {
			c.proxyKey = proxies.Key(domain.CustomerID(c.Subject))
		}
	}
	if proxies == (domain.Proxies{}) {
		complete = func(*Claims) {}
	}
	return &Authenticator{verifier: verifier, complete: complete, publicURL: publicURL, crossOrigin: http.NewCrossOriginProtection()}
}

// Authenticate verifies the bearer token of a request (RFC 6750, section 2.1), or that of its session. Errors are
// domain.ErrUnauthenticated; problem.ErrCrossOrigin for a session that another site's page would use; and domain.ErrUnavailable while
// there are no keys to verify with.
func (a *Authenticator) Authenticate(ctx context.Context, r *http.Request) (Claims, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		token, err := a.sessionToken(r)
		if err != nil {
			return Claims{}, err
		}
		return a.verify(ctx, token)
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Claims{}, problem.ErrTokenMalformed
	}
	return a.verify(ctx, token)
}

func (a *Authenticator) verify(ctx context.Context, token string) (Claims, error) {
	return a.verifier.verifyCached(ctx, token, a.complete)
}

// Accepts tells whether a caller's token would be accepted again, as Verifier.Accepts.
func (a *Authenticator) Accepts(c Claims) bool { return a.verifier.Accepts(c) }

// SameOrigin returns problem.ErrCrossOrigin for a request that would change something and comes from a page of another site (Fetch
// Metadata, else Origin).
func (a *Authenticator) SameOrigin(r *http.Request) error {
	if err := a.crossOrigin.Check(r); err != nil {
		return fmt.Errorf("%w: %w", problem.ErrCrossOrigin, err)
	}
	return nil
}
