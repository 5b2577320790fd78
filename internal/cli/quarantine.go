package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
)

// quarantineCommand decides that an event which can't be decoded counts for nobody, and lists these decisions.
type quarantineCommand struct {
	flags.Stores
	Position string `arg:"" optional:"" help:"Position of the event, from the error of the projection that stopped at it. Without it, what is quarantined is listed."`
	Reason   string `help:"Why, for whoever reads it later. No personal data." placeholder:"TEXT"`
	flags.Caller
	JSON bool `name:"json" help:"Print one line of JSON."`
}

// Help is shown with the command's flags.
func (quarantineCommand) Help() string {
	return `A projection stops at an event that can't be decoded, since all that follows would be wrong if it were passed over in silence. If the event
is broken for good, it can be quarantined: from then on it counts as if it had never been stored, for every read model, for verify, rebuild,
replay and export, and for commands. The decision is an event in the log itself, so that everybody shares it; it can't be taken back, and is
shown by verify, on the status page and in the metrics for ever. Projections that have stopped go on within seconds.

An event that can be decoded is refused, and so is one of a newer version of the program: upgrade instead.

  loyalty quarantine --data loyalty-data
  loyalty quarantine 4711 --reason "half written by the import of 3 May" --actor alice --data loyalty-data`
}

// Run makes the decision and prints it, or lists all.
func (c quarantineCommand) Run(ctx context.Context, std output.Streams) (err error) {
	s, err := c.Stores.Open(ctx, app.Wanted{})
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if err != nil {
		return err
	}
	decisions := []eventstore.Quarantined{}
	if c.Position == "" {
		log, err := s.Store.Log(ctx)
		if err != nil {
			return err
		}
		decisions = append(decisions, log.Quarantined...)
	} else {
		position, err := domain.ParsePosition("position", c.Position)
		if err != nil {
			return flags.Usage(err)
		}
		decision, err := s.Store.Quarantine(ctx, position, c.Reason, c.Actor, time.Now())
		if errors.Is(err, domain.ErrInvalid) {
			err = flags.Usage(err)
		}
		if err != nil {
			return err
		}
		decisions = append(decisions, decision)
	}
	if c.JSON {
		return output.JSON(std.Out, decisions)
	}
	if len(decisions) == 0 {
		_, err := fmt.Fprintln(std.Out, "No event is quarantined.")
		return err
	}
	rows := [][]any{{"POSITION", "TYPE", "DECIDED", "BY", "REASON"}}
	for _, q := range decisions {
		rows = append(rows, []any{q.Position, q.Type, q.At.Format(time.DateTime), q.Actor, q.Reason})
	}
	return output.Table(std.Out, rows...)
}
