package ledgertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var filterClauses = []clause{
	{"a filter lets through what matches all of it, with the totals of the whole trail", func(f *fixture) {
		f.variety(60)
		for name, c := range map[string]struct {
			filter ledger.Filter
			want   int
		}{
			"none":                    {ledger.Filter{}, 60},
			"a kind":                  {ledger.Filter{Kinds: []ledger.Kind{ledger.Reversal}}, 15},
			"two kinds":               {ledger.Filter{Kinds: []ledger.Kind{ledger.Reversal, ledger.Adjustment}}, 30},
			"every kind":              {ledger.Filter{Kinds: []ledger.Kind{ledger.Adjustment, ledger.Reversal, ledger.Award}}, 60},
			"a channel":               {ledger.Filter{Channel: domain.Website}, 15},
			"a channel without any":   {ledger.Filter{Channel: domain.Mobile}, 0},
			"an order":                {ledger.Filter{Order: "order_5"}, 2},
			"an order of another":     {ledger.Filter{Order: "order_1001"}, 0},
			"a date from":             {ledger.Filter{From: moment(51)}, 10},
			"a date until":            {ledger.Filter{Until: moment(51)}, 50},
			"one moment":              {ledger.Filter{From: moment(20), Until: moment(21)}, 1},
			"a time turned around":    {ledger.Filter{From: moment(21), Until: moment(20)}, 0},
			"a part of a microsecond": {ledger.Filter{From: moment(20).Add(time.Nanosecond), Until: moment(21).Add(time.Nanosecond)}, 1},
			"a place":                 {ledger.Filter{After: at(58)}, 2},
			"a place at the end":      {ledger.Filter{After: at(60)}, 0},
			"all of it":               {ledger.Filter{Kinds: []ledger.Kind{ledger.Award}, Channel: domain.Store, From: moment(2), Until: moment(50), After: at(9), Order: "order_13"}, 1},
		} {
			want := f.model.Filtered("anna", c.filter)
			if len(want) != c.want {
				f.Fatalf("%s: the model has %d entries, want %d", name, len(want), c.want)
			}
			for _, limit := range []int{1, 7, ledger.MaxPage} {
				var got []ledger.Entry
				for page, err := range ledger.Pages(f.ctx, f, "anna", c.filter, limit) {
					if err != nil || page.Account != f.model.Account("anna") || page.State != f.model.State() {
						f.Fatalf("%s: %+v in %+v, %v", name, page.Account, page.State, err)
					}
					got = append(got, page.Entries...)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					f.Errorf("%s, in pages of %d (-want +got):\n%s", name, limit, diff)
				}
			}
		}
	}},

	{"a cursor of another filter is invalid, and one of the same filter in other words is not", func(f *fixture) {
		f.variety(40)
		given := ledger.Filter{Kinds: []ledger.Kind{ledger.Award, ledger.Reversal}, Channel: domain.Store, From: moment(1)}
		page, err := f.Trail(f.ctx, "anna", given, "", 2)
		if err != nil || page.Next == "" {
			f.Fatalf("next %q, %v", page.Next, err)
		}
		same := given
		same.Kinds, same.From = []ledger.Kind{ledger.Reversal, ledger.Award, ledger.Reversal}, given.From.In(time.FixedZone("summer", 3600))
		if _, err := f.Trail(f.ctx, "anna", same, page.Next, 2); err != nil {
			f.Errorf("the same filter: %v", err)
		}
		for name, change := range map[string]func(*ledger.Filter){
			"no filter":        func(other *ledger.Filter) { *other = ledger.Filter{} },
			"other kinds":      func(other *ledger.Filter) { other.Kinds = other.Kinds[:1] },
			"another channel":  func(other *ledger.Filter) { other.Channel = domain.Website },
			"an order":         func(other *ledger.Filter) { other.Order = "order_1" },
			"another start":    func(other *ledger.Filter) { other.From = moment(2) },
			"an end":           func(other *ledger.Filter) { other.Until = moment(30) },
			"start for an end": func(other *ledger.Filter) { other.From, other.Until = other.Until, other.From },
			"a place":          func(other *ledger.Filter) { other.After = at(1) },
		} {
			other := given
			if change(&other); !f.refuses("anna", other, page.Next) {
				f.Errorf("%s: the cursor is accepted", name)
			}
		}
		if !f.refuses("bob", given, page.Next) {
			f.Error("another customer's cursor is accepted")
		}
	}},

	{"pages of a filter hold what there was with the first, whatever arrives between them", func(f *fixture) {
		f.variety(40)
		filter := ledger.Filter{Kinds: []ledger.Kind{ledger.Award}}
		want, next := f.model.Filtered("anna", filter), uint64(5000)
		var got []ledger.Entry
		for page, err := range ledger.Pages(f.ctx, f, "anna", filter, 3) {
			if err != nil {
				f.Fatal(err)
			}
			got = append(got, page.Entries...)
			f.add(award(next, "anna", 1), award(next+1, "bob", 1))
			next += 2
		}
		if diff := cmp.Diff(want, got); diff != "" {
			f.Fatalf("(-want +got):\n%s", diff)
		}
	}},

	{"pages end at the first error, and where the reader stops", func(f *fixture) {
		f.variety(20)
		read := 0
		for _, err := range ledger.Pages(f.ctx, f, "anna", ledger.Filter{}, 2) {
			if read++; err != nil || read == 3 {
				break
			}
		}
		if read != 3 {
			f.Errorf("%d pages were read, want 3", read)
		}
		read = 0
		for page, err := range ledger.Pages(f.ctx, f, "anna", ledger.Filter{}, 0) {
			if read++; !invalid(err, "limit", "limit_out_of_range") || len(page.Entries) > 0 {
				f.Errorf("%d entries, %v", len(page.Entries), err)
			}
		}
		if read != 1 {
			f.Errorf("%d pages without a limit", read)
		}
	}},

	{"what changed since a place in the log is what stands after it", func(f *fixture) {
		f.variety(30)
		since := f.model.State().Position
		if page, err := f.Trail(f.ctx, "anna", ledger.Filter{After: since}, "", 10); err != nil || len(page.Entries) != 0 || page.Next != "" {
			f.Fatalf("%d entries, next %q, %v", len(page.Entries), page.Next, err)
		}
		f.add(award(2000, "anna", 7), award(2001, "bob", 3), reversal(2002, "anna", -2))
		page, err := f.Trail(f.ctx, "anna", ledger.Filter{After: since}, "", 10)
		if diff := cmp.Diff(f.model.Entries("anna")[:2], page.Entries); err != nil || diff != "" || page.Next != "" {
			f.Fatalf("next %q, %v (-want +got):\n%s", page.Next, err, diff)
		}
	}},
}

// refuses reports whether a cursor is invalid for a customer and filter.
func (f *fixture) refuses(customer domain.CustomerID, filter ledger.Filter, cursor string) bool {
	page, err := f.Trail(f.ctx, customer, filter, cursor, 2)
	return invalid(err, "cursor", "cursor_invalid") && len(page.Entries) == 0
}

// variety adds n entries of anna's, of every kind by turns, with an order's reversal two entries after its award, and then as many of bob's.
func (f *fixture) variety(n uint64) {
	f.Helper()
	var all []ledger.Entry
	for _, c := range []struct {
		customer domain.CustomerID
		after    uint64
	}{{"anna", 0}, {"bob", 1000}} {
		for i := c.after + 1; i <= c.after+n; i++ {
			switch i % 4 {
			case 1, 2:
				all = append(all, award(i, c.customer, 5))
			case 3:
				e := reversal(i, c.customer, -2)
				e.Order = domain.OrderID(fmt.Sprintf("order_%d", i-2))
				all = append(all, e)
			default:
				all = append(all, adjustment(i, c.customer, 1))
			}
		}
	}
	for some := range slices.Chunk(all, 11) {
		f.add(some...)
	}
}
