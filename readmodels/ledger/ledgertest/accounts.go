package ledgertest

import (
	"context"
	"errors"
	"fmt"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var accountClauses = []clause{
	{"a customer without entries has a zero account with their id", func(f *fixture) {
		f.add(award(1, "anna", 5))
		account, state, err := f.Account(f.ctx, "bob")
		if err != nil || account != (ledger.Account{Customer: "bob"}) || state != f.model.State() {
			f.Fatalf("%+v in %+v, %v", account, state, err)
		}
	}},

	{"an entry of zero points is in the trail, but enters nobody and moves no ReachedAt", func(f *fixture) {
		f.add(award(1, "anna", 5), award(2, "bob", 0))
		f.add(award(3, "anna", 0), reversal(4, "bob", 0))
		f.equalsModel()
		account, _, err := f.Account(f.ctx, "anna")
		if err != nil || account.ReachedAt != moment(1) || account.Entries != 2 {
			f.Errorf("anna has %+v, %v", account, err)
		}
		account, _, err = f.Account(f.ctx, "bob")
		if err != nil || !account.ReachedAt.IsZero() || account.Entries != 2 {
			f.Errorf("bob has %+v, %v", account, err)
		}
		page, err := f.Trail(f.ctx, "bob", ledger.Filter{}, "", 10)
		if err != nil || len(page.Entries) != 2 {
			f.Errorf("bob's trail has %d entries, %v", len(page.Entries), err)
		}
		accounts, _, err := allAccounts(f.ctx, f)
		if err != nil || len(accounts) != 1 || accounts[0].Customer != "anna" {
			f.Errorf("the accounts are %+v, %v", accounts, err)
		}
	}},

	{"an account that has come back to zero or fallen below is still there", func(f *fixture) {
		f.add(award(1, "anna", 5), reversal(2, "anna", -5), adjustment(3, "bob", -1))
		accounts, _, err := allAccounts(f.ctx, f)
		if err != nil || len(accounts) != 2 || accounts[0].Points != 0 || accounts[0].ReachedAt != moment(2) || accounts[1].Points != -1 {
			f.Fatalf("the accounts are %+v, %v", accounts, err)
		}
	}},

	{"ids that differ in case are different customers", func(f *fixture) {
		f.add(award(1, "anna", 5), award(2, "Anna", 7), award(3, "ANNA", 9))
		f.equalsModel()
	}},

	{"the accounts are as they were at the beginning, or at a position that is told, whatever is written meanwhile", func(f *fixture) {
		f.add(award(1, "anna", 5), award(2, "bob", 5), award(3, "cleo", 5), award(4, "dora", 5))
		r, n := f.reading(), uint64(4)
		r.read(f.ctx, f, f, func(ledger.Account) {
			// Every customer but one, seen or not, changes, one is forgotten, and a new one comes.
			f.add(award(n+1, "anna", 100), award(n+2, "bob", 100), award(n+3, "cleo", 100), award(n+4, domain.CustomerID(fmt.Sprint("zoe-", n)), 100))
			r.remember(f.model)
			f.did(did(n+5, ledger.Forgotten, "bob"))
			r.remember(f.model)
			n += 5
		})
		f.equalsModel()
	}},

	{"a stream of accounts stops at the first error, which comes back", func(f *fixture) {
		f.add(award(1, "anna", 5), award(2, "bob", 5))
		enough, calls := errors.New("enough"), 0
		_, err := f.Accounts(f.ctx, ledger.InTurn(func(ledger.Account, domain.Position) error {
			calls++
			return enough
		}))
		if !errors.Is(err, enough) || calls != 1 {
			f.Fatalf("%d calls, %v", calls, err)
		}
		f.equalsModel()
	}},

	{"a stream of accounts ends with its context", func(f *fixture) {
		var entries []ledger.Entry
		for n := range uint64(2000) {
			entries = append(entries, award(n+1, domain.CustomerID(eventID(n)), 1))
		}
		f.add(entries...)
		ctx, cancel := context.WithCancel(f.ctx)
		defer cancel()
		calls := 0
		_, err := f.Accounts(ctx, ledger.InTurn(func(ledger.Account, domain.Position) error {
			calls++
			cancel()
			return ctx.Err()
		}))
		if !errors.Is(err, context.Canceled) || calls != 1 {
			f.Fatalf("%d calls, %v", calls, err)
		}
		if _, _, err := allAccounts(ctx, f); err == nil {
			f.Fatal("an ended context streams accounts")
		}
	}},
}

// reading is a read of all accounts while a ledger changes: the model at every position that the ledger may have had meanwhile.
type reading struct {
	start ledger.Snapshot
	first map[domain.CustomerID]ledger.Account // at the beginning
	at    map[domain.Position]map[domain.CustomerID]ledger.Account
}

func (f *fixture) reading() *reading { return newReading(f.model) }

func newReading(m Model) *reading {
	r := &reading{start: ledger.Snapshot{Checkpoint: m.at, AsOf: m.state.AsOf}, at: map[domain.Position]map[domain.CustomerID]ledger.Account{}}
	r.remember(m)
	r.first = r.at[m.at.Position]
	return r
}

func (r *reading) remember(m Model) {
	now := map[domain.CustomerID]ledger.Account{}
	for _, a := range m.Accounts() {
		now[a.Customer] = a
	}
	r.at[m.at.Position] = now
}

// read reads all accounts, calls meanwhile after each, and expects that each was at its position what the model has there, and all that were
// there at the beginning.
func (r *reading) read(ctx context.Context, l ledger.Reader, f failing, meanwhile func(ledger.Account)) {
	seen := map[domain.CustomerID]bool{}
	start, err := l.Accounts(ctx, ledger.InTurn(func(got ledger.Account, at domain.Position) error {
		if at == (domain.Position{}) {
			at = r.start.Position
		}
		if want, known := r.at[at][got.Customer]; !known || got != want || seen[got.Customer] {
			f.Fatalf("at %s there is %+v, seen before: %t; want %+v", at, got, seen[got.Customer], want)
		}
		seen[got.Customer] = true
		meanwhile(got)
		return nil
	}))
	if err != nil || start != r.start {
		f.Fatalf("it begins at %+v, %v; want %+v", start, err, r.start)
	}
	for customer := range r.first {
		if !seen[customer] {
			f.Fatalf("%s is left out", customer)
		}
	}
}

type failing interface{ Fatalf(string, ...any) }

// unavailable expects domain.ErrUnavailable from every method of a closed ledger.
func (f *fixture) unavailable() {
	f.Helper()
	for name, call := range map[string]func() error{
		"Account":     func() error { _, _, err := f.Account(f.ctx, "anna"); return err },
		"Trail":       func() error { _, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", 1); return err },
		"Entry":       func() error { _, err := f.Entry(f.ctx, "anna", eventID(1)); return err },
		"Search":      func() error { _, err := f.Search(f.ctx, "anna"); return err },
		"Bucket":      func() error { _, err := f.Bucket(f.ctx, 1); return err },
		"AuditLog":    func() error { _, err := f.AuditLog(f.ctx, ledger.AuditFilter{}, "", 1); return err },
		"Wait":        func() error { return f.Wait(f.ctx, at(1000)) },
		"Accounts":    func() error { _, _, err := allAccounts(f.ctx, f); return err },
		"Checkpoint":  func() error { _, err := f.Checkpoint(f.ctx); return err },
		"Apply":       func() error { return f.Apply(f.ctx, f.batch(award(1000, "anna", 1))) },
		"Outstanding": func() error { _, err := f.Outstanding(f.ctx); return err },
	} {
		if err := call(); !errors.Is(err, domain.ErrUnavailable) {
			f.Errorf("%s gives %v", name, err)
		}
	}
}
