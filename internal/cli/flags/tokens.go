package flags

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"loyalty/api/auth"
	"loyalty/api/auth/keys"
	"loyalty/domain"
)

// Tokens are the flags that say which bearer tokens are accepted and how they are read.
type Tokens struct {
	Signing
	JWKSURL    string        `name:"jwks-url" help:"Where the identity provider publishes the keys it signs tokens with: https, or http on this machine." env:"LOYALTY_JWKS_URL" placeholder:"URL"`
	JWKSMaxAge time.Duration `name:"jwks-max-age" help:"How long keys are trusted that can't be read again." default:"1h" env:"LOYALTY_JWKS_MAX_AGE"`
	Recipient
	RoleClaim        []string          `help:"The claim, or claims, that say who somebody is to the programme, each a text or a list. A claim is given by its name, or by a JSON Pointer such as /realm_access/roles." default:"role" env:"LOYALTY_ROLE_CLAIM" placeholder:"CLAIM,…"`
	RoleWords        map[string]string `help:"The identity provider's words for customer, support, analyst and channel:store, channel:website, channel:mobile: agents=support;tills=channel:store. With *=customer whoever has none is a customer. By default the words are these." env:"LOYALTY_ROLE_WORDS" placeholder:"WORD=ROLE;…"`
	PermissionsClaim string            `help:"The claim with the rights of people (order, reveal, audit), a list or words. It must be one that no request can ask the identity provider for." default:"permissions" env:"LOYALTY_PERMISSIONS_CLAIM" placeholder:"CLAIM"`
	ScopeClaim       string            `help:"The claim with the rights of channels (award), a list or words." default:"scope" env:"LOYALTY_SCOPE_CLAIM" placeholder:"CLAIM"`
	RightWords       map[string]string `help:"The identity provider's words for order, award, reveal and audit: Loyalty.Reveal=reveal. By default the words are these." env:"LOYALTY_RIGHT_WORDS" placeholder:"WORD=RIGHT;…"`
	CustomerClaim    string            `help:"The claim with the id of a customer." default:"sub" env:"LOYALTY_CUSTOMER_CLAIM" placeholder:"CLAIM"`
	SubjectClaim     []string          `help:"The claim that names staff and channels: the first of these that a token has." default:"sub" env:"LOYALTY_SUBJECT_CLAIM" placeholder:"CLAIM,…"`
	ChannelClaim     string            `help:"The claim that says where a channel sells: website, mobile or store." default:"channel" env:"LOYALTY_CHANNEL_CLAIM" placeholder:"CLAIM"`
	AudienceClaim    string            `help:"The claim that the audience is compared with; client_id for Amazon Cognito." default:"aud" env:"LOYALTY_AUDIENCE_CLAIM" placeholder:"CLAIM"`
	RefusedSubjects  string            `help:"A file with a subject on each line whose tokens are refused, though they are valid; it is read again every ten seconds." env:"LOYALTY_REFUSED_SUBJECTS" placeholder:"FILE"`
	TokenCache       int               `help:"Memory for verified tokens, in MiB: 256 are enough for two million customers." default:"256" env:"LOYALTY_TOKEN_CACHE" placeholder:"MIB"`
}

// Recipient are the flags for who makes tokens, and for whom.
type Recipient struct {
	JWTIssuer   string   `name:"jwt-issuer" help:"The issuer that tokens must name." env:"LOYALTY_JWT_ISSUER" placeholder:"TEXT"`
	JWTAudience []string `name:"jwt-audience" help:"The audiences of which tokens must name one; none if this identity provider issues tokens for this system alone." env:"LOYALTY_JWT_AUDIENCE" placeholder:"TEXT,…"`
}

// noAudience says that tokens of every audience are accepted.
const noAudience = "none"

// audiences are those that are compared.
func (f Recipient) audiences() []string {
	if slices.Equal(f.JWTAudience, []string{noAudience}) {
		return nil
	}
	return f.JWTAudience
}

// Settings are those of tokens that such a process accepts, for whoever mints one.
func (f Recipient) Settings() auth.Settings {
	return auth.Settings{Issuer: f.JWTIssuer, Audiences: f.audiences()}
}

// Keys are those of the identity provider; nil where tokens are signed with a secret. They are to be read by their Run. What can't be safe is
// a usage error.
func (f Tokens) Keys(log *slog.Logger) (*keys.Set, error) {
	switch {
	case f.JWKSURL == "" && f.TokenSecret == "":
		return nil, Usage(errors.New("nothing to verify tokens with: set LOYALTY_JWKS_URL or LOYALTY_TOKEN_SECRET"))
	case f.JWKSURL == "":
		return nil, nil
	case f.TokenSecret != "":
		return nil, Usage(errors.New("LOYALTY_TOKEN_SECRET and LOYALTY_JWKS_URL: give one of them"))
	case len(f.JWTAudience) == 0:
		return nil, Usage(errors.New("LOYALTY_JWT_AUDIENCE is not set: tokens that this identity provider issues for other systems would be accepted here. " +
			"Set it to the audience of this system's tokens, or to none if there are no others"))
	}
	set, err := keys.New(keys.Options{URL: f.JWKSURL, MaxAge: f.JWKSMaxAge, Log: log, Now: time.Now})
	if err != nil {
		return nil, Usage(fmt.Errorf("keys of the identity provider: %w", err))
	}
	return set, nil
}

// Verifier verifies tokens with the keys of the identity provider, or with the secret where set is nil.
func (f Tokens) Verifier(set *keys.Set, log *slog.Logger) (verifier *auth.Verifier, err error) {
	if f.TokenCache < 1 || f.TokenCache > 1<<20 {
		return nil, Usage(errors.New("LOYALTY_TOKEN_CACHE: between 1 and 1048576 MiB"))
	}
	settings := f.Settings()
	if f.RefusedSubjects != "" {
		if settings.Refused, err = auth.OpenRefused(f.RefusedSubjects, log); err != nil {
			return nil, Usage(fmt.Errorf("LOYALTY_REFUSED_SUBJECTS: %w", err))
		}
	}
	settings.CacheBytes = f.TokenCache << 20
	settings.Claims = auth.Mapping{
		Role: f.RoleClaim, Channel: f.ChannelClaim, Permissions: f.PermissionsClaim, Scope: f.ScopeClaim, Customer: f.CustomerClaim, Subject: f.SubjectClaim,
		Audience: f.AudienceClaim, Roles: f.RoleWords, Rights: f.RightWords,
	}
	if set != nil {
		verifier, err = auth.NewKeyVerifier(set, settings, time.Now)
	} else {
		var key []byte
		if key, err = f.Key(); err != nil {
			return nil, err
		}
		verifier, err = auth.NewSecretVerifier(key, settings, time.Now)
	}
	if errors.Is(err, domain.ErrInvalid) {
		err = Usage(fmt.Errorf("tokens: %w", err))
	}
	return verifier, err
}
