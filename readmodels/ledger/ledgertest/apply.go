package ledgertest

import (
	"context"
	"errors"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var applyClauses = []clause{
	{"a new ledger is empty and at the start of the log", func(f *fixture) {
		f.equalsModel()
		if at, err := f.Checkpoint(f.ctx); err != nil || at != (domain.Checkpoint{}) {
			f.Fatalf("it is at %s, %v", at, err)
		}
	}},

	{"a checkpoint comes back as the last batch gave it, and a batch from any other is refused", func(f *fixture) {
		first := domain.Checkpoint{Position: at(3), Log: "log-1", Last: domain.EventRef{Position: at(1), ID: award(1, "anna", 1).EventID}, Fold: 1, Names: "names-1"}
		second := first
		second.Position, second.Fold = at(5), 2
		f.applied(ledger.Batch{To: first, Entries: []ledger.Entry{award(1, "anna", 1)}})
		for what, spoil := range map[string]func(*domain.Checkpoint){
			"another log":            func(c *domain.Checkpoint) { c.Log = "log-2" },
			"another event":          func(c *domain.Checkpoint) { c.Last.ID = award(2, "anna", 1).EventID },
			"another place of it":    func(c *domain.Checkpoint) { c.Last.Position = at(2) },
			"another fold":           func(c *domain.Checkpoint) { c.Fold = 3 },
			"other names":            func(c *domain.Checkpoint) { c.Names = "names-2" },
			"one that knows nothing": func(c *domain.Checkpoint) { *c = domain.CheckpointAt(c.Position) },
		} {
			from := first
			spoil(&from)
			if err := f.Apply(f.ctx, ledger.Batch{From: from, To: second}); !errors.Is(err, domain.ErrCheckpointMoved) {
				f.Errorf("from %s: got %v, want domain.ErrCheckpointMoved", what, err)
			}
		}
		f.equalsModel()
		f.applied(ledger.Batch{From: first, To: second})
		third := second
		third.Log = "log-2"
		f.applied(ledger.Batch{From: second, To: third})
		f.equalsModel()
	}},

	{"entries add up to the totals, and every field comes back", func(f *fixture) {
		f.add(award(1, "anna", 13), award(2, "bob", 2), reversal(3, "anna", -4), adjustment(4, "bob", 25), adjustment(5, "anna", -20))
		f.equalsModel()
		f.add(award(6, "anna", 1))
		f.equalsModel()
		account, _, err := f.Account(f.ctx, "anna")
		if want := (ledger.Account{Customer: "anna", Points: -10, ReachedAt: moment(6), Entries: 4}); err != nil || account != want {
			f.Fatalf("anna has %+v, %v; want %+v", account, err, want)
		}
	}},

	{"every entry carries the total after it", func(f *fixture) {
		f.add(award(1, "anna", 5), award(2, "anna", 7), reversal(3, "anna", -12))
		f.add(award(4, "anna", 0), award(5, "anna", 3))
		page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", 5)
		if err != nil || len(page.Entries) != 5 {
			f.Fatalf("the trail has %d entries, %v", len(page.Entries), err)
		}
		for i, want := range []domain.Points{3, 0, 0, 12, 5} {
			if got := page.Entries[i].Total; got != want {
				f.Errorf("entry %d, newest first, has the total %d, want %d", i, got, want)
			}
		}
	}},

	{"every entry is a credit to its customer and a debit of the programme", func(f *fixture) {
		f.add(award(1, "anna", 100), award(2, "bob", 50), reversal(3, "anna", -30), adjustment(4, "cleo", -500))
		accounts, _, err := allAccounts(f.ctx, f)
		var sum domain.Points
		for _, a := range accounts {
			sum += a.Points
		}
		outstanding, err2 := f.Outstanding(f.ctx)
		if err != nil || err2 != nil || sum != -380 || outstanding != sum {
			f.Fatalf("the customers hold %d (%v), the programme owes %d (%v)", sum, err, outstanding, err2)
		}
	}},

	{"times come back in UTC, to the microsecond", func(f *fixture) {
		dublin := time.FixedZone("summer", 3600)
		e := award(1, "anna", 1)
		e.OccurredAt = time.Date(2026, 7, 1, 0, 30, 0, 987_654_321, dublin)
		b := f.batch(e)
		b.AsOf = time.Date(2026, 7, 1, 0, 30, 1, 999_999_999, dublin)
		f.applied(b)
		f.equalsModel()
		page, err := f.Trail(f.ctx, "anna", ledger.Filter{}, "", 1)
		if err != nil || len(page.Entries) != 1 {
			f.Fatalf("the trail: %+v, %v", page, err)
		}
		if want := time.Date(2026, 6, 30, 23, 30, 0, 987_654_000, time.UTC); page.Entries[0].OccurredAt != want || page.Account.ReachedAt != want {
			f.Errorf("it occurred at %s, reached at %s; want %s", page.Entries[0].OccurredAt, page.Account.ReachedAt, want)
		}
		if want := time.Date(2026, 6, 30, 23, 30, 1, 999_999_000, time.UTC); page.AsOf != want {
			f.Errorf("as of %s, want %s", page.AsOf, want)
		}
	}},

	{"a batch without entries moves the checkpoint and AsOf only", func(f *fixture) {
		f.add(award(1, "anna", 5))
		f.applied(ledger.Batch{From: domain.CheckpointAt(at(1)), To: domain.CheckpointAt(at(900)), AsOf: moment(900)})
		f.equalsModel()
		f.applied(ledger.Batch{From: domain.CheckpointAt(at(900)), To: domain.CheckpointAt(at(900)), AsOf: moment(901)})
		f.equalsModel()
	}},

	{"AsOf never goes backwards", func(f *fixture) {
		f.applied(ledger.Batch{To: domain.CheckpointAt(at(10)), AsOf: moment(10)})
		f.applied(ledger.Batch{From: domain.CheckpointAt(at(10)), To: domain.CheckpointAt(at(20)), AsOf: moment(5)})
		f.applied(ledger.Batch{From: domain.CheckpointAt(at(20)), To: domain.CheckpointAt(at(30))})
		_, state, err := f.Account(f.ctx, "anna")
		if err != nil || state.AsOf != moment(10) || state.Position != at(30) {
			f.Fatalf("the state is %+v, %v", state, err)
		}
		f.equalsModel()
	}},

	{"a batch delivered again is refused and changes nothing", func(f *fixture) {
		first, second := f.batch(award(1, "anna", 5)), ledger.Batch{From: domain.CheckpointAt(at(1)), To: domain.CheckpointAt(at(2)), AsOf: moment(2), Entries: []ledger.Entry{award(2, "anna", 7)}}
		f.applied(first)
		f.refused(first, domain.ErrCheckpointMoved)
		f.applied(second)
		f.refused(second, domain.ErrCheckpointMoved)
		f.refused(first, domain.ErrCheckpointMoved)
	}},

	{"a batch for a later or neighbouring checkpoint is refused", func(f *fixture) {
		f.add(award(5, "anna", 5))
		for _, from := range []domain.Position{at(6), {Commit: 5, Prepare: 5}, {Commit: 5, Prepare: 3}, {}} {
			f.refused(ledger.Batch{From: domain.CheckpointAt(from), To: domain.CheckpointAt(at(9)), Entries: []ledger.Entry{award(8, "anna", 1)}}, domain.ErrCheckpointMoved)
		}
	}},

	{"a total may be any sum of what events hold", func(f *fixture) {
		// 40 events come to more than 32 bits hold, within a batch and over several.
		var all []ledger.Entry
		for n := range uint64(40) {
			all = append(all, adjustment(2*n+1, "rich", domain.MaxChange), adjustment(2*n+2, "poor", -domain.MaxChange))
		}
		f.add(all[:10]...)
		f.equalsModel()
		f.add(all[10:]...)
		f.equalsModel()
		f.add(reversal(81, "rich", -1), award(82, "poor", domain.MaxChange), award(83, "anna", 1))
		f.equalsModel()
		if account, _, err := f.Account(f.ctx, "rich"); err != nil || account.Points != 40*domain.MaxChange-1 {
			f.Errorf("got %+v, %v", account, err)
		}
	}},

	{"more points than one event holds are refused", func(f *fixture) {
		f.add(award(1, "anna", 1))
		f.refused(f.batch(award(2, "bob", 1), award(3, "anna", domain.MaxChange+1)), nil)
		f.refused(f.batch(award(2, "bob", 1), adjustment(3, "anna", -domain.MaxChange-1)), nil)
	}},

	{"a batch that no log could give is refused", func(f *fixture) {
		f.add(award(5, "anna", 5))
		unknown := award(7, "anna", 1)
		unknown.Kind = "gift"
		f.refused(ledger.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(4))}, nil)
		f.refused(ledger.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(9)), Entries: []ledger.Entry{award(5, "bob", 1)}}, nil)
		f.refused(ledger.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(9)), Entries: []ledger.Entry{award(10, "bob", 1)}}, nil)
		f.refused(ledger.Batch{From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(9)), Entries: []ledger.Entry{award(8, "bob", 1), award(7, "bob", 1)}}, nil)
		f.refused(f.batch(unknown), nil)
	}},

	{"a batch whose context has ended leaves no trace", func(f *fixture) {
		f.add(award(1, "anna", 5))
		ended, cancel := context.WithCancel(f.ctx)
		cancel()
		if err := f.Apply(ended, f.batch(award(2, "anna", 1))); err == nil {
			f.Fatal("it was applied")
		}
		f.equalsModel()
	}},

	{"a large batch is one batch", func(f *fixture) {
		var entries []ledger.Entry
		for n := range uint64(1234) {
			entries = append(entries, award(n+1, domain.CustomerID([]string{"anna", "bob", "cleo"}[n%3]), domain.Points(n%5)))
		}
		f.add(entries...)
		f.equalsModel()
	}},

	{"opening it again finds everything", func(f *fixture) {
		f.add(award(1, "anna", 13), award(2, "bob", 0), reversal(3, "anna", -4))
		if err := f.Close(); err != nil {
			f.Fatalf("close: %v", err)
		}
		f.Ledger = f.another()
		f.equalsModel()
		f.refused(ledger.Batch{To: domain.CheckpointAt(at(1)), Entries: []ledger.Entry{award(1, "anna", 13)}}, domain.ErrCheckpointMoved)
		f.add(award(4, "bob", 2))
		f.equalsModel()
	}},

	{"a closed ledger is unavailable", func(f *fixture) {
		f.add(award(1, "anna", 13))
		if err := f.Close(); err != nil {
			f.Fatalf("close: %v", err)
		}
		f.unavailable()
	}},
}
