package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"loyalty/domain"
)

// storeFlags say which system a command works on: that of a data folder, or that of the three connection strings.
type storeFlags struct {
	Data folder `help:"Data folder of loyalty dev, running or not, instead of the connections below." placeholder:"DIR"`
	connections
	proxyFlag
}

// open opens what is wanted. The caller closes it, also after an error.
func (f storeFlags) open(ctx context.Context, want wanted) (stores, error) {
	c := f.connections
	if f.Data != "" {
		if err := f.Data.check(); err != nil {
			return stores{}, err
		}
		c = f.Data.connections()
	}
	if c == (connections{}) {
		return stores{}, usageError{errors.New("which system? Name its data folder with --data, or set LOYALTY_EVENTSTORE, LOYALTY_LEDGER and LOYALTY_LEADERBOARD")}
	}
	return c.openStores(ctx, want, quiet())
}

func (f storeFlags) proxies() (domain.Proxies, error) {
	if f.Data == "" {
		return f.proxyFlag.proxies()
	}
	secret, err := readSecret(f.Data.proxySecret())
	if err != nil {
		return domain.Proxies{}, err
	}
	return domain.NewProxies(secret)
}

// printJSON prints one line for a script.
func printJSON(out io.Writer, value any) error { return json.NewEncoder(out).Encode(value) }

// printTable prints rows in columns, the first of them the heading.
func printTable(out io.Writer, rows ...[]any) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, cell)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
