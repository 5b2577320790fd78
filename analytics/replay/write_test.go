package replay_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/parquet-go/parquet-go"

	"loyalty/analytics/replay"
)

func TestTheLeaderboardIsWrittenWhole(t *testing.T) {
	s := openShop(t)
	s.busy(300)
	for _, both := range []bool{false, true} {
		o := replay.Options{}
		if both {
			o.Policy = policy(t, "id: dear\nspendPerPoint: {GBP: 90000}")
		}
		board := fold(t, s, o).Board(proxies(t))
		var want [][]string
		text := func(n int64, none bool) string {
			if none {
				return ""
			}
			return strconv.FormatInt(n, 10)
		}
		for _, r := range board {
			row := []string{text(r.Rank, r.Rank == 0), r.Name(), text(r.Points, false)}
			if both {
				row = append(row, text(r.OtherRank, r.OtherRank == 0), text(r.OtherPoints, false))
			}
			want = append(want, row)
		}
		var asCSV, asParquet bytes.Buffer
		if err := errors.Join(replay.WriteCSV(&asCSV, board, both), replay.WriteParquet(&asParquet, board, both)); err != nil {
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

// cellsOf is what a Parquet file holds, nulls as empty texts.
func cellsOf(t *testing.T, file *parquet.File) (got [][]string) {
	t.Helper()
	for _, group := range file.RowGroups() {
		reading := group.Rows()
		values := make([]parquet.Row, group.NumRows())
		if n, err := reading.ReadRows(values); n != len(values) || (err != nil && !errors.Is(err, io.EOF)) {
			t.Fatal(n, err)
		}
		for _, row := range values {
			var cells []string
			for _, v := range row {
				if v.IsNull() {
					cells = append(cells, "")
				} else {
					cells = append(cells, v.String())
				}
			}
			got = append(got, cells)
		}
		if err := reading.Close(); err != nil {
			t.Error(err)
		}
	}
	return got
}

func TestAFileHasItsNameOnlyWhenItIsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ranks.csv")
	write := func(text string, err error) error {
		return replay.WriteFile(path, func(out io.Writer) error {
			_, failed := io.WriteString(out, text)
			return errors.Join(failed, err)
		})
	}
	has := func(want string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			if len(entries) != 0 {
				t.Errorf("there is %v", entries)
			}
			return
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != want || len(entries) != 1 {
			t.Errorf("it has %q, %v, and there is %v", text, err, entries)
		}
	}
	if err := write("half", syscall.ENOSPC); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	has("")
	if err := write("whole", nil); err != nil {
		t.Error(err)
	}
	has("whole")
	if err := write("another half", syscall.ENOSPC); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	has("whole")
}
