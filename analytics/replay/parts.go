package replay

import (
	"encoding/csv"
	"io"
	"strconv"
)

// part is a Part in Parquet. parts also has the points under the policy that is tried out. The numbers of orders, returns and adjustments
// are the same under both.
type part struct {
	Part        string `parquet:"part"`
	Orders      int64  `parquet:"orders"`
	Returns     int64  `parquet:"returns"`
	Adjustments int64  `parquet:"adjustments"`
	Awarded     int64  `parquet:"awarded"`
	Reversed    int64  `parquet:"reversed"`
	Adjusted    int64  `parquet:"adjusted"`
	Net         int64  `parquet:"net"`
}

type parts struct {
	part
	OtherAwarded  int64 `parquet:"other_awarded"`
	OtherReversed int64 `parquet:"other_reversed"`
	OtherAdjusted int64 `parquet:"other_adjusted"`
	OtherNet      int64 `parquet:"other_net"`
}

func (p *Part) alone() part {
	t := p.Totals
	return part{p.Name, t.Orders, t.Returns, t.Adjustments, t.Awarded, t.Reversed, t.Adjusted, t.Net}
}

func (p *Part) both() parts {
	return parts{p.alone(), p.Other.Awarded, p.Other.Reversed, p.Other.Adjusted, p.Other.Net}
}

// WritePartsParquet writes a breakdown, with the columns part, orders, returns, adjustments, awarded, reversed, adjusted and net. If
// both, it adds other_awarded, other_reversed, other_adjusted and other_net, and every Part must have Other.
func WritePartsParquet(out io.Writer, all []Part, both bool) error {
	if both {
		return writeRows(out, all, (*Part).both)
	}
	return writeRows(out, all, (*Part).alone)
}

// WritePartsCSV writes the columns of WritePartsParquet as CSV, with a header.
func WritePartsCSV(out io.Writer, all []Part, both bool) error {
	w := csv.NewWriter(out)
	cells := []string{"part", "orders", "returns", "adjustments", "awarded", "reversed", "adjusted", "net", "other_awarded", "other_reversed", "other_adjusted", "other_net"}
	if !both {
		cells = cells[:8]
	}
	w.Write(cells) // an error stays until Error
	for i := range all {
		p := all[i].alone()
		numbers := []int64{p.Orders, p.Returns, p.Adjustments, p.Awarded, p.Reversed, p.Adjusted, p.Net}
		if both {
			o := all[i].both()
			numbers = append(numbers, o.OtherAwarded, o.OtherReversed, o.OtherAdjusted, o.OtherNet)
		}
		cells = append(cells[:0], p.Part)
		for _, n := range numbers {
			cells = append(cells, strconv.FormatInt(n, 10))
		}
		w.Write(cells)
	}
	w.Flush()
	return w.Error()
}
