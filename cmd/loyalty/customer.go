package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/readmodels/history"
)

// customerCommand is about one customer.
type customerCommand struct {
	Forget forgetCommand `cmd:"" help:"Forget a customer: retire their proxy key, check every read model, and certify it."`
}

// forgetCommand makes a customer unresolvable.
type forgetCommand struct {
	ID string `name:"id" help:"Id of the customer." required:"" placeholder:"CUSTOMER"`
	storeFlags
	seasonFlags
	Reason string `help:"Why: what they asked for, and where that is kept. Name nobody." required:"" placeholder:"TEXT"`
	actorFlag
	Yes      bool          `help:"Don't ask to have the id typed again."`
	Patience time.Duration `help:"How long each read model may take to follow." default:"1m"`
	JSON     bool          `name:"json" help:"Print one line of JSON."`
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

// forgotten is what came of it, in JSON.
type forgotten struct {
	CustomerID domain.CustomerID `json:"customerId"`
	// Since is when they were forgotten and Position where the event of it stands; Before tells that it was before this run.
	Since    time.Time       `json:"since"`
	Position domain.Position `json:"position"`
	Before   bool            `json:"before"`
	Checks   []erasureCheck  `json:"checks"`
	// Certificate is nil if a check was not clean.
	Certificate *certificate `json:"certificate"`
}

type certificate struct {
	Position domain.Position `json:"position"`
	Actor    string          `json:"actor"`
	At       time.Time       `json:"at"`
	// Before tells that an earlier run appended it.
	Before bool `json:"before"`
}

// Run prints the certificate, and fails if something still leads to the customer.
func (c forgetCommand) Run(ctx context.Context, std streams) error {
	customer, badID := domain.ParseID[domain.CustomerID]("--id", c.ID)
	caller, badActor := c.actorFlag.caller()
	if err := domain.JoinInvalid(badID, checkReason(c.Reason), badActor); err != nil {
		return usageError{err}
	}
	calendar, err := c.seasonFlags.calendar()
	if err != nil {
		return err
	}
	return c.looking(ctx, wanted{leaderboard: true}, func(s stores) error {
		proxies, err := c.storeFlags.proxies()
		if err != nil {
			return err
		}
		handler, err := s.handler()
		if err != nil {
			return err
		}
		past, err := c.past(s)
		if err != nil {
			return err
		}
		if past != nil {
			defer past.Close()
		}
		e := erasure{stores: s, handler: handler, caller: caller, customer: customer, models: modelsToCheck(s, past, proxies, customer, calendar.At(time.Now()))}
		if err := c.confirm(ctx, std, e); err != nil {
			return err
		}
		done, err := e.carryOut(ctx, c.Reason, c.Patience)
		if err == nil {
			err = c.catchUp(ctx, s) // the certificate is in the ledger, too
		}
		if err != nil {
			return err
		}
		if err := c.print(std.out, done); err != nil {
			return err
		}
		if done.Certificate == nil {
			return fmt.Errorf("nothing is certified: fold what is not clean anew with loyalty rebuild, then run this again (%w)", domain.ErrNotForgotten)
		}
		return nil
	})
}

// past opens the history of a data folder, unless a process runs there: then it is that process's, which follows the log into it.
func (c forgetCommand) past(s stores) (*history.History, error) {
	if c.Data == "" || s.server == nil {
		return nil, nil
	}
	if _, err := os.Stat(c.Data.history()); err != nil {
		return nil, nil // it never had one
	}
	return history.Open(c.Data.history(), history.Options{})
}

// confirm refuses an id that nothing is known of, most likely a mistake in typing, and has the right one typed again unless the
// customer is forgotten already.
func (c forgetCommand) confirm(ctx context.Context, std streams, e erasure) error {
	found, state, err := e.ledger.Account(ctx, e.customer)
	if err != nil {
		return err
	}
	past, err := e.store.Load(ctx, accountStream(e.customer))
	if err != nil {
		return err
	}
	if found.Entries == 0 && len(past) == 0 {
		return fmt.Errorf("nothing is known of %s, as of position %s: look for the right id with loyalty search (%w)", e.customer, state.Position, domain.ErrNotFound)
	}
	if _, _, err := lastOf[account.CustomerForgotten](ctx, e.store, e.customer); c.Yes || err == nil {
		return nil
	}
	fmt.Fprintf(std.err, "%s has %d points by %s. There is no way back.\nType the id again to have them forgotten: ", e.customer, found.Points,
		count(uint64(found.Entries), "entry", "entries"))
	typed := make(chan string, 1)
	// Reading from a terminal can't be ended: after Ctrl-C this ends with the process.
	go func() {
		line, _ := bufio.NewReader(std.in).ReadString('\n') // what can't be read is not the id
		typed <- strings.TrimSpace(line)
	}()
	select {
	case line := <-typed:
		if line != string(e.customer) {
			return usageError{errors.New("that is not the id: nothing was changed (where nobody can type, say --yes)")}
		}
		return nil
	case <-ctx.Done():
		return errors.New("stopped: nothing was changed")
	}
}

// accountStream is the stream with all that was done about a customer by hand.
func accountStream(customer domain.CustomerID) string { return "account-" + string(customer) }

// erasure is a customer being forgotten.
type erasure struct {
	stores
	handler  *commands.Handler
	caller   commands.Caller
	customer domain.CustomerID
	models   []modelToCheck
}

// carryOut forgets the customer, checks every read model, and certifies that they are clean.
func (e erasure) carryOut(ctx context.Context, reason string, patience time.Duration) (done forgotten, err error) {
	done = forgotten{CustomerID: e.customer, Checks: make([]erasureCheck, len(e.models))}
	_, _, err = lastOf[account.CustomerForgotten](ctx, e.store, e.customer)
	if done.Before = err == nil; err != nil && !errors.Is(err, domain.ErrNotFound) {
		return done, err
	}
	done.Position, err = e.handler.ForgetCustomer(ctx, commands.ForgetCustomer{Caller: e.caller, Customer: e.customer, Reason: reason})
	if err != nil {
		return done, err
	}
	event, _, err := lastOf[account.CustomerForgotten](ctx, e.store, e.customer)
	if err != nil {
		return done, err
	}
	done.Since = event.OccurredAt
	clean := true
	others := followers{store: e.store, alone: e.server != nil}
	for i, model := range e.models {
		if done.Checks[i], err = model.checkAt(ctx, &others, done.Position, patience); err != nil {
			return done, fmt.Errorf("%s is forgotten in the log from position %s on, but the %s could not be checked: run this again once that works (%w)",
				e.customer, done.Position, model.projection.Name(), err)
		}
		clean = clean && done.Checks[i].Clean
	}
	if clean {
		done.Certificate, err = e.certify(ctx, done.Checks)
	}
	return done, err
}

// certify appends the certificate, unless one that covers all that was checked now is there.
func (e erasure) certify(ctx context.Context, checks []erasureCheck) (*certificate, error) {
	earlier, at, err := lastOf[account.ErasureCertified](ctx, e.store, e.customer)
	switch {
	case err == nil && covers(earlier.Checks, checks):
		return &certificate{Position: at, Actor: earlier.Actor, At: earlier.OccurredAt, Before: true}, nil
	case err != nil && !errors.Is(err, domain.ErrNotFound):
		return nil, err
	}
	plain := make([]account.Check, len(checks))
	for i, check := range checks {
		plain[i] = check.Check
	}
	if _, err := e.handler.CertifyErasure(ctx, commands.CertifyErasure{Caller: e.caller, Customer: e.customer, Checks: plain}); err != nil {
		return nil, err
	}
	now, at, err := lastOf[account.ErasureCertified](ctx, e.store, e.customer)
	if err != nil {
		return nil, err
	}
	return &certificate{Position: at, Actor: now.Actor, At: now.OccurredAt}, nil
}

// covers tells whether a certificate's checks are of every read model that was looked at now.
func covers(certified []account.Check, now []erasureCheck) bool {
	models := map[string]bool{}
	for _, check := range certified {
		models[check.Model] = true
	}
	for _, check := range now {
		if !models[check.Model] {
			return false
		}
	}
	return true
}

// lastOf is the last event of its type about a customer, and its position; domain.ErrNotFound if there is none.
func lastOf[E domain.Event](ctx context.Context, store *eventstore.Store, customer domain.CustomerID) (event E, at domain.Position, err error) {
	stored, err := store.Load(ctx, accountStream(customer))
	if err != nil {
		return event, at, err
	}
	for _, recorded := range slices.Backward(stored) {
		if event, ok := recorded.Event.(E); ok {
			at, err := store.PositionOf(ctx, recorded)
			return event, at, err
		}
	}
	return event, at, fmt.Errorf("what was done about %s: %w", customer, domain.ErrNotFound)
}

func (c forgetCommand) print(out io.Writer, f forgotten) error {
	if c.JSON {
		return printJSON(out, f)
	}
	when := "now"
	if f.Before {
		when = "already"
	}
	fmt.Fprintf(out, "%s is forgotten %s, since %s (position %s).\n\n", f.CustomerID, when, utc(f.Since), f.Position)
	rows := [][]any{{"READ MODEL", "POSITION", "CLEAN", "WHAT WAS FOUND"}}
	for _, check := range f.Checks {
		clean := "yes"
		if !check.Clean {
			clean = "NO"
		}
		rows = append(rows, []any{check.Model, check.Position, clean, strings.Join(check.Found, "; ")})
	}
	if err := printTable(out, rows...); err != nil {
		return err
	}
	if f.Certificate == nil {
		return nil
	}
	when = "appended"
	if f.Certificate.Before {
		when = "there already"
	}
	_, err := fmt.Fprintf(out, "\nThe certificate is %s: by %s, %s (position %s).\n", when, f.Certificate.Actor, utc(f.Certificate.At), f.Certificate.Position)
	return err
}
