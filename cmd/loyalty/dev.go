package main

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

	"loyalty/api"
	"loyalty/eventstore/embedded"
)

// devCommand runs all roles in one process.
type devCommand struct {
	addresses
	busFlags
	seasonFlags
	Data folder `help:"Folder that everything is kept in." default:"${data}" placeholder:"DIR"`
	eventStoreAccess
	originFlags
	intakeFlags
	Demo     bool       `help:"Have simulated shoppers buy through the API, and show the dashboard of one."`
	LogLevel slog.Level `help:"Least level of what is logged, to standard error: debug, info, warn or error." default:"warn"`
}

// Help is shown with the command's flags.
func (devCommand) Help() string {
	return `The event store, the ledger and the leaderboard are all in this process; nothing else needs to run. What was
acknowledged is on disk: a restart on the same folder finds it. Ctrl-C finishes what is under way and stops.`
}

// Run serves until ctx ends or serving fails.
func (c devCommand) Run(ctx context.Context, std streams) error {
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
	// Whoever reaches the page for signing in can be anybody.
	var development func(api.Claims, time.Duration) (string, error)
	if isLoopback(c.Addr) {
		development = c.Data.mint
	}
	if err := os.MkdirAll(string(c.Data), 0o700); err != nil {
		return err
	}
	err = c.addresses.serve(ctx, std, configuration{
		roles: roles{command: true, query: true, project: true}, connections: c.Data.connections(), busFlags: c.busFlags, calendar: calendar, history: c.Data.history(),
		embedded: options, alone: true, limits: limits, secrets: c.Data.secrets, development: development, origins: origins,
	}, func(s *stack, addr, admin net.Addr) (stop func() error) {
		c.greet(std.out, addr, admin, s.server.Addr())
		if !c.Demo {
			return func() error { return nil }
		}
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- runDemo(ctx, "http://"+addr.String(), c.Data, std.out) }()
		return func() error { cancel(); return <-ended }
	})
	if errors.Is(err, embedded.ErrInUse) {
		return fmt.Errorf("%s is in use by another process: stop that one, or choose another folder with --data (%w)", c.Data, err)
	}
	return err
}

// greet says where everything is and what to try next.
func (c devCommand) greet(out io.Writer, addr, admin net.Addr, eventStore string) {
	data := string(c.Data)
	if absolute, err := filepath.Abs(data); err == nil {
		data = absolute
	}
	self := "loyalty"
	// "go run" builds into such a folder.
	if executable, err := os.Executable(); err == nil && strings.Contains(executable, "go-build") {
		self = "go run ./cmd/loyalty"
	}
	fmt.Fprintf(out, `loyalty is listening on http://%s
  health and metrics  http://%s/readyz, /metrics, and /status to look at
  data folder         %s (delete it to start over)

Open http://%[1]s/ to see it in a browser. Or try, in another terminal:
  TOKEN=$(%[4]s token --data %[5]s --role customer --sub alice)
  curl -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' http://%[1]s/order/my-first \
    -d '{"ItemIds": ["mug"], "paymentDetails": {"amount": "129.99", "currency": "GBP", "method": "card"}}'
  curl -H "Authorization: Bearer $TOKEN" http://%[1]s/loyalty/alice

`, addr, admin, data, self, c.Data)
	if eventStore != "" {
		fmt.Fprintf(out, "The event store is listening on esdb://%s%s\n\n", eventStore, c.eventStoreAccess.hint())
	}
}
