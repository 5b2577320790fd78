package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/projections"
	"loyalty/readmodels/history"
)

// rebuildCommand rebuilds a read model beside the live one.
type rebuildCommand struct {
	Ledger      rebuildLedger      `cmd:"" help:"Fold the ledger anew and switch to it."`
	Leaderboard rebuildLeaderboard `cmd:"" help:"Fold a leaderboard in Redis anew and switch to it."`
	History     rebuildHistory     `cmd:"" help:"Empty the folder of a history, which the process that keeps it then folds anew."`
}

type rebuildFlags struct {
	flags.Stores
	Timeout     time.Duration `name:"patience" help:"How long to wait for a live read model that lags behind the log, to compare with it." default:"30s"`
	FromNothing bool          `help:"Replace the live read model without looking at it. For one that was folded from another log, after the event store was restored from a backup or replaced; or whose names are to be made with another proxy secret."`
	JSON        bool          `name:"json" help:"Print one line of JSON."`
}

type rebuildLedger struct{ rebuildFlags }

type rebuildLeaderboard struct{ rebuildFlags }

const rebuildHelp = `The copy is folded from the log beside the live read model, which goes on serving. When it has caught up, both are compared
at one position, and the copy takes the live one's place in one step: readers see the one or the other, whole. Ctrl-C, or
a crash, leaves the live one as it was.

A read model that was folded from another log than this one is refused. If the event store is the right one, and was restored from
a backup, --from-nothing replaces the read model all the same. Leaderboards, also those in memory and of seasons, are loaded from the
ledger by themselves once that is of this log. A read model whose names were made with another proxy secret is refused, too: with --from-nothing
everybody gets another name, so stop all processes first.

  loyalty rebuild ledger --from-nothing`

// Help is shown with the command's flags.
func (rebuildLedger) Help() string { return rebuildHelp }

// Help is shown with the command's flags.
func (rebuildLeaderboard) Help() string { return rebuildHelp }

// Run rebuilds the ledger.
func (c rebuildLedger) Run(ctx context.Context, std output.Streams) error {
	return c.run(ctx, std, app.Wanted{Ledger: true}, func(s app.Stores, a projections.CompareOptions) (projections.Rebuilt, error) {
		proxies, err := c.Stores.Proxies()
		if err != nil {
			return projections.Rebuilt{}, err
		}
		return projections.RebuildLedger(ctx, s.Store, s.Ledger, proxies, a)
	})
}

// Run rebuilds the leaderboard.
func (c rebuildLeaderboard) Run(ctx context.Context, std output.Streams) error {
	return c.run(ctx, std, app.Wanted{Leaderboard: true}, func(s app.Stores, a projections.CompareOptions) (projections.Rebuilt, error) {
		if s.Shared == nil {
			return projections.Rebuilt{}, flags.Usage(errors.New("a leaderboard in memory is folded anew whenever its process starts: restart that"))
		}
		proxies, err := c.Stores.Proxies()
		if err != nil {
			return projections.Rebuilt{}, err
		}
		return projections.RebuildLeaderboard(ctx, s.Store, s.Shared, proxies, a)
	})
}

// rebuildHistory empties the folder of a history.
type rebuildHistory struct {
	Folder string `arg:"" help:"The folder that LOYALTY_HISTORY names, or history in the data folder of loyalty dev." type:"path"`
}

// Help is shown with the command's flags.
func (rebuildHistory) Help() string {
	return `A history is in the folder of one process, which must be stopped: it folds the log anew when it starts again. All that is in the history comes
from the log.

  loyalty rebuild history /var/lib/loyalty/history`
}

// Run empties the folder.
func (c rebuildHistory) Run(_ context.Context, std output.Streams) error {
	if err := history.Empty(c.Folder); err != nil {
		if errors.Is(err, history.ErrInUse) {
			err = fmt.Errorf("stop the process that keeps it first: %w", err)
		}
		return err
	}
	_, err := fmt.Fprintln(std.Out, "The history is empty. The process that keeps it folds the log anew when it starts.")
	return err
}

func (c rebuildFlags) run(ctx context.Context, std output.Streams, want app.Wanted, rebuild func(app.Stores, projections.CompareOptions) (projections.Rebuilt, error)) (err error) {
	s, err := c.Stores.Open(ctx, want)
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if err != nil {
		return err
	}
	progress := output.NewProgress(std.Err, time.Now)
	rebuilt, err := rebuild(s, projections.CompareOptions{Timeout: c.Timeout, FromNothing: c.FromNothing, Progress: progress.Update})
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("stopped before the switch: the live read model is as it was; run it again to start over")
		}
		return progress.End(err)
	}
	return progress.End(c.print(std.Out, rebuilt))
}

func (c rebuildFlags) print(out io.Writer, r projections.Rebuilt) error {
	if c.JSON {
		return output.JSON(out, r)
	}
	fmt.Fprintf(out, "The %s is folded anew from %d events, for %d customers, and is now the live one.\n", r.ReadModel, r.Events, r.Customers)
	switch {
	case r.NotCompared != "":
		fmt.Fprintf(out, "It was not compared with the one before: %s\n", r.NotCompared)
	case r.Differs:
		fmt.Fprintf(out, "The one before differed from it at position %s; now it is put right.\n", r.Position)
	default:
		fmt.Fprintf(out, "The one before was the same at position %s.\n", r.Position)
	}
	fmt.Fprintf(out, "Digest at position %s: %s\n", r.Position, r.Digest)
	return nil
}
