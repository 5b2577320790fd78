// Command loyalty is the one program of the system. Each subcommand is in the file of its name; this one reads the
// command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

const description = `Loyalty points for the customers of XYZ e-commerce, and where they stand.

Start here:
  loyalty dev --demo                     everything in one process, with simulated shoppers
  loyalty token --role customer --sub alice
                                         a bearer token for the API that "loyalty dev" serves`

// commandLine is the whole command line.
type commandLine struct {
	Dev        devCommand        `cmd:"" help:"Run everything in one process, on stores in a folder."`
	Token      tokenCommand      `cmd:"" help:"Print a bearer token for a process started with dev."`
	Serve      serveCommand      `cmd:"" help:"Run some of the roles, on given stores."`
	Verify     verifyCommand     `cmd:"" help:"Compare the ledger and the leaderboard with the log."`
	Rebuild    rebuildCommand    `cmd:"" help:"Fold a read model anew beside the live one, and switch to it."`
	Export     exportCommand     `cmd:"" help:"Write the event history as Parquet, CSV or JSON lines, for analysts."`
	Replay     replayCommand     `cmd:"" help:"Fold the history again, as of any moment and under any policy."`
	Trail      trailCommand      `cmd:"" help:"Print a customer's points trail."`
	Explain    explainCommand    `cmd:"" help:"Say how the points of an entry came about, and prove it."`
	Search     searchCommand     `cmd:"" help:"Find the customer that an id or a proxy name belongs to."`
	Customer   customerCommand   `cmd:"" help:"Forget a customer, and certify it."`
	Migrate    migrateCommand    `cmd:"" help:"Bring a ledger's schema up to date."`
	Poison     poisonCommand     `cmd:"" help:"Deal with commands from the command bus that could not be carried out."`
	Bench      benchCommand      `cmd:"" help:"Measure dashboards or orders, over HTTP."`
	Health     healthCommand     `cmd:"" help:"Ask a process whether it is ready."`
	Eventstore eventstoreCommand `cmd:"" help:"Check the event store in a data folder, or back it up."`
}

// The exit statuses.
const (
	exitFine      = 0
	exitFailed    = 1
	exitUsedWrong = 2
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// usageError is a mistake in how the program was called.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(status)
}

// run carries out a command line and returns the exit status. It ends early, in order, when ctx does.
func run(ctx context.Context, args []string, std streams) int {
	var line commandLine
	exited := -1
	parser, err := kong.New(&line,
		kong.Name("loyalty"), kong.Description(description), kong.Writers(std.out, std.err),
		kong.Vars{"data": defaultFolder},
		kong.Exit(func(status int) { exited = status }), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(std),
	)
	if err != nil {
		fmt.Fprintln(std.err, "loyalty:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(std.err, "loyalty: %v\nloyalty: see loyalty --help\n", err)
		return exitUsedWrong
	}
	err = parsed.Run()
	var usage usageError
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &usage):
		fmt.Fprintln(std.err, "loyalty:", err)
		return exitUsedWrong
	}
	fmt.Fprintln(std.err, "loyalty:", err)
	return exitFailed
}
