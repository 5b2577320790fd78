package flags

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"loyalty/internal/app"
)

// Process are those of every process that answers requests. The commands list them one by one, for the order of their help.
type Process struct {
	Addresses
	Brokers
	Calendar
	EventStoreAccess
	Origins
	Limits
}

// Config is the configuration that the flags stand for, which logs to out.
func (f Process) Config(out io.Writer, level slog.Level) (c app.Config, err error) {
	if c.EventStore, err = f.EventStoreAccess.options(); err != nil {
		return c, Usage(err)
	}
	c.EventStore.Logger = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
	if c.Limits, err = f.Limits.Check(); err != nil {
		return c, err
	}
	if c.Calendar, err = f.Calendar.Parse(); err != nil {
		return c, err
	}
	c.AllowOrigins, err = f.Origins.Check()
	c.Addr, c.AdminAddr, c.Brokers = f.Addr, f.AdminAddr, app.Brokers(f.Brokers)
	return c, err
}

// SayStopping returns what says that a process stops because ctx has ended, and does what else is to be done before.
func SayStopping(ctx context.Context, out io.Writer, also func() error) func() error {
	return func() error {
		if ctx.Err() != nil {
			fmt.Fprintln(out, "\nStopping: finishing what is under way.")
		}
		return also()
	}
}
