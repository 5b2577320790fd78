package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"loyalty/eventstore/embedded"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
)

// devCommand runs all roles in one process.
type devCommand struct {
	flags.Addresses
	// Brokers have no variables here: those of the environment may be production's, whose commands this process would take.
	CommandBus flags.Connection `help:"Broker that commands come from, beside the API: redis://… or rediss://…. Never taken from the environment." placeholder:"URL"`
	EventBus   flags.Connection `help:"Broker that changes of points are published to: redis://… or rediss://…. Never taken from the environment." placeholder:"URL"`
	flags.Seasons
	Data app.Folder `help:"Folder that everything is kept in." default:"${data}" placeholder:"DIR"`
	flags.EventStoreAccess
	flags.Origins
	flags.Limits
	Demo     bool          `help:"Have simulated shoppers buy through the API, and show the dashboard of one."`
	Drain    time.Duration `help:"How long it goes on answering once it is told to stop, while /readyz says 503, so that balancers notice. A second signal ends the wait." default:"0s" env:"LOYALTY_DRAIN"`
	LogLevel slog.Level    `help:"Least level of what is logged, to standard error: debug, info, warn or error." default:"warn"`
}

// Help is shown with the command's flags.
func (devCommand) Help() string {
	return `The event store, the ledger and the leaderboard are all in this process; nothing else needs to run. What was
acknowledged is on disk: a restart on the same folder finds it. Ctrl-C finishes what is under way and stops. Stores, brokers and
identity providers that the environment names are left alone: they may be the real ones.`
}

// Run serves until ctx ends or serving fails.
func (c devCommand) Run(ctx context.Context, std output.Streams) error {
	config, err := flags.Process{
		Addresses: c.Addresses, Brokers: flags.Brokers{CommandBus: c.CommandBus, EventBus: c.EventBus}, Seasons: c.Seasons, EventStoreAccess: c.EventStoreAccess, Origins: c.Origins, Limits: c.Limits,
	}.Config(std.Err, c.LogLevel)
	if err != nil {
		return err
	}
	// Anybody who reaches the sign-in page of development can sign in as anybody, so it is for this machine only.
	if isLoopback(c.Addr) {
		config.Development = c.Data.Mint
	}
	config.NoSignIn = noSignIn
	if err := os.MkdirAll(string(c.Data), 0o700); err != nil {
		return err
	}
	config.Roles, config.Connections, config.History = app.Roles{Command: true, Query: true, Project: true}, c.Data.Connections(), c.Data.HistoryDir()
	config.Boards, config.BoardsEvery = c.Data.BoardsDir(), app.BoardsEvery
	config.Exclusive, config.Secrets, config.Drain = true, c.Data.Secrets, c.Drain
	config.Started = func(at app.Addresses) (beforeStop func() error) {
		c.greet(std.Out, at)
		if !c.Demo {
			return flags.SayStopping(ctx, std.Out, func() error { return nil })
		}
		shopping, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- runDemo(shopping, "http://"+app.Openable(at.API), c.Data, std.Out) }()
		// The simulated shoppers stop first, so that they see no failing request.
		return flags.SayStopping(ctx, std.Out, func() error { cancel(); return <-ended })
	}
	err = app.Run(ctx, config)
	if errors.Is(err, embedded.ErrInUse) {
		return fmt.Errorf("%s is in use by another process: stop that one, or choose another folder with --data (%w)", c.Data, err)
	}
	return err
}

// noSignIn is why pages can't be signed in to from another machine.
const noSignIn = "loyalty dev signs people in only on the machine where it runs, since it takes them at their word: anybody who reaches another address could sign in as anybody. " +
	"Start it with --addr 127.0.0.1:8080 and open http://localhost:8080/ there. From another machine, forward a port to it, as with ssh -L 8080:127.0.0.1:8080."

// greet prints the addresses and what to try next.
func (c devCommand) greet(out io.Writer, at app.Addresses) {
	data := string(c.Data)
	if absolute, err := filepath.Abs(data); err == nil {
		data = absolute
	}
	self := "loyalty"
	// "go run" builds into a folder with such a name.
	if executable, err := os.Executable(); err == nil && strings.Contains(executable, "go-build") {
		self = "go run ./cmd/loyalty"
	}
	fmt.Fprintf(out, `loyalty is listening on http://%s
  health and metrics  http://%s/readyz, /metrics, and /status to look at
  data folder         %s (delete it to start over)

Open http://%[1]s/ to see it in a browser. Or try, in another terminal:
  TOKEN=$(%[4]s token --data %[5]s --role customer --sub alice --scope order)
  curl -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' http://%[1]s/order/my-first \
    -d '{"ItemIds": ["mug"], "paymentDetails": {"amount": "129.99", "currency": "GBP", "method": "card"}}'
  curl -H "Authorization: Bearer $TOKEN" http://%[1]s/loyalty/alice

`, app.Openable(at.API), app.Openable(at.Admin), data, self, c.Data)
	if !isLoopback(c.Addr) {
		fmt.Fprintf(out, "Pages can't be signed in to: %s\n\n", noSignIn)
	}
	if at.EventStore != "" {
		fmt.Fprintf(out, "The event store is listening on esdb://%s%s\n\n", at.EventStore, c.EventStoreAccess.Hint())
	}
}

// isLoopback tells whether an address can be reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
