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
	return `Makes the ledger's tables, or changes them to what this version of the program needs. Every process does so by itself when it opens the
ledger; where that takes long, because indexes are built over many entries, it can be done beforehand with this. It can be
repeated, and processes of the version before may go on meanwhile, except that nothing is projected while an index is built. An
older version refuses a ledger that a newer one has changed.

  LOYALTY_LEDGER=postgres://… loyalty migrate`
}

// Run opens the ledger, which migrates it, and closes it.
func (c migrateCommand) Run(ctx context.Context, std output.Streams) error {
	connection := c.Ledger
	if c.Data != "" {
		if err := c.Data.Check(); err != nil {
			return err
		}
		connection = c.Data.Connections().Ledger
	}
	began := time.Now()
	l, err := app.OpenLedger(ctx, connection)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "The ledger's schema is up to date. That took %s.\n", time.Since(began).Round(time.Millisecond))
	return errors.Join(err, l.Close())
}
