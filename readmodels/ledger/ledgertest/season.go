package ledgertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Within lists the accounts of a ledger with only the entries of a range of time, and all forgotten customers, sorted by customer.
func (m *Model) Within(from, until time.Time) []ledger.Account {
	season := Model{}
	for _, e := range m.entries {
		if !e.OccurredAt.Before(from.Truncate(time.Microsecond)) && e.OccurredAt.Before(until.Truncate(time.Microsecond)) {
			season.entries = append(season.entries, e)
		}
	}
	all := season.Accounts()
	for _, account := range m.Accounts() {
		if !account.Forgotten {
			continue
		}
		at, known := slices.BinarySearchFunc(all, account.Customer, func(a ledger.Account, c domain.CustomerID) int { return cmp.Compare(a.Customer, c) })
		if !known {
			all = slices.Insert(all, at, ledger.Account{Customer: account.Customer})
		}
		all[at].Forgotten = true
	}
	return all
}

// compareSeason compares the accounts of a range of time with the model's.
func compareSeason(ctx context.Context, l Ledger, m *Model, from, until time.Time) error {
	var all []ledger.Account
	state, err := ledger.Season{Ledger: l, From: from, Until: until}.Accounts(ctx, ledger.InTurn(func(a ledger.Account, _ domain.Position) error {
		all = append(all, a)
		return nil
	}))
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b ledger.Account) int { return cmp.Compare(a.Customer, b.Customer) })
	if diff := gocmp.Diff(m.Within(from, until), all); diff != "" {
		return fmt.Errorf("the accounts from %s until %s differ (-want +got):\n%s", from, until, diff)
	}
	if diff := gocmp.Diff(ledger.Snapshot{Checkpoint: m.at, AsOf: m.state.AsOf}, state); diff != "" {
		return fmt.Errorf("the state with them differs (-want +got):\n%s", diff)
	}
	return nil
}

// compareSeasons compares those of all time, and of times around some of the entries.
func compareSeasons(ctx context.Context, l Ledger, m *Model) error {
	errs := []error{compareSeason(ctx, l, m, time.Unix(0, 0), time.Unix(1<<33, 0))}
	for i := 0; i < len(m.entries); i += 1 + len(m.entries)/3 {
		from := m.entries[i].OccurredAt
		errs = append(errs, compareSeason(ctx, l, m, from, from.Add(3*time.Hour)), compareSeason(ctx, l, m, from.AddDate(0, -1, 0), from))
	}
	return errors.Join(errs...)
}

var seasonClauses = []clause{
	{"a season adds up the entries from its first microsecond on and before its last", func(f *fixture) {
		from, until := moment(1000), moment(2000)
		entries := []ledger.Entry{
			award(1, "anna", 1), award(2, "anna", 10), award(3, "bob", 100), award(4, "anna", 1000), award(5, "cleo", 10000),
		}
		for i, occurred := range []time.Time{from.Add(-time.Microsecond), from, until.Add(-time.Microsecond), until.Add(-time.Nanosecond), until} {
			entries[i].OccurredAt = occurred
		}
		f.add(entries...)
		if err := compareSeason(f.ctx, f, &f.model, from, until); err != nil {
			f.Fatal(err)
		}
		within := f.model.Within(from, until)
		if len(within) != 2 || within[0].Points != 1010 || within[1].Points != 100 {
			f.Fatalf("the model has %+v", within)
		}
	}},

	{"a total of a season was reached when the entry occurred that stands last in the log", func(f *fixture) {
		late, early := award(1, "anna", 1), award(2, "anna", 2)
		late.OccurredAt, early.OccurredAt = moment(1500), moment(1200)
		f.add(late, early)
		if err := compareSeason(f.ctx, f, &f.model, moment(1000), moment(2000)); err != nil {
			f.Fatal(err)
		}
		if within := f.model.Within(moment(1000), moment(2000)); within[0].ReachedAt != moment(1200) {
			f.Fatalf("the model has %+v", within)
		}
	}},

	{"who came to zero in a season is in it, and who has nothing but entries of zero points is not", func(f *fixture) {
		f.add(award(1, "anna", 5), reversal(2, "anna", -5), award(3, "anna", 0), award(4, "bob", 0))
		if err := compareSeason(f.ctx, f, &f.model, moment(0), moment(100)); err != nil {
			f.Fatal(err)
		}
		if within := f.model.Within(moment(0), moment(100)); len(within) != 1 || within[0].Entries != 3 {
			f.Fatalf("the model has %+v", within)
		}
	}},

	{"a month, a quarter and any days of them add up, also from entries that came months late", func(f *fixture) {
		var entries []ledger.Entry
		for n, when := range []time.Time{
			time.Date(2026, 1, 31, 23, 59, 59, 999_999_000, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC),
			time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 10, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC),
			time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 31, 23, 0, 0, 0, time.UTC), time.Date(2026, 2, 11, 0, 0, 0, 0, time.UTC),
		} {
			for i, e := range []ledger.Entry{award(uint64(3*n+1), "anna", 1<<n), reversal(uint64(3*n+2), "bob", -domain.Points(n)), adjustment(uint64(3*n+3), "cleo", 0)} {
				e.OccurredAt = when.Add(-time.Duration(i*n) * time.Hour)
				entries = append(entries, e)
			}
		}
		f.add(entries[:8]...)
		f.add(entries[8:]...)
		f.equalsModel()
		for _, from := range []time.Time{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 1000, time.UTC)} {
			for _, until := range []time.Time{from.AddDate(0, 0, 1), from.AddDate(0, 1, 0), from.AddDate(0, 3, 0), from.AddDate(0, 2, 9), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)} {
				if err := compareSeason(f.ctx, f, &f.model, from, until); err != nil {
					f.Fatal(err)
				}
			}
		}
	}},

	{"a season that nothing occurred in is empty, and has the ledger's state", func(f *fixture) {
		f.add(award(1, "anna", 5))
		if err := compareSeason(f.ctx, f, &f.model, moment(1).AddDate(3, 0, 0), moment(1).AddDate(4, 0, 0)); err != nil {
			f.Fatal(err)
		}
	}},

	{"a stream of a season's accounts stops at the first error, which comes back", func(f *fixture) {
		f.add(award(1, "anna", 5), award(2, "bob", 5))
		enough, calls := errors.New("enough"), 0
		_, err := f.AccountsWithin(f.ctx, moment(0), moment(100), func(ledger.Piece) error {
			calls++
			return enough
		})
		if !errors.Is(err, enough) || calls != 1 {
			f.Fatalf("%d calls, %v", calls, err)
		}
	}},
}
