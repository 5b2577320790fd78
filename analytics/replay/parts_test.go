package replay_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/parquet-go/parquet-go"

	"loyalty/analytics/replay"
)

func TestABreakdownIsWrittenAsItIsReported(t *testing.T) {
	s := openShop(t)
	s.busy(300)
	for _, both := range []bool{false, true} {
		o := replay.Options{By: replay.ByChannel}
		if both {
			o.Policy = policy(t, "id: cheap\nspendPerPoint: {GBP: 100, EUR: 100}")
		}
		h := fold(t, s, o)
		report, err := h.Report(h.Board(proxies(t)), 1)
		if err != nil || len(report.Parts) < 3 {
			t.Fatal(len(report.Parts), err)
		}
		var want [][]string
		for _, p := range report.Parts {
			numbers := []int64{p.Totals.Orders, p.Totals.Returns, p.Totals.Adjustments, p.Totals.Awarded, p.Totals.Reversed, p.Totals.Adjusted, p.Totals.Net}
			if both {
				numbers = append(numbers, p.Other.Awarded, p.Other.Reversed, p.Other.Adjusted, p.Other.Net)
			}
			row := []string{p.Name}
			for _, n := range numbers {
				row = append(row, strconv.FormatInt(n, 10))
			}
			want = append(want, row)
		}
		var asCSV, asParquet bytes.Buffer
		if err := errors.Join(replay.WritePartsCSV(&asCSV, report.Parts, both), replay.WritePartsParquet(&asParquet, report.Parts, both)); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&asCSV).ReadAll()
		if err != nil || fmt.Sprint(rows[1:]) != fmt.Sprint(want) {
			t.Errorf("CSV, both %t: %v\n%v\nwant\n%v", both, err, rows, want)
		}
		file, err := parquet.OpenFile(bytes.NewReader(asParquet.Bytes()), int64(asParquet.Len()))
		if err != nil {
			t.Fatal(err)
		}
		var heading []string
		for _, c := range file.Schema().Columns() {
			heading = append(heading, c[0])
		}
		if fmt.Sprint(heading) != fmt.Sprint(rows[0]) {
			t.Errorf("the columns are %v, want %v", heading, rows[0])
		}
		if got := cellsOf(t, file); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("Parquet, both %t:\n%v\nwant\n%v", both, got, want)
		}
	}
}
