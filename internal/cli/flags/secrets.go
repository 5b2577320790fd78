package flags

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/secret"
)

// Secrets are the flags for the secrets of proxy names and tokens. They should be set by environment, as flags show in the list of
// processes.
type Secrets struct {
	Proxy
	Signing
	JWKSURL     string `name:"jwks-url" help:"Where the identity provider publishes the keys it signs tokens with." env:"LOYALTY_JWKS_URL" placeholder:"URL"`
	JWTIssuer   string `name:"jwt-issuer" help:"The issuer that tokens must name." env:"LOYALTY_JWT_ISSUER" placeholder:"TEXT"`
	JWTAudience string `name:"jwt-audience" help:"The audience that tokens must name." env:"LOYALTY_JWT_AUDIENCE" placeholder:"TEXT"`
	Permissions string `name:"permissions-claim" help:"The claim that holds the rights of people (order, reveal, audit), as a list or with spaces between them. It must be one that no request can ask the identity provider for." default:"${permissions}" env:"LOYALTY_PERMISSIONS_CLAIM" placeholder:"NAME"`
}

// Open makes the proxies and the verifier of tokens. Keys from a JWKS address are refreshed until ctx ends.
func (f Secrets) Open(ctx context.Context, log *slog.Logger) (domain.Proxies, *auth.Verifier, error) {
	proxies, err := f.Proxies()
	if err != nil {
		return proxies, nil, err
	}
	var verifier *auth.Verifier
	switch {
	case f.JWKSURL != "" && f.TokenSecret != "":
		err = Usage(errors.New("LOYALTY_TOKEN_SECRET and LOYALTY_JWKS_URL: give one of them"))
	case f.JWKSURL != "":
		verifier, err = auth.NewJWKSVerifier(ctx, auth.JWKS{URL: f.JWKSURL, Issuer: f.JWTIssuer, Audience: f.JWTAudience, Permissions: f.Permissions}, log, time.Now)
	case f.TokenSecret == "":
		err = Usage(errors.New("nothing to verify tokens with: set LOYALTY_JWKS_URL or LOYALTY_TOKEN_SECRET"))
	default:
		var key []byte
		if key, err = f.Key(); err == nil {
			verifier, err = auth.NewSecretVerifier(key, time.Now)
		}
	}
	return proxies, verifier, err
}

// Signing is the flag for the secret that signs tokens.
type Signing struct {
	TokenSecret string `help:"What tokens are signed with (HS256): 32 random bytes, as openssl rand -hex 32 prints them. Set it in the environment or a file: other users of the machine see a command line." env:"LOYALTY_TOKEN_SECRET" placeholder:"TEXT"`
}

// Key is what tokens are signed with. A weak secret is a usage error.
func (f Signing) Key() ([]byte, error) {
	key, err := secret.Token(f.TokenSecret)
	if err != nil {
		err = Usage(fmt.Errorf("LOYALTY_TOKEN_SECRET is refused: %w", err))
	}
	return key, err
}

// openPrivate opens a file that only its owner can read. It is an error if others can.
func openPrivate(name string) (*os.File, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("others can read %s: run chmod 600 on it", name)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
