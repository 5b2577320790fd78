package cli

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
)

// serveCommand runs some of the roles against given stores.
type serveCommand struct {
	Roles []string `help:"What this process does: command (takes orders), query (answers dashboards and trails), project (keeps the ledger and a shared leaderboard)." default:"command,query,project" enum:"command,query,project" placeholder:"ROLE,…"`
	flags.Connections
	flags.Brokers
	flags.Seasons
	History     string        `help:"Folder of this process alone, in which it keeps how the leaderboard stood at every moment, for asOf and changes; none by default." env:"LOYALTY_HISTORY" placeholder:"DIR"`
	Boards      string        `help:"Folder of this process alone, in which it keeps its leaderboards in memory, so that it starts from them; none by default." name:"keep-leaderboards" env:"LOYALTY_KEEP_LEADERBOARDS" placeholder:"DIR"`
	BoardsEvery time.Duration `help:"How often it writes them; also when it stops." name:"keep-leaderboards-every" default:"5m" env:"LOYALTY_KEEP_LEADERBOARDS_EVERY" placeholder:"DURATION"`
	NoWhatIf    bool          `help:"Answer no what-ifs (POST /what-if). One takes about 400 bytes of memory for each customer." env:"LOYALTY_NO_WHAT_IF"`
	flags.Addresses
	flags.Proxy
	flags.Tokens
	flags.SignIn
	flags.EventStoreAccess
	flags.Origins
	flags.Limits
	Drain    time.Duration `help:"How long it goes on answering once it is told to stop, while /readyz says 503, so that balancers notice. A second signal ends the wait." default:"5s" env:"LOYALTY_DRAIN"`
	LogLevel slog.Level    `help:"Least level of what is logged, to standard error: debug, info, warn or error." default:"info" env:"LOYALTY_LOG_LEVEL"`
}

// Help is shown with the command's flags.
func (serveCommand) Help() string {
	return `Each role can run in any number of processes. A leaderboard "memory:" is held by each query process for itself; one in
Redis is kept by those that project. Examples:
  LOYALTY_EVENTSTORE=esdb://… LOYALTY_LEDGER=postgres://… LOYALTY_LEADERBOARD=redis://… \
  LOYALTY_PROXY_SECRET=… LOYALTY_JWKS_URL=https://… loyalty serve --roles command,query --addr 0.0.0.0:8080`
}

// Run serves until ctx ends or serving fails.
func (c serveCommand) Run(ctx context.Context, std output.Streams) error {
	config, err := flags.Process{
		Addresses: c.Addresses, Brokers: c.Brokers, Seasons: c.Seasons, EventStoreAccess: c.EventStoreAccess, Origins: c.Origins, Limits: c.Limits,
	}.Config(std.Err, c.LogLevel)
	if err != nil {
		return err
	}
	if config.Keys, err = c.Keys(config.EventStore.Logger); err != nil {
		return err
	}
	if config.PublicURL, err = c.SignIn.Origin(); err != nil {
		return err
	}
	if config.SignIn, err = c.SignIn.Provider(config.Keys); err != nil {
		return err
	}
	verifier, err := c.Verifier(config.Keys, config.EventStore.Logger)
	if err != nil {
		return err
	}
	has := func(role string) bool { return slices.Contains(c.Roles, role) }
	config.Roles = app.Roles{Command: has("command"), Query: has("query"), Project: has("project")}
	config.Connections, config.History, config.NoWhatIf, config.Drain = c.Connections.Config(), c.History, c.NoWhatIf, c.Drain
	config.Boards, config.BoardsEvery = c.Boards, c.BoardsEvery
	proxies, err := c.Proxies()
	if err != nil {
		return err
	}
	config.Secrets = func() (domain.Proxies, *auth.Verifier, error) { return proxies, verifier, nil }
	config.Started = func(at app.Addresses) (beforeStop func() error) {
		fmt.Fprintf(std.Out, "loyalty (%s) is listening on http://%s\n  health and metrics  http://%s/readyz, /metrics, and /status to look at\n",
			strings.Join(c.Roles, ", "), app.Openable(at.API), app.Openable(at.Admin))
		return flags.SayStopping(ctx, std.Out, func() error { return nil })
	}
	return app.Run(ctx, config)
}
