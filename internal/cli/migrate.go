package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"loyalty/internal/app"
	"loyalty/internal/cli/output"
)

// migrateCommand brings a ledger's schema up to date.
type migrateCommand struct {
	Data   app.Folder `help:"Data folder of loyalty dev, instead of the connection below." placeholder:"DIR"`
	Ledger string     `help:"Where the ledger is: postgres://… or sqlite:FILE." env:"LOYALTY_LEDGER" placeholder:"URL"`
}

// Help is shown with the command's flags.
func (migrateCommand) Help() string {
	return `Makes the ledger's tables, or changes them to what this version of the program needs. A process with the project role does so by itself
when it starts; the others wait until it is done. It can be repeated, and several take turns. Processes that run go on, also those
of the version before; one of that version that is started afterwards refuses the ledger. Most of what takes long is done in pieces, while
they read and write; it may be stopped, and goes on where it was.

In Postgres it needs a user that owns the schema, or may make one. The others need less: see docs/operations.md.

  LOYALTY_LEDGER=postgres://… loyalty migrate`
}

// Run opens the ledger, migrates it, and closes it.
func (c migrateCommand) Run(ctx context.Context, std output.Streams) error {
	connection := c.Ledger
	if c.Data != "" {
		if err := c.Data.Check(); err != nil {
			return err
		}
		connection = c.Data.Connections().Ledger
	}
	began := time.Now()
	l, err := app.OpenLedger(ctx, connection, nil)
	if err != nil {
		return err
	}
	progress := output.NewProgress(std.Err, time.Now)
	if err := progress.End(l.Migrate(ctx, progress.Update)); err != nil {
		return errors.Join(err, l.Close())
	}
	_, err = fmt.Fprintf(std.Out, "The ledger's schema is up to date. That took %s.\n", time.Since(began).Round(time.Millisecond))
	return errors.Join(err, l.Close())
}
