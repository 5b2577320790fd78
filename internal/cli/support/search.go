// Package support has the commands of support staff: trail, explain, search, customer.
package support

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/english"
	"loyalty/queries"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

// Search is the command "search": the customer that an id or a proxy name belongs to.
type Search struct {
	Words []string `arg:"" name:"q" help:"An id of a customer, an order, a return or an adjustment; or a proxy name."`
	flags.Stores
	Reveal bool   `help:"Tell which customer is behind a proxy name. Needs --reason, and is noted for ever."`
	Reason string `help:"Why a proxy name is to be revealed." placeholder:"TEXT"`
	Key    string `help:"The key of an earlier --reveal that failed: the same again is noted once. Without one a new key is made and printed." placeholder:"ID"`
	flags.Caller
	flags.Format
}

// Help is shown with the command's flags.
func (Search) Help() string {
	return `Whatever has exactly this id is listed, with the customer it leads to.

  loyalty search o-1 --data loyalty-data

A proxy name, such as "Amber Otter 482913", is all that others see of a customer. Who that is, is told only for a reason, which
is appended to the log with your name before the answer, for auditors to read. Without --reveal you learn only how many have it.

  loyalty search Amber Otter 482913 --reveal --reason "ticket 7: reports somebody's points" --actor agent-1 --data loyalty-data`
}

// Run prints what was found.
func (c Search) Run(ctx context.Context, std output.Streams) error {
	q := strings.Join(strings.Fields(strings.Join(c.Words, " ")), " ")
	name, isName := domain.ParseProxyName(q)
	if c.Reveal && !isName {
		return flags.Usage(fmt.Errorf("%q is no proxy name: there is nothing to reveal", q))
	}
	caller, badActor := c.Caller.Parse()
	key, badKey := c.key()
	if err := domain.JoinInvalid(badActor, domain.CheckReason("--reason", c.Reason), badKey); c.Reveal && err != nil {
		return flags.Usage(err)
	}
	return c.With(ctx, app.Wanted{}, func(s app.Stores) (err error) {
		var proxies domain.Proxies
		if isName {
			if proxies, err = c.Stores.ProxiesOf(ctx, s); err != nil {
				return err
			}
		}
		var result view.SearchResult
		if c.Reveal {
			// Before anything is noted, so that the key is there if no more words come.
			if _, err = fmt.Fprintf(std.Err, "Noting it under the key %s. If this fails, repeat it with --key %[1]s.\n", key); err == nil {
				result, err = c.reveal(ctx, s, proxies, commands.RevealProxyName{Caller: caller, ID: key, Reason: c.Reason}, name)
			}
		} else {
			var found queries.Found
			found, err = queries.Search(ctx, s.Ledger, proxies, q)
			result = view.SearchResultOf(found)
		}
		if err != nil {
			return err
		}
		return c.print(std, q, result)
	})
}

// key is what a reveal can be repeated under.
func (c Search) key() (domain.RevealID, error) {
	if c.Key == "" {
		return domain.RevealID(uuid.NewString()), nil
	}
	return domain.ParseID[domain.RevealID]("--key", c.Key)
}

// reveal looks a proxy name up. Customers are in the result only after the events that say so of all of them are in the log.
func (c Search) reveal(ctx context.Context, s app.Stores, proxies domain.Proxies, command commands.RevealProxyName, name string) (result view.SearchResult, err error) {
	if command.Customers, err = ledger.Named(ctx, s.Ledger, proxies, name); err != nil {
		return result, err
	}
	handler, err := s.Handler()
	if err != nil {
		return result, err
	}
	revealed, err := handler.RevealProxyName(ctx, command)
	if err != nil {
		return result, err
	}
	result.Matches = make([]view.Match, len(revealed.Customers))
	for i, customer := range revealed.Customers {
		result.Matches[i] = view.Match{By: view.ByProxyName, CustomerID: customer}
	}
	result.ProxyName = &view.ProxyName{Name: name, Customers: len(revealed.Customers)}
	return result, c.CatchUp(ctx, s) // the reveals are in the ledger, too
}

func (c Search) print(std output.Streams, q string, r view.SearchResult) error {
	if c.JSON {
		return output.JSON(std.Out, r)
	}
	// In CSV, words that are no row go to standard error.
	words := std.Out
	if c.CSV {
		words = std.Err
		if err := searchCSV(std.Out, r); err != nil {
			return err
		}
	} else if len(r.Matches) > 0 {
		rows := [][]any{{"FOUND BY", "CUSTOMER", "ORDER", "TIME", "ENTRY"}}
		for _, m := range r.Matches {
			at := "-"
			if m.OccurredAt != nil {
				at = output.UTC(*m.OccurredAt)
			}
			rows = append(rows, []any{m.By, m.CustomerID, output.OrDash(m.OrderID), at, output.OrDash(m.EntryID)})
		}
		if err := output.Table(std.Out, rows...); err != nil {
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
		text = english.Count(uint64(r.ProxyName.Customers), "customer has", "customers have") +
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
