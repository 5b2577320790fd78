package ledgertest

import (
	"slices"

	gocmp "github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var forgottenClauses = []clause{
	{"who was forgotten is so for ever, and their entries stay and go on adding up", func(f *fixture) {
		f.add(award(1, "anna", 5), award(2, "bob", 7))
		f.did(did(3, ledger.Forgotten, "anna"), did(4, ledger.Certified, "anna"))
		f.equalsModel()
		f.add(reversal(5, "anna", -2), award(6, "bob", 1))
		f.equalsModel()
		page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", 10)
		want := ledger.Account{Customer: "anna", Points: 3, ReachedAt: moment(5), Entries: 2, Forgotten: true}
		if err != nil || page.Account != want || len(page.Entries) != 2 {
			f.Errorf("the trail has %d entries and %+v, %v; want %+v", len(page.Entries), page.Account, err, want)
		}
		if account, _, err := f.Account(f.ctx, "bob"); err != nil || account.Forgotten {
			f.Errorf("bob has %+v, %v", account, err)
		}
		if err := f.Close(); err != nil {
			f.Fatalf("close: %v", err)
		}
		f.Ledger = f.another()
		f.equalsModel()
	}},

	{"somebody may be forgotten before their first entry, and without any", func(f *fixture) {
		f.did(did(1, ledger.Forgotten, "anna"), did(2, ledger.Forgotten, "bob"))
		f.equalsModel()
		accounts, _, err := allAccounts(f.ctx, f)
		want := []ledger.Account{{Customer: "anna", Forgotten: true}, {Customer: "bob", Forgotten: true}}
		if diff := gocmp.Diff(want, accounts); err != nil || diff != "" {
			f.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		if page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", 10); err != nil || page.Account != want[0] || len(page.Entries) > 0 {
			f.Errorf("the trail has %d entries and %+v, %v", len(page.Entries), page.Account, err)
		}
		if found, err := f.Search(f.ctx, "anna"); err != nil || len(found.Matches) > 0 {
			f.Errorf("a search finds %+v, %v", found.Matches, err)
		}
		f.add(award(3, "anna", 0), award(4, "anna", 5), reversal(5, "anna", -1))
		f.equalsModel()
		got, err := wholeTrail(f.ctx, f, "anna", 1)
		if diff := gocmp.Diff(f.model.Entries("anna"), got); err != nil || diff != "" {
			f.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	}},

	{"who was forgotten is among the accounts even if their total never changed", func(f *fixture) {
		f.add(award(1, "anna", 0), award(2, "bob", 0))
		f.did(did(3, ledger.Forgotten, "anna"))
		accounts, _, err := allAccounts(f.ctx, f)
		want := []ledger.Account{{Customer: "anna", Entries: 1, Forgotten: true}}
		if diff := gocmp.Diff(want, accounts); err != nil || diff != "" {
			f.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	}},

	{"who was forgotten leaves their bucket, and nothing puts them back", func(f *fixture) {
		in := func(e ledger.Entry) ledger.Entry { e.Bucket = 7; return e }
		inBucket := func(want ...domain.CustomerID) {
			f.Helper()
			if got, err := sortedBucket(f.ctx, f, 7); err != nil || !slices.Equal(got, want) {
				f.Fatalf("the bucket holds %v, %v; want %v", got, err, want)
			}
			f.equalsModel()
		}
		f.add(in(award(1, "anna", 5)), in(award(2, "bob", 5)))
		inBucket("anna", "bob")
		f.did(did(3, ledger.Forgotten, "anna"), did(4, ledger.Forgotten, "cleo"))
		inBucket("bob")
		f.add(in(award(5, "anna", 1)), in(award(6, "cleo", 1)), in(award(7, "dora", 1)))
		inBucket("bob", "dora")
		// In one batch: first known and then forgotten, and the other way around.
		f.applied(batchAfter(&f.model, []ledger.Entry{in(award(8, "eva", 1)), in(award(11, "finn", 1)), in(award(12, "gus", 1))},
			[]ledger.AuditRecord{did(9, ledger.Forgotten, "eva"), did(10, ledger.Forgotten, "finn")}))
		inBucket("bob", "dora", "gus")
		f.did(did(13, ledger.Forgotten, "bob"), did(14, ledger.Forgotten, "bob"))
		inBucket("dora", "gus")
	}},

	{"audit records, and who was forgotten, go over to a copy", func(f *fixture) {
		f.add(award(1, "anna", 5))
		f.did(did(2, ledger.Requested, "anna"), did(3, ledger.Forgotten, "bob"))
		c := f.copied()
		c.equalsModel()
		c.applied(batchAfter(&c.model, []ledger.Entry{award(1, "anna", 6)},
			[]ledger.AuditRecord{did(2, ledger.Requested, "anna"), did(3, ledger.Requested, "dora"), did(4, ledger.Declined, "dora"), did(5, ledger.Forgotten, "anna")}))
		c.equalsModel()
		f.equalsModel()
		c.switched()
		f.model = c.model
		f.equalsModel()
		// In the copy the request waits that did in the ledger before, and can be decided.
		f.waits(2)
		f.did(did(6, ledger.Approved, "anna"), did(7, ledger.Forgotten, "dora"))
		f.waits()
		if got, err := wholeAuditLog(f.ctx, f.another(), &f.model, ledger.AuditFilter{}, 2); err != nil || len(got) != 6 {
			f.Errorf("in a handle opened later: %d audit records, %v", len(got), err)
		}
	}},
}
