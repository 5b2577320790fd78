// Package cli is the command line: its commands with their flags, words and exit statuses. Those of support staff are in
// cli/support, those of analysts in cli/analyst, what several have in common in cli/flags and cli/output.
package cli

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"loyalty/eventstore/embedded"
	"loyalty/internal/app"
	"loyalty/internal/cli/analyst"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/cli/support"
)

const description = `Loyalty points for the customers of XYZ e-commerce, and where they stand.

Start here:
  loyalty dev --demo                     everything in one process, with simulated shoppers
  loyalty token --role customer --sub alice
                                         a bearer token for the API that "loyalty dev" serves

A flag with a variable, such as --ledger ($LOYALTY_LEDGER), is also read from the file that the variable with _FILE at its
end names (LOYALTY_LEDGER_FILE), as containers are given secrets. An empty variable is as none.`

// commandLine is the whole command line.
type commandLine struct {
	Dev        devCommand        `cmd:"" help:"Run everything in one process, on stores in a folder."`
	Token      tokenCommand      `cmd:"" help:"Print a bearer token for the API of a process, or look into one."`
	Serve      serveCommand      `cmd:"" help:"Run some of the roles, on given stores."`
	Verify     verifyCommand     `cmd:"" help:"Compare the ledger and the leaderboard with the log."`
	Rebuild    rebuildCommand    `cmd:"" help:"Fold a read model anew beside the live one, and switch to it."`
	Quarantine quarantineCommand `cmd:"" help:"Decide that an event which can't be decoded counts for nobody."`
	Export     analyst.Export    `cmd:"" help:"Write the event history as Parquet, CSV or JSON lines, for analysts."`
	Replay     analyst.Replay    `cmd:"" help:"Fold the history again, as of any moment and under any policy."`
	Trail      support.Trail     `cmd:"" help:"Print a customer's points trail."`
	Explain    support.Explain   `cmd:"" help:"Say how the points of an entry came about, and prove it."`
	Search     support.Search    `cmd:"" help:"Find the customer that an id or a proxy name belongs to."`
	Customer   support.Customer  `cmd:"" help:"Forget a customer, and certify it."`
	Migrate    migrateCommand    `cmd:"" help:"Bring a ledger's schema up to date."`
	Poison     poisonCommand     `cmd:"" help:"Deal with commands from the command bus that could not be carried out."`
	Bench      benchCommand      `cmd:"" help:"Measure dashboards or orders, over HTTP."`
	Health     healthCommand     `cmd:"" help:"Ask a process whether it is ready."`
	Eventstore eventstoreCommand `cmd:"" help:"Check the event store in a data folder, back it up, or let a user read one."`

	Version kong.VersionFlag `help:"Print the version and the revision that it was built from."`
}

// The exit statuses.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// Streams are where a command reads and writes.
type Streams = output.Streams

// Run carries out a command line and returns the exit status. It ends early, in order, when ctx does.
func Run(ctx context.Context, args []string, std Streams) int {
	var line commandLine
	exited := -1
	parser, err := newParser(&line, kong.Writers(std.Out, std.Err), kong.Exit(func(status int) { exited = status }), kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(std))
	if err != nil {
		fmt.Fprintln(std.Err, "loyalty:", err)
		return ExitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(std.Err, "loyalty: %v\nloyalty: see loyalty --help\n", err)
		return ExitUsage
	}
	err = parsed.Run()
	switch {
	case err == nil:
		return ExitOK
	case flags.IsUsage(err):
		fmt.Fprintln(std.Err, "loyalty:", err)
		return ExitUsage
	}
	fmt.Fprintln(std.Err, "loyalty:", err)
	return ExitFailed
}

// newParser makes a parser into line.
func newParser(line *commandLine, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(line, append([]kong.Option{
		kong.Name("loyalty"), kong.Description(description), flags.FromEnvironment(),
		kong.Vars{"data": app.DefaultFolder, "version": version(debug.ReadBuildInfo()), "eventstore_versions": strings.Join(embedded.Versions(), ", ")},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	}, options...)...)
}
