package support

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/english"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

// Trail is the command "trail": a customer's entries, newest first.
type Trail struct {
	Customer string `arg:"" help:"Id of the customer."`
	flags.Stores
	Kind    []ledger.Kind  `help:"Only entries of this kind: award, reversal or adjustment. May be given again." enum:"award,reversal,adjustment" placeholder:"KIND"`
	Channel domain.Channel `help:"Only entries from this channel: website, mobile or store." enum:",website,mobile,store" default:"" placeholder:"CHANNEL"`
	Order   domain.OrderID `help:"Only entries of this order: o-1 is every order of the customer with that number, store.o-1 that of the stores." placeholder:"ORDER"`
	From    flags.Time     `help:"Only entries from then on: a time such as 2026-11-22T09:30:00Z, or a day such as 2026-11-22, from midnight UTC." placeholder:"TIME"`
	Until   flags.Time     `help:"Only entries before then." placeholder:"TIME"`
	Limit   int            `help:"The most entries to print, the newest; 0 is all." default:"0" placeholder:"N"`
	flags.Format
}

// Help is shown with the command's flags.
func (Trail) Help() string {
	return `Every change of the customer's points, newest first, with the total it led to. The totals are those of the whole trail,
whatever is filtered out. "loyalty explain" says how an entry came about.

  loyalty trail alice --data loyalty-data
  loyalty trail alice --kind reversal --from 2026-11-01 --data loyalty-data
  loyalty trail alice --csv --data loyalty-data > alice.csv

A customer nobody has heard of has no entries, which is no error. CSV and JSON are written as they are read, whatever the
length; text that a spreadsheet would take for a formula begins with an apostrophe in CSV.`
}

// Run prints the trail.
func (c Trail) Run(ctx context.Context, std output.Streams) error {
	customer, filter, err := c.wanted()
	if err != nil {
		return err
	}
	return c.With(ctx, app.Wanted{}, func(s app.Stores) error {
		pages := atMost(c.Limit, ledger.Pages(ctx, s.Ledger, customer, filter, pageSize(c.Limit)))
		switch {
		case c.CSV:
			return trailCSV(std.Out, pages)
		case c.JSON:
			return trailJSON(std.Out, pages)
		}
		return trailTable(std.Out, customer, pages)
	})
}

func (c Trail) wanted() (domain.CustomerID, ledger.Filter, error) {
	customer, bad := domain.ParseID[domain.CustomerID]("CUSTOMER", c.Customer)
	var badOrder, badLimit error
	if c.Order != "" {
		_, badOrder = domain.ParseFullID[domain.OrderID]("--order", string(c.Order))
	}
	if c.Limit < 0 {
		badLimit = domain.Invalid("--limit", "limit_out_of_range", "this is how many entries to print, or 0 for all")
	}
	filter := ledger.Filter{Kinds: c.Kind, Channel: c.Channel, Order: c.Order, From: c.From.Time, Until: c.Until.Time}
	if err := domain.JoinInvalid(bad, badOrder, badLimit); err != nil {
		return customer, filter, flags.Usage(err)
	}
	return customer, filter, nil
}

// pageSize is the size of pages to read if limit entries are wanted; 0 is all.
func pageSize(limit int) int {
	if limit == 0 {
		return ledger.MaxPage
	}
	return min(limit, ledger.MaxPage)
}

// atMost ends pages after so many entries; 0 is all.
func atMost(limit int, pages iter.Seq2[ledger.Trail, error]) iter.Seq2[ledger.Trail, error] {
	if limit == 0 {
		return pages
	}
	return func(yield func(ledger.Trail, error) bool) {
		left := limit
		for page, err := range pages {
			page.Entries = page.Entries[:min(left, len(page.Entries))]
			left -= len(page.Entries)
			if !yield(page, err) || left == 0 {
				return
			}
		}
	}
}

func trailTable(out io.Writer, customer domain.CustomerID, pages iter.Seq2[ledger.Trail, error]) error {
	rows := [][]any{{"TIME", "KIND", "CHANNEL", "ORDER", "AMOUNT", "POINTS", "TOTAL", "REASON", "ENTRY"}}
	var first *ledger.Trail
	for page, err := range pages {
		if err != nil {
			return err
		}
		if first == nil {
			first = &page
		}
		for _, e := range page.Entries {
			rows = append(rows, []any{
				output.UTC(e.OccurredAt), e.Kind, output.OrDash(e.Channel), output.OrDash(e.Order), amount(e), output.Signed(e.Points), e.Total, output.OrDash(e.Reason), e.EventID,
			})
		}
	}
	if len(rows) == 1 {
		_, err := fmt.Fprintf(out, "%s has no entries%s, as of position %s.\n", customer, ofThese(first.Account.Entries), first.Position)
		return err
	}
	gone := ""
	if first.Account.Forgotten {
		gone = ", is forgotten"
	}
	fmt.Fprintf(out, "%s has %d points by %s%s, as of position %s.\n\n", customer, first.Account.Points,
		english.Count(uint64(first.Account.Entries), "entry", "entries"), gone, first.Position)
	return output.Table(out, rows...)
}

// ofThese says that there are entries which a filter leaves out.
func ofThese(entries int64) string {
	if entries == 0 {
		return ""
	}
	return " like that, of " + english.Grouped(uint64(entries))
}

func amount(e ledger.Entry) string {
	if e.Amount.Currency == "" {
		return "-"
	}
	return e.Amount.String()
}

// trailJSON writes an object a line.
func trailJSON(out io.Writer, pages iter.Seq2[ledger.Trail, error]) error {
	lines := json.NewEncoder(out)
	for page, err := range pages {
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := lines.Encode(view.EntryOf(e)); err != nil {
				return err
			}
		}
	}
	return nil
}

// trailCSV writes a page at a time.
func trailCSV(out io.Writer, pages iter.Seq2[ledger.Trail, error]) error {
	file := csv.NewWriter(out)
	_ = file.Write(view.TrailColumns()) // file.Error has it
	for page, err := range pages {
		if err != nil {
			file.Flush()
			return errors.Join(err, file.Error())
		}
		for _, e := range page.Entries {
			_ = file.Write(view.TrailRow(e))
		}
		if file.Flush(); file.Error() != nil {
			return file.Error()
		}
	}
	return nil
}
