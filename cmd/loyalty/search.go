package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

// searchCommand finds the customer that an id, or a proxy name, belongs to.
type searchCommand struct {
	Words []string `arg:"" name:"q" help:"An id of a customer, an order, a return or an adjustment; or a proxy name."`
	storeFlags
	Reveal bool   `help:"Tell which customer is behind a proxy name. Needs --reason, and is noted for ever."`
	Reason string `help:"Why a proxy name is to be revealed." placeholder:"TEXT"`
	actorFlag
	formatFlags
}

// Help is shown with the command's flags.
func (searchCommand) Help() string {
	return `Whatever has exactly this id is listed, with the customer it leads to.

  loyalty search o-1 --data loyalty-data

A proxy name, such as "Amber Otter 482913", is all that others see of a customer. Who that is, is told only for a reason, which
is appended to the log with your name before the answer, for auditors to read. Without --reveal you learn only how many have it.

  loyalty search Amber Otter 482913 --reveal --reason "ticket 7: reports somebody's points" --actor agent-1 --data loyalty-data`
}

// searchReport is what a search came to, in JSON, as the API has it.
type searchReport struct {
	Matches []view.Match `json:"matches"`
	// More tells that there are others beyond those listed.
	More bool `json:"more"`
	// ProxyName is there where that is what was looked for.
	ProxyName *namedLine `json:"proxyName,omitempty"`
}

// namedLine says how many have a proxy name. They are among the matches only after a reveal.
type namedLine struct {
	Name      string `json:"name"`
	Customers int    `json:"customers"`
}

// byProxyName is what a revealed customer was found by.
const byProxyName ledger.By = "proxyName"

// Run prints what was found.
func (c searchCommand) Run(ctx context.Context, std streams) error {
	q := strings.Join(strings.Fields(strings.Join(c.Words, " ")), " ")
	name, isName := domain.ParseProxyName(q)
	if c.Reveal && !isName {
		return usageError{fmt.Errorf("%q is no proxy name: there is nothing to reveal", q)}
	}
	caller, badActor := c.actorFlag.caller()
	if err := domain.JoinInvalid(badActor, checkReason(c.Reason)); c.Reveal && err != nil {
		return usageError{err}
	}
	return c.looking(ctx, wanted{}, func(s stores) (err error) {
		var report searchReport
		if isName {
			report, err = c.named(ctx, s, caller, name)
		} else {
			report, err = c.find(ctx, s, q)
		}
		if err != nil {
			return err
		}
		return c.print(std, q, report)
	})
}

func (c searchCommand) find(ctx context.Context, s stores, id string) (searchReport, error) {
	found, err := s.ledger.Search(ctx, id)
	return searchReport{Matches: view.MatchesOf(found.Matches), More: found.More}, err
}

// named looks a proxy name up. Customers are in the report only after the event that says so of each is in the log.
func (c searchCommand) named(ctx context.Context, s stores, caller commands.Caller, name string) (searchReport, error) {
	report := searchReport{Matches: []view.Match{}}
	proxies, err := c.storeFlags.proxies()
	if err != nil {
		return report, err
	}
	customers, err := ledger.Named(ctx, s.ledger, proxies, name)
	if err != nil {
		return report, err
	}
	report.ProxyName = &namedLine{name, len(customers)}
	if !c.Reveal {
		return report, nil
	}
	handler, err := s.handler()
	if err != nil {
		return report, err
	}
	for _, customer := range customers {
		_, err := handler.RevealProxyName(ctx, commands.RevealProxyName{Caller: caller, Customer: customer, Reason: c.Reason})
		switch {
		case errors.Is(err, domain.ErrForgotten): // since the ledger was asked
			report.ProxyName.Customers--
		case err != nil:
			return report, err
		default:
			report.Matches = append(report.Matches, view.Match{By: byProxyName, CustomerID: customer})
		}
	}
	return report, c.catchUp(ctx, s) // the reveals are in the ledger, too
}

func (c searchCommand) print(std streams, q string, r searchReport) error {
	if c.JSON {
		return printJSON(std.out, r)
	}
	// What is no row goes beside the rows of a file.
	words := std.out
	if c.CSV {
		words = std.err
		if err := searchCSV(std.out, r); err != nil {
			return err
		}
	} else if len(r.Matches) > 0 {
		rows := [][]any{{"FOUND BY", "CUSTOMER", "ORDER", "TIME", "ENTRY"}}
		for _, m := range r.Matches {
			at := "-"
			if m.OccurredAt != nil {
				at = utc(*m.OccurredAt)
			}
			rows = append(rows, []any{m.By, m.CustomerID, dash(m.OrderID), at, dash(m.EntryID)})
		}
		if err := printTable(std.out, rows...); err != nil {
			return err
		}
	}
	text := ""
	switch {
	case r.More:
		text = "There are more."
	case r.ProxyName != nil && r.ProxyName.Customers == 0:
		text = "Nobody has this proxy name."
	case r.ProxyName != nil && c.Reveal:
		text = "That you were told is noted in the log."
	case r.ProxyName != nil:
		text = count(uint64(r.ProxyName.Customers), "customer has", "customers have") +
			" this proxy name. To be told who, say why: --reveal --reason TEXT --actor NAME. It is noted."
	case len(r.Matches) == 0:
		text = fmt.Sprintf("Nothing has the id %q. A proxy name is two words and six digits, such as Amber Otter 482913.", q)
	default:
		return nil
	}
	_, err := fmt.Fprintln(words, text)
	return err
}

func searchCSV(out io.Writer, r searchReport) error {
	file := csv.NewWriter(out)
	_ = file.Write([]string{"by", "customerId", "orderId", "occurredAt", "entryId"}) // file.Error has it
	for _, m := range r.Matches {
		at := ""
		if m.OccurredAt != nil {
			at = m.OccurredAt.Format(time.RFC3339Nano)
		}
		_ = file.Write([]string{string(m.By), view.Cell(string(m.CustomerID)), view.Cell(string(m.OrderID)), at, m.EntryID})
	}
	file.Flush()
	return file.Error()
}
