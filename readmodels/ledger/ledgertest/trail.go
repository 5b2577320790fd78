package ledgertest

import (
	"errors"
	"slices"

	"github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var trailClauses = []clause{
	{"a customer without entries has an empty trail", func(f *fixture) {
		f.add(award(1, "anna", 5))
		page, err := f.Trail(f.ctx, "bob", ledger.Filter{}, "", 10)
		want := ledger.Trail{Account: ledger.Account{Customer: "bob"}, State: f.model.State()}
		if diff := cmp.Diff(want, page); err != nil || diff != "" {
			f.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	}},

	{"a trail is its customer's alone, newest first", func(f *fixture) {
		f.byTurns(30)
		page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", 30)
		if err != nil {
			f.Fatal(err)
		}
		if diff := cmp.Diff(f.model.Entries("anna"), page.Entries); diff != "" || page.Next != "" {
			f.Fatalf("next %q (-want +got):\n%s", page.Next, diff)
		}
	}},

	{"the first page of a trail and the account beside it agree", func(f *fixture) {
		f.byTurns(30)
		page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", 3)
		if err != nil || len(page.Entries) != 3 {
			f.Fatalf("%d entries, %v", len(page.Entries), err)
		}
		if page.Account != f.model.Account("anna") || page.Account.Points != page.Entries[0].Total || page.State != f.model.State() {
			f.Fatalf("the account is %+v in %+v, the newest entry's total %d", page.Account, page.State, page.Entries[0].Total)
		}
	}},

	{"pages of every size make up the whole trail", func(f *fixture) {
		f.byTurns(40)
		for _, limit := range []int{1, 2, 3, 19, 20, 21, ledger.MaxPage} {
			got, err := wholeTrail(f.ctx, f, "anna", limit)
			if diff := cmp.Diff(f.model.Entries("anna"), got); err != nil || diff != "" {
				f.Fatalf("in pages of %d: %v (-want +got):\n%s", limit, err, diff)
			}
		}
	}},

	{"the last page leads nowhere, even when it is full", func(f *fixture) {
		f.byTurns(20)
		page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", 10)
		if err != nil || len(page.Entries) != 10 || page.Next != "" {
			f.Fatalf("a page of all %d entries leads to %q, %v", len(page.Entries), page.Next, err)
		}
	}},

	{"entries that arrive between two pages move nothing in them", func(f *fixture) {
		f.byTurns(20)
		want := f.model.Entries("anna")
		var got []ledger.Entry
		for cursor, n := "", uint64(100); ; n += 2 {
			page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, cursor, 3)
			if err != nil {
				f.Fatal(err)
			}
			got = append(got, page.Entries...)
			if page.Account != f.model.Account("anna") || page.State != f.model.State() {
				f.Errorf("a later page came with the account %+v in %+v", page.Account, page.State)
			}
			if cursor = page.Next; cursor == "" {
				break
			}
			f.add(award(n, "anna", 1), award(n+1, "bob", 1))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			f.Fatalf("(-want +got):\n%s", diff)
		}
	}},

	{"a cursor outlives the ledger's closing, and a ledger folded again", func(f *fixture) {
		f.byTurns(20)
		page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", 4)
		if err != nil {
			f.Fatal(err)
		}
		want := f.model.Entries("anna")[4:]
		if err := f.Close(); err != nil {
			f.Fatal(err)
		}
		f.Ledger = f.another()
		again, err := f.Trail(f.ctx, "anna", ledger.Filter{}, page.Next, 100)
		if diff := cmp.Diff(want, again.Entries); err != nil || diff != "" {
			f.Fatalf("reopened: %v (-want +got):\n%s", err, diff)
		}
		folded := given(f.T, f.place)
		folded.byTurns(20)
		again, err = folded.Trail(f.ctx, "anna", ledger.Filter{}, page.Next, 100)
		if diff := cmp.Diff(want, again.Entries); err != nil || diff != "" {
			f.Fatalf("folded again: %v (-want +got):\n%s", err, diff)
		}
		partly := given(f.T, f.place)
		partly.byTurns(9)
		again, err = partly.Trail(f.ctx, "anna", ledger.Filter{}, page.Next, 100)
		if diff := cmp.Diff(partly.model.Entries("anna"), again.Entries); err != nil || diff != "" {
			f.Fatalf("folded again as far as before the cursor: %v (-want +got):\n%s", err, diff)
		}
	}},

	{"positions with the same commit part are told apart", func(f *fixture) {
		for i := range uint64(6) {
			e := award(10+i, "anna", 1)
			e.Position = domain.Position{Commit: 10 + i/3, Prepare: 1 + i%3}
			f.add(e)
		}
		got, err := wholeTrail(f.ctx, f, "anna", 1)
		if diff := cmp.Diff(f.model.Entries("anna"), got); err != nil || diff != "" {
			f.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	}},

	{"a cursor that is another's or none is invalid", func(f *fixture) {
		f.byTurns(20)
		page, err := f.Trail(f.ctx, "bob", ledger.Filter{}, "", 2)
		if err != nil || page.Next == "" {
			f.Fatalf("next %q, %v", page.Next, err)
		}
		for _, cursor := range []string{page.Next, page.Next[1:], page.Next + "x", "0", "%", "é", at(5).String()} {
			if page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, cursor, 2); !invalid(err, "cursor", "cursor_invalid") || len(page.Entries) > 0 {
				f.Errorf("the cursor %q gives %d entries, %v", cursor, len(page.Entries), err)
			}
		}
	}},

	{"a cursor made up for another's entry shows nothing of theirs", func(f *fixture) {
		f.byTurns(20)
		page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, ledger.EncodeCursor("anna", ledger.Filter{}, f.model.Entries("bob")[2].Position), 100)
		if err != nil && !errors.Is(err, domain.ErrInvalid) {
			f.Fatal(err)
		}
		for _, e := range page.Entries {
			if !slices.Contains(f.model.Entries("anna"), e) {
				f.Errorf("it shows %+v", e)
			}
		}
	}},

	{"a page holds 1 to MaxPage entries", func(f *fixture) {
		var entries []ledger.Entry
		for n := range uint64(ledger.MaxPage + 1) {
			entries = append(entries, award(n+1, "anna", 1))
		}
		f.add(entries...)
		for _, limit := range []int{-1, 0, ledger.MaxPage + 1, 1 << 40} {
			if _, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", limit); !invalid(err, "limit", "limit_out_of_range") {
				f.Errorf("the limit %d gives %v", limit, err)
			}
		}
		for _, limit := range []int{1, ledger.MaxPage} {
			if page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", limit); err != nil || len(page.Entries) != limit || page.Next == "" {
				f.Errorf("the limit %d gives %d entries, next %q, %v", limit, len(page.Entries), page.Next, err)
			}
		}
	}},
}

// byTurns adds n entries, of anna and bob by turns, in batches of up to three.
func (f *fixture) byTurns(n uint64) {
	f.Helper()
	var all []ledger.Entry
	for i := range n {
		all = append(all, award(i+1, []domain.CustomerID{"anna", "bob"}[i%2], domain.Points(i%4)))
	}
	for some := range slices.Chunk(all, 3) {
		f.add(some...)
	}
}
