package output

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// JSON prints value as one line of JSON.
func JSON(out io.Writer, value any) error { return json.NewEncoder(out).Encode(value) }

// Table prints rows in columns. The first row is the heading.
func Table(out io.Writer, rows ...[]any) error {
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
