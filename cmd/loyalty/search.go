package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/queries"
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
		var proxies domain.Proxies
		if isName {
			if proxies, err = c.storeFlags.proxies(); err != nil {
				return err
			}
		}
		var result view.SearchResult
		if c.Reveal {
			result, err = c.reveal(ctx, s, proxies, caller, name)
		} else {
			var found queries.Found
			found, err = queries.Search(ctx, s.ledger, proxies, q)
			result = view.SearchResultOf(found)
		}
		if err != nil {
			return err
		}
		return c.print(std, q, result)
	})
}

// reveal looks a proxy name up. Customers are in the result only after the event that says so of each is in the log.
func (c searchCommand) reveal(ctx context.Context, s stores, proxies domain.Proxies, caller commands.Caller, name string) (result view.SearchResult, err error) {
	customers, err := ledger.Named(ctx, s.ledger, proxies, name)
	if err != nil {
		return result, err
	}
	handler, err := s.handler()
	if err != nil {
		return result, err
	}
	revealed, err := commands.Reveal(ctx, handler.RevealProxyName, caller, customers, c.Reason)
	if err != nil {
		return result, err
	}
	result.Matches = make([]view.Match, len(revealed.Customers))
	for i, customer := range revealed.Customers {
		result.Matches[i] = view.Match{By: view.ByProxyName, CustomerID: customer}
	}
	result.ProxyName = &view.ProxyName{Name: name, Customers: len(revealed.Customers)}
	return result, c.catchUp(ctx, s) // the reveals are in the ledger, too
}

func (c searchCommand) print(std streams, q string, r view.SearchResult) error {
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

func searchCSV(out io.Writer, r view.SearchResult) error {
	file := csv.NewWriter(out)
	_ = file.Write(view.MatchColumns()) // file.Error has it
	for _, m := range r.Matches {
		_ = file.Write(view.MatchRow(m))
	}
	file.Flush()
	return file.Error()
}
