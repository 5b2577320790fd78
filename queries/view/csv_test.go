package view_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

func TestNoCellOfATrailIsAFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[=+\-@\t\r\n'a-c]{0,3}`)
		e := ledger.Entry{
			Kind: ledger.Adjustment, Points: -5, Order: domain.OrderID(text.Draw(t, "order")), Return: domain.ReturnID(text.Draw(t, "return")),
			Loyalty: domain.LoyaltyID(text.Draw(t, "loyalty")), Reason: text.Draw(t, "reason"), Actor: text.Draw(t, "actor"),
			Correlation: text.Draw(t, "correlation"), Stream: text.Draw(t, "stream"), OccurredAt: time.Unix(0, 0),
		}
		row := view.TrailRow(e)
		if len(row) != len(view.TrailColumns()) {
			t.Fatalf("%d cells under %d columns", len(row), len(view.TrailColumns()))
		}
		for i, cell := range row {
			number := slices.Contains([]string{"points", "total", "amount"}, view.TrailColumns()[i])
			if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) && !number {
				t.Errorf("%s is %q", view.TrailColumns()[i], cell)
			}
		}
	})
}

// The columns of a file are the fields of the same entry in JSON, its amount in two.
func TestTheColumnsAreTheFields(t *testing.T) {
	e := ledger.Entry{
		EventID: "e", Kind: ledger.Reversal, Points: -1, Total: 2, OccurredAt: time.Unix(0, 0), Position: domain.Position{Commit: 3, Prepare: 3},
		Stream: "order-o", Revision: 3, Order: "o", Return: "r", Loyalty: "l", Amount: domain.Money{Minor: 999, Currency: domain.GBP},
		Channel: domain.Store, Actor: "till-7", Reason: "chipped", Correlation: "c",
	}
	text, err := json.Marshal(view.EntryOf(e))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	fields["currency"] = nil
	for _, column := range view.TrailColumns() {
		if _, has := fields[column]; !has {
			t.Errorf("%s is a column and no field", column)
		}
		delete(fields, column)
	}
	if len(fields) > 0 {
		t.Errorf("these are fields and no columns: %v", fields)
	}
}
