package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"loyalty/bus/redis"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/english"
)

// poisonCommand has the commands for poisoned commands: those from the command bus that can never succeed as they are.
type poisonCommand struct {
	List  poisonListCommand  `cmd:"" help:"List what could not be carried out, and why."`
	Retry poisonRetryCommand `cmd:"" help:"Put commands back into the queue."`
	Drop  poisonDropCommand  `cmd:"" help:"Throw commands away, and tell the channel why."`
}

// poisonFlags are the flags of all subcommands.
type poisonFlags struct {
	CommandBus string `help:"Broker that commands come from: redis://… or rediss://…." env:"LOYALTY_COMMAND_BUS" required:"" placeholder:"URL"`
	JSON       bool   `name:"json" help:"Print one line of JSON."`
}

// with opens the broker, calls work, and closes it.
func (f poisonFlags) with(work func(*redis.Broker) error) (err error) {
	b, err := app.OpenBroker("command-bus", f.CommandBus, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err = work(b); errors.Is(err, domain.ErrInvalid) {
		err = flags.Usage(err)
	}
	return err
}

// poisonListCommand lists the poison topic.
type poisonListCommand struct {
	poisonFlags
	Limit int `help:"The most commands to list, the oldest first." default:"100" placeholder:"N"`
}

// Help is shown with the command's flags.
func (poisonListCommand) Help() string {
	return `A command that can never succeed as it is was put aside with its problem, and the channel was told. Here is which, never
what is in it. Once the cause is gone, "loyalty poison retry" puts it back; repeating a command is safe. A return whose order
came too late has the code not_found: "loyalty poison retry --code not_found". Of a command that was too large only the problem
is kept: its channel has to send it again. A store that is away or refuses is no reason to put a command aside: it waits.`
}

type poisonedCommand struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	AgeS      int64     `json:"age_s"`
	Command   string    `json:"command"`
	CommandID string    `json:"commandId"`
	Code      string    `json:"code"`
	Detail    string    `json:"detail"`
	Discarded bool      `json:"discarded,omitempty"`
}

type PoisonReport struct {
	Total    int64             `json:"total"`
	Commands []poisonedCommand `json:"commands"`
}

// Run prints the list.
func (c poisonListCommand) Run(ctx context.Context, std output.Streams) error {
	return c.with(func(b *redis.Broker) error {
		report := PoisonReport{Commands: []poisonedCommand{}}
		now := time.Now()
		var err error
		if report.Total, err = b.Depth(ctx); err != nil {
			return err
		}
		err = b.Poisoned(ctx, func(e redis.PoisonedEntry) bool {
			if len(report.Commands) >= c.Limit {
				return false
			}
			report.Commands = append(report.Commands, poisonedCommand{
				ID: e.ID, At: e.At, AgeS: int64(now.Sub(e.At).Seconds()), Command: e.Command, CommandID: e.CommandID, Code: e.Code, Detail: e.Detail, Discarded: e.Discarded,
			})
			return true
		})
		if err != nil {
			return err
		}
		return c.print(std.Out, report)
	})
}

func (c poisonListCommand) print(out io.Writer, report PoisonReport) error {
	if c.JSON {
		return output.JSON(out, report)
	}
	if report.Total == 0 {
		_, err := fmt.Fprintln(out, "Nothing is put aside.")
		return err
	}
	rows := [][]any{{"ID", "TIME", "AGE", "COMMAND", "COMMAND ID", "CODE", "DETAIL"}}
	for _, p := range report.Commands {
		rows = append(rows, []any{
			p.ID, p.At.Format(time.RFC3339), output.Duration(time.Duration(p.AgeS) * time.Second), plain(p.Command), plain(p.CommandID), plain(p.Code), plain(p.Detail),
		})
	}
	if err := output.Table(out, rows...); err != nil {
		return err
	}
	if more := report.Total - int64(len(report.Commands)); more > 0 {
		fmt.Fprintf(out, "and %s.\n", english.Count(uint64(more), "more", "more"))
	}
	return nil
}

// plain is a sender's text, made safe for a terminal.
func plain(text string) string {
	const most = 200
	if domain.CheckText("text", "text", text, most) != nil {
		return strconv.Quote(text[:min(len(text), most)])
	}
	return text
}

// poisonChoice are the flags that choose commands.
type poisonChoice struct {
	IDs  []string `arg:"" optional:"" name:"id" help:"Ids that the list shows."`
	All  bool     `help:"All that are there now."`
	Code string   `help:"All that are there now with this code, such as not_found." placeholder:"CODE"`
}

func (c poisonChoice) check() error {
	ways := 0
	for _, chosen := range []bool{len(c.IDs) > 0, c.All, c.Code != ""} {
		if chosen {
			ways++
		}
	}
	if ways != 1 {
		return flags.Usage(errors.New("which commands? Name the ids that loyalty poison list shows, or say --code CODE or --all"))
	}
	return nil
}

// poisonRetryCommand puts commands back into the queue.
type poisonRetryCommand struct {
	poisonFlags
	poisonChoice
}

// Run prints how many it put back.
func (c poisonRetryCommand) Run(ctx context.Context, std output.Streams) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.with(func(b *redis.Broker) error {
		n, err := len(c.IDs), error(nil)
		if len(c.IDs) == 0 {
			n, err = b.RetryAll(ctx, c.Code)
		} else {
			err = b.Retry(ctx, c.IDs...)
		}
		if err != nil {
			return err
		}
		if c.JSON {
			return output.JSON(std.Out, map[string]int{"retried": n})
		}
		_, err = fmt.Fprintf(std.Out, "%s back in the queue.\n", english.Count(uint64(n), "command is", "commands are"))
		return err
	})
}

// poisonDropCommand deletes commands.
type poisonDropCommand struct {
	poisonFlags
	poisonChoice
	Reason string `help:"Why; the channel that sent them is told." required:"" placeholder:"TEXT"`
	Yes    bool   `help:"Needed with --all and --code: they are gone for good."`
}

// Run prints how many it deleted.
func (c poisonDropCommand) Run(ctx context.Context, std output.Streams) error {
	if err := c.check(); err != nil {
		return err
	}
	if len(c.IDs) == 0 && !c.Yes {
		return flags.Usage(errors.New("this throws all of them away for good: say --yes if that is meant"))
	}
	return c.with(func(b *redis.Broker) error {
		n, err := len(c.IDs), error(nil)
		if len(c.IDs) == 0 {
			n, err = b.DropAll(ctx, c.Reason, c.Code)
		} else {
			err = b.Drop(ctx, c.Reason, c.IDs...)
		}
		if err != nil {
			return err
		}
		if c.JSON {
			return output.JSON(std.Out, map[string]int{"dropped": n})
		}
		_, err = fmt.Fprintf(std.Out, "%s thrown away.\n", english.Count(uint64(n), "command is", "commands are"))
		return err
	})
}
