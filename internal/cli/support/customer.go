package support

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/english"
	"loyalty/queries"
	"loyalty/readmodels/history"
)

// Customer is the command "customer".
type Customer struct {
	Forget forgetCommand `cmd:"" help:"Forget a customer: retire their proxy key, check every read model, and certify it."`
}

// forgetCommand forgets a customer.
type forgetCommand struct {
	ID string `name:"id" help:"Id of the customer." required:"" placeholder:"CUSTOMER"`
	flags.Stores
	flags.Seasons
	Reason string `help:"Why: what they asked for, and where that is kept. Name nobody." required:"" placeholder:"TEXT"`
	flags.Caller
	Yes     bool          `help:"Don't ask to have the id typed again."`
	Timeout time.Duration `name:"patience" help:"How long each read model may take to follow." default:"1m"`
	JSON    bool          `name:"json" help:"Print one line of JSON."`
}

// Help is shown with the command's flags.
func (forgetCommand) Help() string {
	return `Appends that the customer is forgotten, waits until every read model has followed, looks into each whether it still leads from a
rank or a proxy name to them, and appends a certificate of that. They leave the leaderboard for ever, others move up; their
entries stay, so that the totals add up, under an id that says nothing once the shop forgets whose it was. docs/privacy.md has
it all. There is no way back.

  loyalty customer forget --id alice --reason "asked to, ticket 7" --actor agent-1 --data loyalty-data

It can be repeated: what is done already is not done again, everything is checked again, and a new certificate is appended
only where the last one does not cover every read model there is. The exit status is 1, and nothing is certified, if something still
leads to the customer.`
}

// Forgotten is the result, in JSON.
type Forgotten struct {
	CustomerID domain.CustomerID `json:"customerId"`
	// Since and Position are those of the event with which they were forgotten. Before says that an earlier run appended it.
	Since    time.Time              `json:"since"`
	Position domain.Position        `json:"position"`
	Before   bool                   `json:"before"`
	Checks   []queries.ErasureCheck `json:"checks"`
	// Certificate is nil if a check was not clean.
	Certificate *certificate `json:"certificate"`
}

type certificate struct {
	Position domain.Position `json:"position"`
	Actor    string          `json:"actor"`
	At       time.Time       `json:"at"`
	// Before says that an earlier run appended it.
	Before bool `json:"before"`
}

// Run prints the certificate, and fails if something still leads to the customer.
func (c forgetCommand) Run(ctx context.Context, std output.Streams) error {
	customer, badID := domain.ParseID[domain.CustomerID]("--id", c.ID)
	caller, badActor := c.Caller.Parse()
	if err := domain.JoinInvalid(badID, domain.CheckReason("--reason", c.Reason), badActor); err != nil {
		return flags.Usage(err)
	}
	calendar, err := c.Seasons.Calendar()
	if err != nil {
		return err
	}
	return c.With(ctx, app.Wanted{Leaderboard: true}, func(s app.Stores) error {
		proxies, err := c.Stores.ProxiesOf(ctx, s)
		if err != nil {
			return err
		}
		handler, err := s.Handler()
		if err != nil {
			return err
		}
		past, err := c.openHistory(s)
		if err != nil {
			return err
		}
		if past != nil {
			defer past.Close()
		}
		if err := c.confirm(ctx, std, s, customer); err != nil {
			return err
		}
		command := commands.EraseCustomer{Caller: caller, Customer: customer, Reason: c.Reason}
		models := modelsToCheck(s, past, proxies, customer, calendar.At(time.Now()))
		found := make([]queries.ErasureCheck, len(models))
		others := app.CatchUp{Store: s.Store, Alone: s.Server != nil}
		for i, model := range models {
			command.Checks = append(command.Checks, func(ctx context.Context, at domain.Position) (_ account.Check, err error) {
				if found[i], err = model.checkAt(ctx, &others, at, c.Timeout); err != nil {
					err = fmt.Errorf("%s is forgotten in the log from position %s on, but the %s could not be checked: run this again once that works (%w)",
						customer, at, model.projection.Name(), err)
				}
				return found[i].Check, err
			})
		}
		erased, err := handler.EraseCustomer(ctx, command)
		if err == nil {
			err = c.CatchUp(ctx, s) // the certificate is in the ledger, too
		}
		if err != nil {
			return err
		}
		if err := c.print(std.Out, Forgotten{
			CustomerID: customer, Since: erased.Since, Position: erased.Position, Before: erased.Before, Checks: found,
			Certificate: (*certificate)(erased.Certificate),
		}); err != nil {
			return err
		}
		if erased.Certificate == nil {
			return fmt.Errorf("nothing is certified: fold what is not clean anew with loyalty rebuild, then run this again (%w)", domain.ErrNotForgotten)
		}
		return nil
	})
}

// openHistory opens the history of a data folder. It is nil if there is none, or if a process is running there, which keeps it itself.
func (c forgetCommand) openHistory(s app.Stores) (*history.History, error) {
	if c.Data == "" || s.Server == nil {
		return nil, nil
	}
	if _, err := os.Stat(c.Data.HistoryDir()); err != nil {
		return nil, nil // it never had one
	}
	return history.Open(c.Data.HistoryDir(), history.Options{})
}

// confirm has the id typed again, unless the customer is forgotten already. An id that nothing is known of is most likely a mistake in
// typing, and an error.
func (c forgetCommand) confirm(ctx context.Context, std output.Streams, s app.Stores, id domain.CustomerID) error {
	customer, err := queries.FindCustomer(ctx, s.Store, s.Ledger, id)
	if err != nil {
		return err
	}
	if !customer.Known {
		return fmt.Errorf("nothing is known of %s, as of position %s: look for the right id with loyalty search (%w)", id, customer.Position, domain.ErrNotFound)
	}
	if c.Yes || customer.Forgotten {
		return nil
	}
	fmt.Fprintf(std.Err, "%s has %d points by %s. There is no way back.\nType the id again to have them forgotten: ", id, customer.Account.Points,
		english.Count(uint64(customer.Account.Entries), "entry", "entries"))
	typed := make(chan string, 1)
	// Reading from a terminal can't be ended: after Ctrl-C this ends with the process.
	go func() {
		line, _ := bufio.NewReader(std.In).ReadString('\n') // what can't be read is not the id
		typed <- strings.TrimSpace(line)
	}()
	select {
	case line := <-typed:
		if line != string(id) {
			return flags.Usage(errors.New("that is not the id: nothing was changed (where nobody can type, say --yes)"))
		}
		return nil
	case <-ctx.Done():
		return errors.New("stopped: nothing was changed")
	}
}

func (c forgetCommand) print(out io.Writer, f Forgotten) error {
	if c.JSON {
		return output.JSON(out, f)
	}
	when := "now"
	if f.Before {
		when = "already"
	}
	fmt.Fprintf(out, "%s is forgotten %s, since %s (position %s).\n\n", f.CustomerID, when, output.UTC(f.Since), f.Position)
	rows := [][]any{{"READ MODEL", "POSITION", "CLEAN", "WHAT WAS FOUND"}}
	for _, check := range f.Checks {
		clean := "yes"
		if !check.Clean {
			clean = "NO"
		}
		rows = append(rows, []any{check.Model, check.Position, clean, strings.Join(check.Found, "; ")})
	}
	if err := output.Table(out, rows...); err != nil {
		return err
	}
	if f.Certificate == nil {
		return nil
	}
	when = "appended"
	if f.Certificate.Before {
		when = "there already"
	}
	_, err := fmt.Fprintf(out, "\nThe certificate is %s: by %s, %s (position %s).\n", when, f.Certificate.Actor, output.UTC(f.Certificate.At), f.Certificate.Position)
	return err
}
