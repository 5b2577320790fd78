package auth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/api/auth/keys"
	"loyalty/domain"
	"loyalty/internal/problem"
)

// Verifier checks bearer tokens. It may be used from many goroutines at once.
type Verifier struct {
	parser *jwt.Parser
	// algorithms, issuer and audiences are those that the parser compares with.
	algorithms []string
	issuer     string
	audiences  []string
	// keyOf is the key that a token must be signed with. Of a shared secret it is nil, and the secret is what signs.
	keyOf  func(context.Context, *jwt.Token) (*keys.Key, error)
	secret []byte
	reader *claimReader
	// refused is nil for none.
	refused *Refused
	now     func() time.Time
	cache   *tokenCache
}

const (
	// ClockLeeway is how far the clocks of the issuer and of this system may differ.
	ClockLeeway = time.Minute
	// maxToken is the longest token accepted, in bytes.
	maxToken = 8 << 10
)

// Settings say which tokens are meant for this system, and how their claims are read.
type Settings struct {
	// Issuer must be that of a token, where it is set.
	Issuer string
	// Audiences are those of which a token must have one, where there are any. An issuer that serves more than this system needs it: another
	// system's tokens bear the same signatures.
	Audiences []string
	Claims    Mapping
	// Refused are subjects whose tokens are refused; nil for none.
	Refused *Refused
	// CacheBytes is about the most memory that verified tokens take; 0 is DefaultCacheBytes.
	CacheBytes int
}

// NewSecretVerifier accepts tokens signed by HS256 with secret, which has at least MinTokenSecret bytes. A secret that is too short, or a mapping
// that can't be, is domain.ErrInvalid.
func NewSecretVerifier(secret []byte, s Settings, now func() time.Time) (*Verifier, error) {
	if err := checkTokenSecret(secret); err != nil {
		return nil, err
	}
	v, err := newVerifier(s, now, []string{"HS256"})
	v.secret = bytes.Clone(secret)
	v.keyOf = func(context.Context, *jwt.Token) (*keys.Key, error) { return nil, nil }
	return v, err
}

// NewKeyVerifier accepts tokens signed with one of the keys of set, which is read elsewhere. A mapping that can't be is domain.ErrInvalid.
func NewKeyVerifier(set *keys.Set, s Settings, now func() time.Time) (*Verifier, error) {
	v, err := newVerifier(s, now, keys.Algorithms)
	v.keyOf = set.Of
	return v, err
}

func newVerifier(s Settings, now func() time.Time, algorithms []string) (*Verifier, error) {
	options := []jwt.ParserOption{jwt.WithValidMethods(algorithms), jwt.WithTimeFunc(now), jwt.WithLeeway(ClockLeeway), jwt.WithExpirationRequired()}
	if s.Issuer != "" {
		options = append(options, jwt.WithIssuer(s.Issuer))
	}
	if len(s.Audiences) > 0 {
		options = append(options, jwt.WithAudience(s.Audiences...))
	}
	reader, err := newClaimReader(s.Claims)
	return &Verifier{
		parser: jwt.NewParser(options...), algorithms: algorithms, issuer: s.Issuer, audiences: s.Audiences, now: now, cache: newTokenCache(cmp.Or(s.CacheBytes, DefaultCacheBytes)), reader: reader, refused: s.Refused,
	}, err
}

// accessTokens are the types of tokens that are taken (RFC 9068, section 4), in lower case; many providers say JWT, or nothing. Others, as of ID
// tokens or of logouts, bear the same signatures and mean something else.
var accessTokens = []string{"", "jwt", "at+jwt", "application/at+jwt"}

// verifying is what package jwt checks signatures with: the public half of a key, or the secret where there is none.
func (v *Verifier) verifying(key *keys.Key) any {
	if key == nil {
		return v.secret
	}
	return key.Public()
}

// checkType returns an error for the header of a token that is no access token.
func checkType(header map[string]any) error {
	kind, isText := header["typ"].(string)
	if header["typ"] != nil && !isText || !slices.Contains(accessTokens, strings.ToLower(kind)) {
		return fmt.Errorf("%.40q is no access token", fmt.Sprint(header["typ"]))
	}
	return nil
}

// Verify checks a token's signature, its type, its times and its claims. Errors are domain.ErrUnauthenticated, a RefusedError that says why, and
// domain.ErrUnavailable while it can't be told whether its key is published.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, refused(problem.ErrTokenMalformed, fmt.Sprintf("it is longer than %d bytes", maxToken), nil, "")
	}
	if strings.Count(token, ".") == 4 {
		return Claims{}, refused(problem.ErrTokenMalformed, "it is encrypted (JWE): have the identity provider issue signed tokens (JWT) for this system", nil, "")
	}
	wire := wireClaims{reader: v.reader}
	var key *keys.Key
	parsed, err := v.parser.ParseWithClaims(token, &wire, func(t *jwt.Token) (_ any, err error) {
		// RFC 7515, section 4.1.11: a token that demands an extension which is not understood is invalid.
		if _, critical := t.Header["crit"]; critical {
			return nil, errors.New("crit: the token demands an extension")
		}
		if err := checkType(t.Header); err != nil {
			return nil, fmt.Errorf("typ: %w", err)
		}
		key, err = v.keyOf(ctx, t)
		return v.verifying(key), err
	})
	if err != nil {
		return Claims{}, whyNot(err, parsed, &wire)
	}
	wire.claims.key = key
	if v.refused.has(wire.claims.Subject) {
		return Claims{}, refused(domain.ErrUnauthenticated, subjectRefused, parsed, wire.Issuer)
	}
	return wire.claims, nil
}

const subjectRefused = "the subject is on the list of those that are refused"

// Accepts tells whether a token that was accepted would be accepted again, for those whose requests take long: it has not expired, its key is
// trusted and its bearer is not refused. It is fast enough to be asked at any time.
func (v *Verifier) Accepts(c Claims) bool {
	now := v.now()
	return !now.After(c.Expires.Add(ClockLeeway)) && c.key.Trusted(now) && !v.refused.has(c.Subject)
}

// Run reads the list of refused subjects again until ctx ends.
func (v *Verifier) Run(ctx context.Context) { v.refused.Run(ctx) }

// whyNot is the error of a token that was not verified.
func whyNot(err error, token *jwt.Token, wire *wireClaims) error {
	issuer := wire.Issuer
	switch {
	case errors.Is(err, domain.ErrUnavailable):
		return err
	case errors.Is(err, jwt.ErrTokenInvalidClaims) && len(wire.faults) > 0:
		return refused(domain.ErrUnauthenticated, wire.Validate().Error(), token, issuer)
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
		{jwt.ErrTokenInvalidAudience, wire.reader.Audience + ": the token is for another system"},
		{jwt.ErrTokenInvalidIssuer, "iss: another issuer made the token"},
		{jwt.ErrTokenNotValidYet, "nbf: the token is not valid yet"},
		{jwt.ErrTokenRequiredClaimMissing, "exp, iss or aud: a claim is missing that a token must have"},
		{keys.ErrUnknown, "kid: the identity provider publishes no such key"},
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
