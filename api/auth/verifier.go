package auth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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
	// permissions is the claim that holds the rights of people.
	permissions string
	now         func() time.Time
	cache       *tokenCache
}

const (
	// ClockLeeway is how far the clocks of the issuer and of this system may differ.
	ClockLeeway = time.Minute
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
		now:    now, cache: new(tokenCache), permissions: DefaultPermissions,
	}, nil
}

// JWKS is where an issuer publishes its keys (RFC 7517), and which of its tokens are meant for this system.
type JWKS struct {
	URL string
	// Issuer and Audience must be those of a token, where they are set. An issuer that serves more than this system
	// needs Audience: another system's tokens bear the same signatures.
	Issuer, Audience string
	// Permissions is the claim with the rights of people; empty is DefaultPermissions.
	Permissions string
}

// NewJWKSVerifier accepts tokens signed by RS256, PS256, ES256 or EdDSA with a key published at an address. The keys are read
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
	options := []jwt.ParserOption{jwt.WithValidMethods([]string{"RS256", "PS256", "ES256", "EdDSA"})}
	if from.Issuer != "" {
		options = append(options, jwt.WithIssuer(from.Issuer))
	}
	if from.Audience != "" {
		options = append(options, jwt.WithAudience(from.Audience))
	}
	return &Verifier{parser: newParser(now, options...), now: now, cache: new(tokenCache), permissions: cmp.Or(from.Permissions, DefaultPermissions), keys: func(ctx context.Context) jwt.Keyfunc {
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

// accessTokens are the types of tokens that are taken (RFC 9068, section 4), in lower case; many providers say JWT, or nothing. Others, as of ID
// tokens or of logouts, bear the same signatures and mean something else.
var accessTokens = []string{"", "jwt", "at+jwt", "application/at+jwt"}

// Verify checks a token's signature, its type, its times and its claims. Errors are domain.ErrUnauthenticated, a RefusedError that says why, and
// domain.ErrUnavailable while there are no keys to check it with.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, refused(problem.ErrTokenMalformed, fmt.Sprintf("it is longer than %d bytes", maxToken), nil, "")
	}
	find := v.keys(ctx)
	wire := wireClaims{permissionsClaim: v.permissions}
	parsed, err := v.parser.ParseWithClaims(token, &wire, func(t *jwt.Token) (any, error) {
		// RFC 7515, section 4.1.11: a token that demands an extension which is not understood is invalid.
		if _, critical := t.Header["crit"]; critical {
			return nil, errors.New("crit: the token demands an extension")
		}
		kind, isText := t.Header["typ"].(string)
		if t.Header["typ"] != nil && !isText || !slices.Contains(accessTokens, strings.ToLower(kind)) {
			return nil, fmt.Errorf("typ: %.40q is no access token", fmt.Sprint(t.Header["typ"]))
		}
		return find(t)
	})
	if err != nil {
		return Claims{}, whyNot(err, parsed, &wire)
	}
	claims, err := wire.claims().check()
	if err != nil {
		return Claims{}, refused(domain.ErrUnauthenticated, err.Error(), parsed, wire.Issuer)
	}
	return claims, nil
}

// whyNot is the error of a token that was not verified.
func whyNot(err error, token *jwt.Token, wire *wireClaims) error {
	issuer := wire.Issuer
	switch {
	case errors.Is(err, domain.ErrUnavailable):
		return err
	case errors.Is(err, jwt.ErrTokenInvalidClaims) && wire.fault != nil:
		return refused(domain.ErrUnauthenticated, wire.fault.Error(), token, issuer)
	}
	for _, known := range []struct{ is, as error }{{jwt.ErrTokenMalformed, problem.ErrTokenMalformed}, {jwt.ErrTokenExpired, problem.ErrTokenExpired}} {
		if errors.Is(err, known.is) {
			return refused(known.as, err.Error(), token, issuer)
		}
	}
	because := err.Error()
	for _, known := range []struct {
		is error
		as string
	}{
		{jwt.ErrTokenInvalidAudience, "aud: the token is for another system"},
		{jwt.ErrTokenInvalidIssuer, "iss: another issuer made the token"},
		{jwt.ErrTokenNotValidYet, "nbf: the token is not valid yet"},
		{jwt.ErrTokenRequiredClaimMissing, "exp, iss or aud: a claim is missing that a token must have"},
		{jwt.ErrTokenSignatureInvalid, "the signature is of another key, or of an algorithm that is not taken"},
	} {
		if errors.Is(err, known.is) {
			because = known.as
			break
		}
	}
	return refused(domain.ErrUnauthenticated, because, token, issuer)
}

// RefusedError says why a token was refused, for the log: never the token itself, nor whose it is.
type RefusedError struct {
	// Because names the claim or the header that is at fault.
	Because string
	// KeyID and Issuer are what the token says of itself, cut to 100 bytes. They may be anybody's invention.
	KeyID, Issuer string
	err           error
}

// Error is the reason.
func (e *RefusedError) Error() string { return fmt.Sprintf("%v: %s", e.err, e.Because) }

// Unwrap is what the caller is told.
func (e *RefusedError) Unwrap() error { return e.err }

func refused(as error, because string, token *jwt.Token, issuer string) error {
	short := func(text string) string { return text[:min(len(text), 100)] }
	e := &RefusedError{Because: because, Issuer: short(issuer), err: as}
	if token != nil {
		id, _ := token.Header["kid"].(string)
		e.KeyID = short(id)
	}
	return e
}
