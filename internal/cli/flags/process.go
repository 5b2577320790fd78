package flags

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"

	"loyalty/internal/app"
)

// Process are the flags of every process that answers requests. The commands embed them one by one, which gives the order in their help.
type Process struct {
	Addresses
	Brokers
	Seasons
	EventStoreAccess
	Origins
	Limits
}

// Config returns the configuration that the flags stand for, with a logger that writes to out.
func (f Process) Config(out io.Writer, level slog.Level) (c app.Config, err error) {
	if c.EventStore, err = f.EventStoreAccess.options(); err != nil {
		return c, Usage(err)
	}
	c.EventStore.Logger = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
	if c.Limits, err = f.Limits.Check(); err != nil {
		return c, err
	}
	c.MaxOrderPoints, c.MaxAdjustmentPoints = f.MaxOrderPoints, f.MaxAdjustmentPoints
	if c.Calendar, err = f.Seasons.Calendar(); err != nil {
		return c, err
	}
	c.AllowOrigins, err = f.Origins.Check()
	c.Addr, c.AdminAddr = f.Addr, f.AdminAddr
	c.Brokers = app.Brokers{
		CommandBus: f.CommandBus.Text, EventBus: f.EventBus.Text, CommandBusAgain: f.CommandBus.Again, EventBusAgain: f.EventBus.Again,
	}
	return c, err
}

// SayStopping returns a function for app.Config.Started to return: it says that the process stops, if ctx has ended, and calls also.
func SayStopping(ctx context.Context, out io.Writer, also func() error) func() error {
	return func() error {
		if ctx.Err() != nil {
			fmt.Fprintln(out, "\nStopping: finishing what is under way.")
		}
		return also()
	}
}

// Addresses are the flags for the addresses of a process.
type Addresses struct {
	Addr      string `help:"Address of the API; port 0 picks one." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	AdminAddr string `help:"Address of /healthz, /readyz, /metrics and the page /status; port 0 picks one." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
}

// Brokers are the flags for the brokers of a process. Both are optional.
type Brokers struct {
	CommandBus Connection `help:"Broker that commands come from, beside the API: redis://… or rediss://…; for the command role." env:"LOYALTY_COMMAND_BUS" placeholder:"URL"`
	EventBus   Connection `help:"Broker that changes of points are published to: redis://… or rediss://…; for the project role." env:"LOYALTY_EVENT_BUS" placeholder:"URL"`
}

// Origins is the flag for pages of other origins that may show dashboards.
type Origins struct {
	AllowOrigin []string `help:"Pages of other origins that may show dashboards, as https://shop.example; none by default." env:"LOYALTY_ALLOW_ORIGIN" placeholder:"ORIGIN,…"`
}

// Check returns the origins, or a usage error for one that no browser would send.
func (f Origins) Check() ([]string, error) {
	for _, origin := range f.AllowOrigin {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return nil, Usage(fmt.Errorf("--allow-origin: %q is no origin: it is a scheme and a host, with a port if it is not the usual one, as https://shop.example", origin))
		}
	}
	return f.AllowOrigin, nil
}
