package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"loyalty/api"
	"loyalty/domain"
)

// serveCommand runs some of the roles against given stores.
type serveCommand struct {
	Roles []string `help:"What this process does: command (takes orders), query (answers dashboards and trails), project (keeps the ledger and a shared leaderboard)." default:"command,query,project" enum:"command,query,project" placeholder:"ROLE,…"`
	connections
	busFlags
	seasonFlags
	History  string `help:"Folder of this process alone, in which it keeps how the leaderboard stood at every moment, for asOf and changes; none by default." env:"LOYALTY_HISTORY" placeholder:"DIR"`
	NoWhatIf bool   `help:"Answer no what-ifs (POST /what-if). One takes about 400 bytes of memory for each customer." env:"LOYALTY_NO_WHAT_IF"`
	addresses
	secretFlags
	signInFlags
	eventStoreAccess
	originFlags
	intakeFlags
	LogLevel slog.Level `help:"Least level of what is logged, to standard error: debug, info, warn or error." default:"info" env:"LOYALTY_LOG_LEVEL"`
}

// secretFlags are what names and tokens rest on. They are set by environment: a flag can be seen in the list of processes.
type secretFlags struct {
	proxyFlag
	TokenSecret string `help:"What tokens are signed with (HS256): at least 32 bytes. Or use --jwks-url." env:"LOYALTY_TOKEN_SECRET" placeholder:"TEXT"`
	JWKSURL     string `name:"jwks-url" help:"Where the identity provider publishes the keys it signs tokens with." env:"LOYALTY_JWKS_URL" placeholder:"URL"`
	JWTIssuer   string `name:"jwt-issuer" help:"The issuer that tokens must name." env:"LOYALTY_JWT_ISSUER" placeholder:"TEXT"`
	JWTAudience string `name:"jwt-audience" help:"The audience that tokens must name." env:"LOYALTY_JWT_AUDIENCE" placeholder:"TEXT"`
}

// Help is shown with the command's flags.
func (serveCommand) Help() string {
	return `Each role can run in any number of processes. A leaderboard "memory:" is held by each query process for itself; one in
Redis is kept by those that project. Examples:
  LOYALTY_EVENTSTORE=esdb://… LOYALTY_LEDGER=postgres://… LOYALTY_LEADERBOARD=redis://… \
  LOYALTY_PROXY_SECRET=… LOYALTY_JWKS_URL=https://… loyalty serve --roles command,query --addr 0.0.0.0:8080`
}

// Run serves until ctx ends or serving fails.
func (c serveCommand) Run(ctx context.Context, std streams) error {
	options, err := c.eventStoreAccess.options()
	if err != nil {
		return usageError{err}
	}
	options.Logger = newLogger(std.err, c.LogLevel)
	limits, err := c.intakeFlags.limits()
	if err != nil {
		return err
	}
	calendar, err := c.seasonFlags.calendar()
	if err != nil {
		return err
	}
	origins, err := c.originFlags.origins()
	if err != nil {
		return err
	}
	signIn, err := c.signInFlags.signIn(c.secretFlags)
	if err != nil {
		return err
	}
	has := func(role string) bool { return slices.Contains(c.Roles, role) }
	return c.addresses.serve(ctx, std, configuration{
		roles:       roles{command: has("command"), query: has("query"), project: has("project")},
		connections: c.connections, busFlags: c.busFlags, calendar: calendar, history: c.History, noWhatIf: c.NoWhatIf, embedded: options, limits: limits, origins: origins, signIn: signIn,
		secrets: func(ctx context.Context) (domain.Proxies, *api.Verifier, error) {
			return c.secretFlags.open(ctx, options.Logger)
		},
	}, func(_ *stack, addr, admin net.Addr) (stop func() error) {
		fmt.Fprintf(std.out, "loyalty (%s) is listening on http://%s\n  health and metrics  http://%s/readyz, /metrics, and /status to look at\n",
			strings.Join(c.Roles, ", "), addr, admin)
		return func() error { return nil }
	})
}

// open makes what the secrets are for. Keys from a JWKS address are read again until ctx ends.
func (f secretFlags) open(ctx context.Context, log *slog.Logger) (domain.Proxies, *api.Verifier, error) {
	proxies, err := f.proxies()
	if err != nil {
		return proxies, nil, err
	}
	var verifier *api.Verifier
	switch {
	case f.JWKSURL != "" && f.TokenSecret != "":
		err = usageError{errors.New("LOYALTY_TOKEN_SECRET and LOYALTY_JWKS_URL: give one of them")}
	case f.JWKSURL != "":
		verifier, err = api.NewJWKSVerifier(ctx, api.JWKS{URL: f.JWKSURL, Issuer: f.JWTIssuer, Audience: f.JWTAudience}, log, time.Now)
	case f.TokenSecret == "":
		err = usageError{errors.New("nothing to verify tokens with: set LOYALTY_JWKS_URL or LOYALTY_TOKEN_SECRET")}
	default:
		verifier, err = api.NewSecretVerifier([]byte(f.TokenSecret), time.Now)
	}
	return proxies, verifier, err
}

// proxyFlag is the secret that makes proxy names.
type proxyFlag struct {
	ProxySecret string `help:"What proxy names are made with: at least 16 bytes, the same in every process, kept for ever." env:"LOYALTY_PROXY_SECRET" placeholder:"TEXT"`
}

func (f proxyFlag) proxies() (domain.Proxies, error) {
	if f.ProxySecret == "" {
		return domain.Proxies{}, usageError{errors.New("no secret for proxy names: set LOYALTY_PROXY_SECRET to at least 16 random bytes, and keep it")}
	}
	proxies, err := domain.NewProxies([]byte(f.ProxySecret))
	if err != nil {
		err = usageError{err}
	}
	return proxies, err
}
