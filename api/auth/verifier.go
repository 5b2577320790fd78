package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"loyalty/domain"
	"loyalty/internal/problem"
)

// Verifier checks bearer tokens. It may be used from many goroutines at once.
type Verifier struct {
	parser *jwt.Parser
	keys   func(context.Context) jwt.Keyfunc
	now    func() time.Time
	cache  *tokenCache
}

const (
	// ClockLeeway is how far the clocks of the issuer and of this system may differ.
	ClockLeeway = 5 * time.Second
	// maxToken is the longest token accepted, in bytes.
	maxToken = 8 << 10
	// keysRefresh is how often the keys of a JWKS address are read again, so that a withdrawn key soon stops working.
	keysRefresh = time.Minute
	keysTimeout = 5 * time.Second
)

// NewSecretVerifier accepts tokens signed by HS256 with secret, which has at least MinTokenSecret bytes.
func NewSecretVerifier(secret []byte, now func() time.Time) (*Verifier, error) {
	if err := checkTokenSecret(secret); err != nil {
		return nil, err
	}
	secret = bytes.Clone(secret)
	key := func(*jwt.Token) (any, error) { return secret, nil }
	return &Verifier{
		parser: newParser(now, jwt.WithValidMethods([]string{"HS256"})),
		keys:   func(context.Context) jwt.Keyfunc { return key },
		now:    now, cache: new(tokenCache),
	}, nil
}

// JWKS is where an issuer publishes its keys (RFC 7517), and which of its tokens are meant for this system.
type JWKS struct {
	URL string
	// Issuer and Audience must be those of a token, where they are set. An issuer that serves more than this system
	// needs Audience: another system's tokens bear the same signatures.
	Issuer, Audience string
}

// NewJWKSVerifier accepts tokens signed by RS256, ES256 or EdDSA with a key published at an address. The keys are read
// now, every minute until ctx ends, and when a token names an unknown one (at most every five minutes). Failures to
// read them are logged; until it succeeds once, Verify returns domain.ErrUnavailable.
func NewJWKSVerifier(ctx context.Context, from JWKS, log *slog.Logger, now func() time.Time) (*Verifier, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{from.URL}, keyfunc.Override{
		HTTPTimeout:     keysTimeout,
		RefreshInterval: keysRefresh,
		// A token with an unknown key must not wait for the next time that the keys may be read.
		RateLimitWaitMax: keysTimeout,
		RefreshErrorHandlerFunc: func(url string) func(context.Context, error) {
			return func(ctx context.Context, err error) {
				log.WarnContext(ctx, "read the keys that tokens are signed with", "url", url, "error", err)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("keys at %q: %w", from.URL, err)
	}
	options := []jwt.ParserOption{jwt.WithValidMethods([]string{"RS256", "ES256", "EdDSA"})}
	if from.Issuer != "" {
		options = append(options, jwt.WithIssuer(from.Issuer))
	}
	if from.Audience != "" {
		options = append(options, jwt.WithAudience(from.Audience))
	}
	return &Verifier{parser: newParser(now, options...), now: now, cache: new(tokenCache), keys: func(ctx context.Context) jwt.Keyfunc {
		find := keys.KeyfuncCtx(ctx)
		return func(token *jwt.Token) (any, error) {
			key, err := find(token)
			if known, readErr := keys.Storage().KeyReadAll(ctx); readErr != nil || len(known) == 0 {
				return nil, fmt.Errorf("%w: no keys to verify tokens with", domain.ErrUnavailable)
			}
			return key, err
		}
	}}, nil
}

func newParser(now func() time.Time, options ...jwt.ParserOption) *jwt.Parser {
	return jwt.NewParser(append(options, jwt.WithTimeFunc(now), jwt.WithLeeway(ClockLeeway), jwt.WithExpirationRequired())...)
}

// Verify checks a token's signature, its times and its claims. Errors are domain.ErrUnauthenticated, and
// domain.ErrUnavailable while there are no keys to check it with.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, problem.ErrTokenMalformed
	}
	find := v.keys(ctx)
	var wire wireClaims
	_, err := v.parser.ParseWithClaims(token, &wire, func(t *jwt.Token) (any, error) {
		// RFC 7515, section 4.1.11: a token that demands an extension which is not understood is invalid.
		if _, critical := t.Header["crit"]; critical {
			return nil, errors.New("the token demands an extension")
		}
		return find(t)
	})
	switch {
	case err == nil:
	case errors.Is(err, domain.ErrUnavailable):
		return Claims{}, err
	case errors.Is(err, jwt.ErrTokenMalformed):
		return Claims{}, problem.ErrTokenMalformed
	case errors.Is(err, jwt.ErrTokenExpired):
		return Claims{}, problem.ErrTokenExpired
	default:
		return Claims{}, fmt.Errorf("%w: %w", domain.ErrUnauthenticated, err)
	}
	claims, err := Claims{
		Subject: wire.Subject, Role: wire.Role, Channel: wire.Channel, Scope: wire.Scope, Expires: wire.ExpiresAt.Time,
	}.check()
	if err != nil {
		// Not %w: what is wrong with a token is not a field of the request.
		return Claims{}, fmt.Errorf("%w: %v", domain.ErrUnauthenticated, err)
	}
	return claims, nil
}
