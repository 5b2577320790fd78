package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"loyalty/domain"
	"loyalty/eventstore/grant"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
)

// grantCommand lets a user read the whole log of a secured event store.
type grantCommand struct {
	User       string     `help:"Login name of the user that this program has in its connection string." required:"" placeholder:"NAME"`
	Eventstore string     `help:"Address of the event store, with the name and the password of an administrator: esdb://…; or embedded:DIR." env:"LOYALTY_EVENTSTORE" placeholder:"URL"`
	Data       app.Folder `help:"Data folder of loyalty dev, running or not, instead of an address. Its owner is an administrator." placeholder:"DIR"`
	DryRun     bool       `help:"Say what would change, and change nothing."`
	JSON       bool       `name:"json" help:"Print one line of JSON."`
}

// Help is shown with the command's flags.
func (grantCommand) Help() string {
	return `A secured event store lets only administrators read the log as a whole ($all), which this program must do. An administrator
runs this once. It adds the user to the readers of $all, in its metadata, and changes nothing else there. The user needs no other
right: appending to our streams and reading them is allowed to every user, unless somebody has changed the defaults. Running it again
changes nothing.

  LOYALTY_EVENTSTORE='esdb://admin:…@host1,host2,host3' loyalty eventstore grant --user loyalty
  loyalty eventstore grant --user loyalty --data loyalty-data

To take it back, write the metadata of $all without the user, by the event store's own tools.`
}

// GrantReport is what loyalty eventstore grant prints as JSON.
type GrantReport struct {
	grant.Grant
	// DryRun is true if nothing was changed since that was asked for.
	DryRun bool `json:"dryRun"`
}

// Run makes the grant and prints who may read.
func (c grantCommand) Run(ctx context.Context, std output.Streams) (err error) {
	connection := c.Eventstore
	if c.Data != "" {
		if err := c.Data.Check(); err != nil {
			return flags.Usage(err)
		}
		connection = c.Data.Connections().Eventstore
	}
	if connection == "" {
		return flags.Usage(errors.New("which event store? Set LOYALTY_EVENTSTORE to its address, with the name and the password of an administrator, or name a data folder with --data"))
	}
	s, err := app.Connections{Eventstore: connection}.Open(ctx, app.Wanted{}, app.Quiet())
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	report := GrantReport{DryRun: c.DryRun}
	if err == nil {
		report.Grant, err = grant.Log(ctx, s.Store, c.User, !c.DryRun)
	}
	switch {
	case errors.Is(err, domain.ErrInvalid):
		return flags.Usage(err)
	case grant.Denied(err):
		return errors.New("only an administrator of the event store can grant this: give the name and the password of one in LOYALTY_EVENTSTORE or --eventstore. Nothing was changed")
	case err != nil:
		return err
	case c.JSON:
		return output.JSON(std.Out, report)
	}
	return report.print(std.Out)
}

func (r GrantReport) print(out io.Writer) error {
	what := "may read the whole log now"
	switch {
	case !r.New:
		what = "could read the whole log before: nothing was changed"
	case r.DryRun:
		what = "would be able to read the whole log: nothing was changed"
	}
	_, err := fmt.Fprintf(out, "%s %s. The readers of $all: %s.\n", r.User, what, strings.Join(r.Readers, ", "))
	return err
}
