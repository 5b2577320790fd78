// Package signin signs people in at an identity provider, by the authorization code flow of OpenID Connect (Core 1.0, section
// 3.1) with PKCE (RFC 7636). Between a browser's going and its return nothing is kept here, so that any process takes it back.
package signin

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"loyalty/api/auth"
	"loyalty/api/auth/keys"
	"loyalty/domain"
)

// ReturnPath is where the provider sends browsers back to after signing in, and SignedOutPath after signing out, both below
// Config.PublicURL.
const (
	ReturnPath    = "/signed-in"
	SignedOutPath = "/signed-out"
)

// Config says at which provider people sign in, and as which client.
type Config struct {
	// Issuer is the provider's identifier, to the letter as its discovery document has it (OpenID Connect Discovery 1.0, section 3).
	// It is https, or http on loopback.
	Issuer string
	// ClientID is the client's id at the provider. ClientSecret authenticates it; a public client has none.
	ClientID, ClientSecret string
	// PublicURL is the origin of our pages for browsers, as https://loyalty.example; http only on loopback.
	PublicURL string
	// Scopes are asked for beside openid.
	Scopes []string
	// Parameters are added to what browsers take to the provider, as audience where it needs that to issue a JWT.
	Parameters map[string]string
	// TokenParameters are sent with the code for a token, as resource where the provider needs it there, too (RFC 8707, section 2.2).
	TokenParameters map[string]string
	// SignOutURL is where browsers go after signing out here, in place of what the provider's discovery document says: as it is, for a provider
	// that wants other parameters than the standard's, or NoSignOutURL.
	SignOutURL string
	// Keys are those that the provider signs ID tokens with, the same that access tokens are verified with.
	Keys *keys.Set
	Now  func() time.Time
}

// NoSignOutURL as Config.SignOutURL leaves the provider's own session as it is.
const NoSignOutURL = "none"

// Provider signs people in at an identity provider, from many goroutines at once. It has none of its own between requests.
type Provider struct {
	config    Config
	secure    bool // whether browsers reach our pages by TLS
	discovery *discovery
}

// New makes a Provider. It does not contact the identity provider before somebody signs in. A configuration that can't work is
// domain.ErrInvalid.
func New(c Config) (*Provider, error) {
	base, badBase := PublicOrigin(c.PublicURL)
	_, badIssuer := parseAddress("issuer", c.Issuer)
	var badClient, badScopes, badParameters, badSignOut error
	if at, err := url.Parse(c.SignOutURL); c.SignOutURL != "" && c.SignOutURL != NoSignOutURL && (err != nil || at.User != nil || !keys.Confidential(at)) {
		badSignOut = domain.Invalid("signOutURL", "url_malformed", "it is an https address, or "+NoSignOutURL)
	}
	if c.ClientID == "" {
		badClient = domain.Invalid("clientID", "field_missing", "the provider must know us by some name")
	}
	for _, scope := range c.Scopes {
		if len(strings.Fields(scope)) != 1 || strings.Fields(scope)[0] != scope {
			badScopes = domain.Invalid("scopes", "scope_malformed", "a scope is one word")
		}
	}
	for name := range c.Parameters {
		if name == "" || slices.Contains(ours, name) {
			badParameters = domain.Invalid("parameters", "parameter_reserved", "none of them may be "+strings.Join(ours, ", "))
		}
	}
	for name := range c.TokenParameters {
		if name == "" || slices.Contains(oursForTokens, name) {
			badParameters = domain.Invalid("tokenParameters", "parameter_reserved", "none of them may be "+strings.Join(oursForTokens, ", "))
		}
	}
	if err := domain.JoinInvalid(badBase, badIssuer, badClient, badScopes, badParameters, badSignOut); err != nil {
		return nil, err
	}
	c.PublicURL, c.Scopes, c.Parameters, c.TokenParameters = base, withOpenID(c.Scopes), maps.Clone(c.Parameters), maps.Clone(c.TokenParameters)
	return &Provider{config: c, secure: strings.HasPrefix(base, "https:"), discovery: newDiscovery(c)}, nil
}

// PublicOrigin reads the origin of our pages for browsers: https, or http on loopback. Others are domain.ErrInvalid.
func PublicOrigin(publicURL string) (string, error) {
	base := strings.TrimSuffix(publicURL, "/")
	at, err := parseAddress("publicURL", base)
	if err != nil {
		return "", err
	}
	if at.Scheme+"://"+at.Host != base {
		return "", domain.Invalid("publicURL", "origin_malformed", "it is a scheme and a host, with a port if it is not the usual one, as https://loyalty.example")
	}
	return base, nil
}

// ours are the parameters of an authorization request that this package sets, and Config.Parameters may not.
var ours = []string{
	"client_id", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "response_mode", "response_type", "scope", "state",
}

// oursForTokens are those of a token request that this package sets, and Config.TokenParameters may not.
var oursForTokens = []string{"client_id", "client_secret", "code", "code_verifier", "grant_type", "redirect_uri"}

func withOpenID(scopes []string) []string {
	if slices.Contains(scopes, oidc.ScopeOpenID) {
		return slices.Clone(scopes)
	}
	return append([]string{oidc.ScopeOpenID}, scopes...)
}

// parseAddress reads an address that tokens and codes may be sent to: https, or http on loopback. Others are domain.ErrInvalid.
func parseAddress(field, address string) (*url.URL, error) {
	at, err := url.Parse(address)
	if err != nil || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return nil, domain.Invalid(field, "url_malformed", "it is an address as https://id.example")
	}
	if !keys.Confidential(at) {
		return nil, domain.Invalid(field, "url_insecure", "it is https, or http on this machine itself")
	}
	return at, nil
}

// Begin sends the browser to the provider, and after Finish to the path to, or to "/" if that is no path of ours. With afresh the provider
// asks who it is, although it may know somebody. Errors are domain.ErrUnavailable while the provider can't be reached, and others if it is
// not what it should be; nothing was answered then.
func (p *Provider) Begin(w http.ResponseWriter, r *http.Request, to string, afresh bool) error {
	w.Header().Set("Cache-Control", "no-store")
	found, err := p.discovery.find(r.Context())
	if err != nil {
		return err
	}
	a := newAttempt(auth.LocalPath(to), p.config.Now())
	state, err := a.state()
	if err != nil {
		return err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.nonce()), oauth2.S256ChallengeOption(a.verifier())}
	if afresh {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	// What was configured comes last, and so counts: a prompt, too.
	for name, value := range p.config.Parameters {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	http.SetCookie(w, p.cookie(state, a.cookie(), lifetime))
	w.Header().Set("Location", found.oauth.AuthCodeURL(state, options...))
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// Finish takes a browser's return from the provider: the access token, which is a JWT whose signature and claims the caller has to
// verify, and the path that Begin was given. The path is there beside an error, too, if the return is one that Begin began.
// Errors are domain.ErrUnauthenticated if nobody was signed in, because they declined or were too late, domain.ErrUnavailable while the
// provider can't be reached, and others if it, or what it knows of us, is not what it should be. They hold no token and no code. The answer is the caller's to write; its headers
// take back the cookie that Begin set.
func (p *Provider) Finish(w http.ResponseWriter, r *http.Request) (token, to string, err error) {
	w.Header().Set("Cache-Control", "no-store")
	query := r.URL.Query()
	a, err := p.takeBack(w, r, query.Get("state"))
	if err != nil {
		return "", a.to, err
	}
	token, err = p.token(r.Context(), a, query)
	return token, a.to, err
}

// EndSession is where the browser is to go for the provider to end its own session of somebody, and to come back to SignedOutPath with the
// path to as state (OpenID Connect RP-Initiated Logout 1.0). It is empty if the provider has no such place. Errors are as those of Begin.
func (p *Provider) EndSession(ctx context.Context, to string) (string, error) {
	switch p.config.SignOutURL {
	case "":
	case NoSignOutURL:
		return "", nil
	default:
		return p.config.SignOutURL, nil
	}
	found, err := p.discovery.find(ctx)
	if err != nil || found.endSession == "" {
		return "", err
	}
	address, err := url.Parse(found.endSession)
	if err != nil {
		return "", err
	}
	query := address.Query()
	query.Set("client_id", p.config.ClientID)
	query.Set("post_logout_redirect_uri", p.config.PublicURL+SignedOutPath)
	query.Set("state", to)
	address.RawQuery = query.Encode()
	return address.String(), nil
}

// takeBack finds the attempt that a state is of, and takes its cookie away.
func (p *Provider) takeBack(w http.ResponseWriter, r *http.Request, state string) (attempt, error) {
	if len(state) < cookieSuffix || len(state) > maxState {
		return attempt{}, errUnknownState
	}
	cookie, err := r.Cookie(cookiePrefix + state[:cookieSuffix])
	if err != nil {
		return attempt{}, errUnknownState
	}
	http.SetCookie(w, p.cookie(state, "", -time.Second))
	return openAttempt(cookie.Value, state, p.config.Now())
}

// token carries an attempt to its end.
func (p *Provider) token(ctx context.Context, a attempt, query url.Values) (string, error) {
	// RFC 9207, section 2.4: a return of another provider is not ours to take.
	if query.Has("iss") && !slices.Equal(query["iss"], []string{p.config.Issuer}) {
		return "", errIssuer
	}
	if query.Has("error") {
		return "", declined(query.Get("error"), query.Get("error_description"))
	}
	if query.Get("code") == "" {
		return "", errNoCode
	}
	found, err := p.discovery.find(ctx)
	if err != nil {
		return "", err
	}
	if found.sendsIssuer && !query.Has("iss") {
		return "", errIssuer
	}
	return found.exchange(ctx, a, query.Get("code"))
}
