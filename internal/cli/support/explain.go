package support

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/queries"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

// Explain is the command "explain": how the points of an entry were computed.
type Explain struct {
	Entry string `arg:"" optional:"" help:"Id of the entry, as loyalty trail prints it."`
	flags.Stores
	Customer string `help:"Whose entry it is." placeholder:"ID"`
	Order    string `help:"Explain the latest entry of this order instead. A number without who gave it, o-1 for store.o-1, may mean several." placeholder:"ORDER"`
	Events   bool   `help:"Print the events it came from, too, as they are stored."`
	flags.Format
}

// Help is shown with the command's flags.
func (Explain) Help() string {
	return `Says in words and numbers how the points of an entry came about, and proves it: the events behind it are read from the event
store anew, folded, and held against the ledger. If that does not agree, it says what does not, and the exit status is 1.

  loyalty explain 3f2b9c6e-… --customer alice --data loyalty-data
  loyalty explain --order store.o-1 --events --data loyalty-data

--json has all of it, with the events; --csv has the steps, a line for each.`
}

// Run prints the explanation, and fails if the proof does not hold.
func (c Explain) Run(ctx context.Context, std output.Streams) error {
	if (c.Entry == "") == (c.Order == "") {
		return flags.Usage(errors.New("which entry? Give its id, as loyalty trail prints it, and --customer; or an order with --order"))
	}
	if c.Entry != "" && c.Customer == "" {
		return flags.Usage(errors.New("whose entry is it? Say so with --customer"))
	}
	return c.With(ctx, app.Wanted{}, func(s app.Stores) error {
		entry, err := c.find(ctx, s)
		if err != nil {
			return err
		}
		explained, err := queries.Explainer{Store: s.Store, Ledger: s.Ledger}.Explain(ctx, entry)
		if err != nil {
			return err
		}
		if err := c.print(std.Out, explained); err != nil {
			return err
		}
		if !explained.Proof.Agrees {
			return errors.New("what is stored does not agree: compare the whole ledger with loyalty verify")
		}
		return nil
	})
}

func (c Explain) find(ctx context.Context, s app.Stores) (ledger.Entry, error) {
	if c.Order != "" {
		return latestOf(ctx, s, domain.OrderID(c.Order), domain.CustomerID(c.Customer))
	}
	customer, err := domain.ParseID[domain.CustomerID]("--customer", c.Customer)
	if err != nil {
		return ledger.Entry{}, err
	}
	entry, err := s.Ledger.Entry(ctx, customer, c.Entry)
	if errors.Is(err, domain.ErrNotFound) {
		err = fmt.Errorf("%s has no entry %s: loyalty trail %[1]s lists those there are (%[3]w)", customer, c.Entry, err)
	}
	return entry, err
}

// latestOf is the newest entry of the one order that an id means. The customer is needed only if it may mean several.
func latestOf(ctx context.Context, s app.Stores, order domain.OrderID, customer domain.CustomerID) (entry ledger.Entry, err error) {
	if _, err := domain.ParseFullID[domain.OrderID]("--order", string(order)); err != nil {
		return entry, err
	}
	latest, err := queries.LatestOfOrders(ctx, s.Ledger, order, customer)
	switch {
	case err != nil:
		return entry, err
	case len(latest) == 0:
		return entry, fmt.Errorf("no points came of an order %s: %w", order, domain.ErrNotFound)
	case len(latest) > 1:
		return entry, domain.Invalid("--order", "order_ambiguous", "there are several: explain one of these, by its order or by its entry: "+listed(latest))
	}
	return latest[0], nil
}

// listed names the orders of entries and whose they are.
func listed(entries []ledger.Entry) string {
	orders := make([]string, len(entries))
	for i, e := range entries {
		orders[i] = fmt.Sprintf("order %s of %s (%s)", e.Order, e.Customer, e.EventID)
	}
	return strings.Join(orders, ", ")
}

func (c Explain) print(out io.Writer, x queries.Explanation) error {
	if c.JSON {
		return output.JSON(out, view.ExplanationOf(x))
	}
	if c.CSV {
		return stepsCSV(out, x.Steps)
	}
	e := x.Entry
	fmt.Fprintf(out, "%s of %s for %s, %s\n\n%s\n\n", e.Kind, output.Signed(e.Points), e.Customer, output.UTC(e.OccurredAt), x.Text)
	rows := [][]any{{"", "POINTS", "STEP", "EVENT"}}
	for _, step := range x.Steps {
		mark := ""
		if step.This {
			mark = "→"
		}
		rows = append(rows, []any{mark, output.Signed(step.Points), step.Text, step.EventID})
	}
	if err := output.Table(out, rows...); err != nil {
		return err
	}
	p := x.Proof
	fmt.Fprintf(out, "\nThe steps add up to %d points, and must add up to %d.\nIn the ledger the total went from %d to %d.\n", p.Sum, p.Computed, p.Before, p.After)
	if p.Agrees {
		fmt.Fprintln(out, "Events and ledger agree.")
	}
	for _, mismatch := range p.Mismatches {
		fmt.Fprintln(out, "This does not agree:", mismatch)
	}
	if !c.Events {
		return nil
	}
	for _, event := range x.Events {
		fmt.Fprintf(out, "\n%s, number %d of %s, id %s, stored %s\n", event.Type, event.Revision, event.Stream, event.EventID, event.StoredAt.UTC().Format(time.RFC3339Nano))
		for _, part := range []json.RawMessage{event.Data, event.Metadata} {
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, part, "  ", "  "); err != nil {
				return err
			}
			fmt.Fprintf(out, "  %s\n", &pretty)
		}
	}
	return nil
}

func stepsCSV(out io.Writer, steps []queries.Step) error {
	file := csv.NewWriter(out)
	_ = file.Write(view.StepColumns()) // file.Error has it
	for _, step := range steps {
		_ = file.Write(view.StepRow(step))
	}
	file.Flush()
	return file.Error()
}
