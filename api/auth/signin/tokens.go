package signin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"

	"loyalty/domain"
)

var (
	errNoCode    = fmt.Errorf("%w: the identity provider sent no code", domain.ErrUnauthenticated)
	errNonce     = fmt.Errorf("%w: the ID token is of another sign-in", domain.ErrUnauthenticated)
	errNoIDToken = errors.New("the identity provider sent no ID token: let the client have the scope openid there")
	errOpaque    = errors.New("the identity provider's access token is no JWT: have it issue JWT access tokens for this system, with the claims sub, role, channel and scope")
	errSubjects  = errors.New("the identity provider's access token and ID token name different subjects: have it put the same sub into both")
)

// signatures are the algorithms of ID tokens, all by key pairs: which one, the published key says.
var signatures = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// exchange exchanges a code for tokens. It returns the access token if the ID token proves that it belongs to the attempt.
func (p *discovered) exchange(ctx context.Context, a attempt, code string) (string, error) {
	tokens, err := p.oauth.Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(a.verifier()))
	if err != nil {
		return "", exchangeError(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		return "", errNoIDToken
	}
	identity, err := p.verify(ctx, raw)
	if err != nil {
		return "", err
	}
	if subtle.ConstantTimeCompare([]byte(identity.Nonce), []byte(a.nonce())) != 1 {
		return "", errNonce
	}
	if identity.AccessTokenHash != "" {
		if err := identity.VerifyAccessToken(tokens.AccessToken); err != nil {
			return "", fmt.Errorf("%w: the access token does not belong to the ID token", domain.ErrUnauthenticated)
		}
	}
	// The access token's audience is checked by whom it is sent to (RFC 9068, section 6). Here it must be the same person's.
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(tokens.AccessToken, &claims); err != nil {
		return "", errOpaque
	}
	if claims.Subject != identity.Subject {
		return "", errSubjects
	}
	return tokens.AccessToken, nil
}

// verify checks an ID token but for its nonce (OpenID Connect Core 1.0, section 3.1.3.7).
func (p *discovered) verify(ctx context.Context, raw string) (*oidc.IDToken, error) {
	keys := &observedKeys{KeySet: p.keys}
	verifier := oidc.NewVerifier(p.config.Issuer, keys, &oidc.Config{
		ClientID: p.config.ClientID, Now: p.config.Now, SupportedSigningAlgs: signatures,
	})
	identity, err := verifier.Verify(ctx, raw)
	switch {
	case err == nil:
		return identity, nil
	case keys.unavailable():
		return nil, fmt.Errorf("%w: read the keys of the identity provider", domain.ErrUnavailable)
	case keys.err != nil:
		return nil, fmt.Errorf("%w: the ID token is not signed with a key that the identity provider publishes", domain.ErrUnauthenticated)
	}
	return nil, fmt.Errorf("%w: the ID token: %w", domain.ErrUnauthenticated, err)
}

// observedKeys keeps the error that checking a signature had, because the verifier's own error has it as text only.
type observedKeys struct {
	oidc.KeySet
	err error
}

// VerifySignature is oidc.KeySet's.
func (k *observedKeys) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, raw)
	k.err = err
	return payload, err
}

func (k *observedKeys) unavailable() bool {
	return errors.As(k.err, new(*url.Error)) || errors.Is(k.err, context.Canceled) || errors.Is(k.err, context.DeadlineExceeded)
}

// declined is the error that a provider sends instead of a code (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6).
func declined(code string) error {
	switch code {
	case "server_error", "temporarily_unavailable":
		return fmt.Errorf("%w: the identity provider says %s", domain.ErrUnavailable, code)
	}
	return fmt.Errorf("%w: the sign-in was declined: the identity provider says %s", domain.ErrUnauthenticated, word(code))
}

// exchangeError says why a code brought no tokens. The error of package oauth2 may hold the whole answer, so it is not wrapped.
func exchangeError(err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		if errors.As(err, new(*url.Error)) {
			return unavailable(err, "exchange a code")
		}
		return errors.New("exchange a code: the identity provider's answer is not what RFC 6749 section 5.1 has it")
	}
	because := fmt.Sprintf("the identity provider answered a code with %d and says %s", answer.Response.StatusCode, word(answer.ErrorCode))
	if status := answer.Response.StatusCode; status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		return fmt.Errorf("%w: %s", domain.ErrUnavailable, because)
	}
	return fmt.Errorf("%w: %s", domain.ErrUnauthenticated, because)
}

// word is a provider's error code, or "nothing we know" for anything else: what comes by way of the browser may be any text.
func word(code string) string {
	odd := func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }
	if code == "" || len(code) > 64 || strings.ContainsFunc(code, odd) {
		return "nothing we know"
	}
	return code
}
