package flags

import (
	"fmt"
	"strings"
	"time"

	"loyalty/api/auth/keys"
	"loyalty/api/auth/signin"
	"loyalty/api/web"
)

// SignIn are the flags for signing in to pages. The client's secret should be set by environment.
type SignIn struct {
	OIDCIssuer          string            `name:"oidc-issuer" help:"Identity provider at which people sign in to pages (OpenID Connect): its issuer, as https://id.example; none by default." env:"LOYALTY_OIDC_ISSUER" placeholder:"URL"`
	OIDCClientID        string            `name:"oidc-client-id" help:"What the identity provider knows the pages by." env:"LOYALTY_OIDC_CLIENT_ID" placeholder:"TEXT"`
	OIDCClientSecret    string            `name:"oidc-client-secret" help:"The secret that proves it; none for a public client." env:"LOYALTY_OIDC_CLIENT_SECRET" placeholder:"TEXT"`
	OIDCScopes          []string          `name:"oidc-scopes" help:"Scopes to ask for beside openid." env:"LOYALTY_OIDC_SCOPES" placeholder:"SCOPE,…"`
	OIDCParameters      map[string]string `name:"oidc-parameters" help:"What else to tell the identity provider of every sign-in, as audience=https://loyalty.example." env:"LOYALTY_OIDC_PARAMETERS" placeholder:"NAME=VALUE;…"`
	OIDCTokenParameters map[string]string `name:"oidc-token-parameters" help:"What else to send with the code for a token, as resource=https://loyalty.example (RFC 8707)." env:"LOYALTY_OIDC_TOKEN_PARAMETERS" placeholder:"NAME=VALUE;…"`
	OIDCSignOutURL      string            `name:"oidc-sign-out-url" help:"Where browsers go after signing out here, in place of the end_session_endpoint that the identity provider says; none to leave its session as it is." env:"LOYALTY_OIDC_SIGN_OUT_URL" placeholder:"URL"`
	PublicURL           string            `name:"public-url" help:"Where browsers find the pages, as https://loyalty.example. The identity provider sends them back to /signed-in there. Cookies are for https alone where this is." env:"LOYALTY_PUBLIC_URL" placeholder:"URL"`
}

// Provider is the identity provider, nil if none of the flags but PublicURL is set. It is a usage error to set only some of those that are needed, or to
// have no keys, since tokens of the provider could not be verified.
func (f SignIn) Provider(set *keys.Set) (web.IdentityProvider, error) {
	needed := []struct {
		name string
		set  bool
	}{
		{"LOYALTY_OIDC_ISSUER", f.OIDCIssuer != ""}, {"LOYALTY_OIDC_CLIENT_ID", f.OIDCClientID != ""},
		{"LOYALTY_PUBLIC_URL", f.PublicURL != ""}, {"LOYALTY_JWKS_URL", set != nil},
	}
	var missing []string
	for _, n := range needed {
		if !n.set {
			missing = append(missing, n.name)
		}
	}
	switch {
	case f.none():
		return nil, nil
	case len(missing) > 0:
		return nil, Usage(fmt.Errorf("signing in to pages: %s must be set, too", strings.Join(missing, ", ")))
	}
	provider, err := signin.New(signin.Config{
		Issuer: f.OIDCIssuer, ClientID: f.OIDCClientID, ClientSecret: f.OIDCClientSecret, PublicURL: f.PublicURL,
		Scopes: f.OIDCScopes, Parameters: f.OIDCParameters, TokenParameters: f.OIDCTokenParameters, SignOutURL: f.OIDCSignOutURL, Keys: set, Now: time.Now,
	})
	if err != nil {
		return nil, Usage(fmt.Errorf("signing in to pages: %w", err))
	}
	return provider, nil
}

// none tells whether nobody signs in. PublicURL is of use without, too.
func (f SignIn) none() bool {
	return f.OIDCIssuer == "" && f.OIDCClientID == "" && f.OIDCClientSecret == "" && len(f.OIDCScopes) == 0 && len(f.OIDCParameters) == 0 && len(f.OIDCTokenParameters) == 0 && f.OIDCSignOutURL == ""
}

// Origin is where browsers find the pages; empty if that isn't set. It is a usage error for it to be no origin.
func (f SignIn) Origin() (string, error) {
	if f.PublicURL == "" {
		return "", nil
	}
	origin, err := signin.PublicOrigin(f.PublicURL)
	if err != nil {
		return "", Usage(fmt.Errorf("LOYALTY_PUBLIC_URL: %w", err))
	}
	return origin, nil
}
