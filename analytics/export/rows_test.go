package export_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"loyalty/analytics/export"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
)

// line is a row of an export: texts, json.Number, and times as text. What the event does not have is not in it.
type line = map[string]any

// filesOf are the files of an export in the order of their names.
func filesOf(t testing.TB, dir string, format export.Format) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*."+string(format)))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readJSON(t testing.TB, dir string) []line {
	t.Helper()
	var lines []line
	for _, name := range filesOf(t, dir, export.JSONLines) {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		decoder := json.NewDecoder(file)
		decoder.UseNumber()
		for {
			var l line
			if err := decoder.Decode(&l); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(name, err)
			}
			lines = append(lines, l)
		}
	}
	return lines
}

// numbers are the columns that hold numbers, whatever the format.
var numbers = []string{
	export.Commit, export.Prepare, export.Revision, export.Amount, export.NetBefore, export.NetAfter, export.Points,
	export.SpendPerPoint, export.Items, export.Requested,
}

func readCSV(t testing.TB, dir string) []line {
	t.Helper()
	var lines []line
	for _, name := range filesOf(t, dir, export.CSV) {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cells, err := csv.NewReader(file).ReadAll()
		if err != nil {
			t.Fatal(name, err)
		}
		if !slices.Equal(cells[0], export.Columns()) {
			t.Errorf("%s begins with %v", name, cells[0])
		}
		for _, row := range cells[1:] {
			l := line{}
			for i, cell := range row {
				switch column := cells[0][i]; {
				case cell == "":
				case slices.Contains(numbers, column):
					l[column] = json.Number(cell)
				default:
					if strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
						t.Errorf("%s: a spreadsheet takes %q for a formula", name, cell)
					}
					l[column] = strings.TrimPrefix(cell, "'")
				}
			}
			lines = append(lines, l)
		}
	}
	return lines
}

func readParquet(t testing.TB, dir string) []line {
	t.Helper()
	var lines []line
	for _, name := range filesOf(t, dir, export.Parquet) {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		opened, err := parquet.OpenFile(file, info.Size())
		if err != nil {
			t.Fatal(name, err)
		}
		var columns []string
		for _, column := range opened.Schema().Columns() {
			columns = append(columns, column[0])
		}
		if !slices.Equal(columns, export.Columns()) {
			t.Errorf("%s has the columns %v", name, columns)
		}
		for _, group := range opened.RowGroups() {
			rows := group.Rows()
			defer rows.Close()
			for buffer := make([]parquet.Row, 100); ; {
				n, err := rows.ReadRows(buffer)
				for _, row := range buffer[:n] {
					lines = append(lines, parquetLine(columns, row))
				}
				if errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(name, err)
				}
			}
		}
	}
	return lines
}

func parquetLine(columns []string, row parquet.Row) line {
	l := line{}
	for _, value := range row {
		switch column := columns[value.Column()]; {
		case value.IsNull():
		case value.Kind() == parquet.ByteArray:
			l[column] = string(value.ByteArray())
		case slices.Contains(numbers, column):
			l[column] = json.Number(strconv.FormatInt(value.Int64(), 10))
		default:
			l[column] = time.UnixMicro(value.Int64()).UTC().Format("2006-01-02T15:04:05.000000Z")
		}
	}
	return l
}

// expected is the row of an event, made from the JSON it is stored as.
func expected(t testing.TB, r eventstore.Recorded) line {
	t.Helper()
	var data struct {
		CustomerID, OrderID, ReturnID, LoyaltyID, Method, Reason, Actor string
		OccurredAt                                                      time.Time
		ItemIDs                                                         []string `json:"itemIds"`
		Points                                                          json.Number
		Paid, Refunded, NetBefore, NetAfter                             *domain.Money
		Policy                                                          *domain.Policy
	}
	var metadata map[string]string
	if err := errors.Join(json.Unmarshal(r.Data, &data), json.Unmarshal(r.Stored, &metadata)); err != nil {
		t.Fatal(err)
	}
	l := line{}
	put := func(column string, value any) {
		if text := fmt.Sprint(value); text != "" {
			if slices.Contains(numbers, column) {
				l[column] = json.Number(text)
			} else {
				l[column] = text
			}
		}
	}
	at := func(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000Z") }
	put(export.Commit, r.Position.Commit)
	put(export.Prepare, r.Position.Prepare)
	put(export.Type, r.Type)
	put(export.Stream, r.Stream)
	put(export.Revision, r.Revision)
	put(export.EventID, r.ID)
	put(export.StoredAt, at(r.Created))
	put(export.OccurredAt, at(data.OccurredAt))
	put(export.CustomerID, data.CustomerID)
	put(export.Channel, metadata["channel"])
	put(export.Actor, metadata["actor"])
	put(export.Actor, data.Actor)
	put(export.OrderID, data.OrderID)
	put(export.ReturnID, data.ReturnID)
	put(export.LoyaltyID, data.LoyaltyID)
	put(export.Method, data.Method)
	put(export.Reason, data.Reason)
	put(export.Correlation, metadata["$correlationId"])
	put(export.Causation, metadata["$causationId"])
	switch r.Type {
	case "points-adjustment-requested.v1", "points-adjustment-approved.v1", "allowance-used.v1":
		put(export.Requested, data.Points)
	case "points-reversed.v1":
		points, err := data.Points.Int64()
		if err != nil {
			t.Fatal(err)
		}
		put(export.Points, -points)
		put(export.NetBefore, data.NetBefore.Minor)
		put(export.NetAfter, data.NetAfter.Minor)
		data.Paid = &domain.Money{Minor: data.NetBefore.Minor - data.NetAfter.Minor, Currency: data.NetBefore.Currency}
	case "order-placed.v1":
		put(export.Items, len(data.ItemIDs))
	default:
		put(export.Points, data.Points)
	}
	if data.Refunded != nil {
		data.Paid = data.Refunded
	}
	if data.Paid != nil {
		put(export.Amount, data.Paid.Minor)
		put(export.Currency, data.Paid.Currency)
	}
	if data.Policy != nil {
		put(export.Policy, data.Policy.ID)
		put(export.SpendPerPoint, data.Policy.SpendPerPoint[data.Paid.Currency])
	}
	return l
}

func TestEveryFormatHasEveryColumnOfEveryEvent(t *testing.T) {
	h := autumn(t)
	about := h.about("-c'\"=,1")
	about.CustomerID = "-dash_1"
	reasons := []string{"=1+1", "+", "-5", "@x", "\tx", "\r\nx", "'quoted'", `said "no", twice`, "line\nbreak", "naïve ☕ \u2028", `back\slash`, "'=x"}
	for i, reason := range reasons {
		h.append("account--dash_1", int64(i)-1, eventstore.Metadata{Actor: "s-1"}, account.PointsAdjusted{About: about, LoyaltyID: "l-1", Points: -3, Reason: reason, Actor: "s-2"})
	}
	h.append("account-gone", -1, eventstore.Metadata{Actor: "s-1"},
		account.CustomerForgotten{About: h.about("gone"), Reason: "asked for it", Actor: "s-1"},
		account.ErasureCertified{About: h.about("gone"), Checks: []account.Check{{Model: "ledger", Position: domain.Position{Commit: 1, Prepare: 1}, Clean: true}}, Actor: "s-1"},
		account.ProxyNameRevealed{About: h.about("gone"), Reason: "a complaint", Actor: "s-1"})
	h.append("allowance-2026-11-22.s-1", -1, eventstore.Metadata{Actor: "s-1"},
		account.AllowanceUsed{About: h.about("-dash_1"), LoyaltyID: "l-9", Points: 3, Actor: "s-1"})
	h.append("view-1", -1, eventstore.Metadata{Actor: "s-1"},
		account.CustomerViewed{About: h.about("-dash_1"), Route: "/loyalty/:userId/trail", Actor: "s-1"})
	var want []line
	seen := map[string]bool{}
	for _, r := range h.all() {
		want = append(want, expected(t, r))
		seen[r.Type] = true
	}
	if types := slices.Sorted(maps.Keys(seen)); !slices.Equal(types, everyType(t)) {
		t.Fatalf("the history has only %v", types)
	}
	for format, read := range map[export.Format]func(testing.TB, string) []line{export.Parquet: readParquet, export.CSV: readCSV, export.JSONLines: readJSON} {
		t.Run(string(format), func(t *testing.T) {
			o := h.options(format)
			h.run(o)
			got, want := read(t, o.Dir), want
			if format == export.CSV { // Go's reader takes \r\n in quotes for \n
				want = slices.Clone(want)
				for i, l := range want {
					if reason, ok := l[export.Reason].(string); ok {
						want[i] = maps.Clone(l)
						want[i][export.Reason] = strings.ReplaceAll(reason, "\r\n", "\n")
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff[:min(len(diff), 3000)])
			}
		})
	}
}
