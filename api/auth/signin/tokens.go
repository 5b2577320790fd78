package signin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"loyalty/api/auth/keys"
	"loyalty/domain"
)

var (
	errIssuer    = fmt.Errorf("%w: the return is of another identity provider, or doesn't say of which (iss)", domain.ErrUnauthenticated)
	errNoCode    = fmt.Errorf("%w: the identity provider sent no code", domain.ErrUnauthenticated)
	errNonce     = fmt.Errorf("%w: the ID token is of another sign-in", domain.ErrUnauthenticated)
	errNoIDToken = errors.New("the identity provider sent no ID token: let the client have the scope openid there")
	errOpaque    = errors.New("the identity provider's access token is no JWT: have it issue signed JWT access tokens for this system, as docs/identity.md says for each provider")
	errEncrypted = errors.New("the identity provider's access token is encrypted (JWE): have it issue signed JWT access tokens for this system")
)

// exchange exchanges a code for tokens. It returns the access token if the ID token proves that it belongs to the attempt.
func (p *discovered) exchange(ctx context.Context, a attempt, code string) (string, error) {
	options := []oauth2.AuthCodeOption{oauth2.VerifierOption(a.verifier())}
	for name, value := range p.config.TokenParameters {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	tokens, err := p.oauth.Exchange(oidc.ClientContext(ctx, p.client), code, options...)
	if err != nil {
		return "", exchangeError(err, code, a.verifier(), p.config.ClientSecret)
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
			return "", errors.New("the access token does not belong to the ID token")
		}
	}
	// What the access token says is checked by whom it is sent to (RFC 9068, section 4). Whose it is need not be the ID token's sub: that may be an id
	// that each client has another of, or a login name.
	switch strings.Count(tokens.AccessToken, ".") {
	case 2:
	case 4:
		return "", errEncrypted
	default:
		return "", errOpaque
	}
	return tokens.AccessToken, nil
}

// verify checks an ID token but for its nonce (OpenID Connect Core 1.0, section 3.1.3.7).
func (p *discovered) verify(ctx context.Context, raw string) (*oidc.IDToken, error) {
	seen := &observedKeys{KeySet: p.config.Keys}
	verifier := oidc.NewVerifier(p.config.Issuer, seen, &oidc.Config{
		ClientID: p.config.ClientID, Now: p.config.Now, SupportedSigningAlgs: keys.Algorithms,
	})
	identity, err := verifier.Verify(ctx, raw)
	switch {
	case err == nil:
		return identity, nil
	case errors.Is(seen.err, domain.ErrUnavailable):
		return nil, seen.err
	case seen.err != nil:
		return nil, errors.New("the ID token is not signed with a key that the identity provider publishes")
	}
	return nil, fmt.Errorf("the ID token: %w", err)
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

// declined is the error that a provider sends instead of a code (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6;
// RFC 8707, section 2).
func declined(code, description string) error {
	says := word(code) + described(description)
	switch code {
	case "server_error", "temporarily_unavailable":
		return fmt.Errorf("%w: the identity provider says %s", domain.ErrUnavailable, says)
	case "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_target",
		"invalid_request_uri", "invalid_request_object", "request_not_supported", "request_uri_not_supported", "registration_not_supported":
		return fmt.Errorf("the identity provider does not like how it is asked: it says %s", says)
	}
	return fmt.Errorf("%w: the sign-in was declined: the identity provider says %s", domain.ErrUnauthenticated, says)
}

// exchangeError says why a code brought no tokens. The error of package oauth2 may hold the whole answer, so it is not wrapped. Secrets are
// what was sent and may not be told.
func exchangeError(err error, secrets ...string) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		if errors.As(err, new(*url.Error)) {
			return unavailable(err, "exchange a code")
		}
		return errors.New("exchange a code: the identity provider's answer is not what RFC 6749 section 5.1 has it")
	}
	because := fmt.Sprintf("the identity provider answered a code with %d and says %s%s", answer.Response.StatusCode, word(answer.ErrorCode), described(answer.ErrorDescription, secrets...))
	switch status := answer.Response.StatusCode; {
	case status >= http.StatusInternalServerError || status == http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s", domain.ErrUnavailable, because)
	case answer.ErrorCode == "invalid_grant":
		// The code was used before, or came too late.
		return fmt.Errorf("%w: %s", domain.ErrUnauthenticated, because)
	}
	return errors.New(because)
}

// maxDescription is the most that is kept of a provider's description of an error, in characters.
const maxDescription = 200

// described is a provider's description of an error for the log: printable characters only, and none of it if it holds a secret, or what
// may be a token.
func described(text string, secrets ...string) string {
	if text == "" {
		return ""
	}
	for _, secret := range append(secrets, "eyJ") {
		if secret != "" && strings.Contains(text, secret) {
			return " (its description repeats what is secret)"
		}
	}
	runes := []rune(strings.ToValidUTF8(text, "�"))
	if len(runes) > maxDescription {
		runes = append(runes[:maxDescription], '…')
	}
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = '�'
		}
	}
	return fmt.Sprintf(" (%q)", string(runes))
}

// word is a provider's error code, or "nothing we know" for anything else: what comes by way of the browser may be any text.
func word(code string) string {
	odd := func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }
	if code == "" || len(code) > 64 || strings.ContainsFunc(code, odd) {
		return "nothing we know"
	}
	return code
}
