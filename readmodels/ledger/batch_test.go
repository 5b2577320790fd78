package ledger

import (
	"errors"
	"math"
	"testing"
	"time"

	"loyalty/domain"
)

func at(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }

func entry(n uint64, customer domain.CustomerID, points domain.Points) Entry {
	return Entry{
		EventID: "5f0c6f4e-8a57-5c0e-9d6e-0123456789ab", Customer: customer, Kind: Award, Points: points,
		OccurredAt: time.Unix(int64(n), 0).UTC(), Position: at(n), Stream: "order-a", Revision: 1,
	}
}

func TestABatchIsRefusedWhen(t *testing.T) {
	with := func(change func(*Entry)) Batch {
		e := entry(5, "anna", 1)
		change(&e)
		return Batch{From: at(1), To: at(9), Entries: []Entry{e}}
	}
	if err := with(func(*Entry) {}).Check(); err != nil {
		t.Fatalf("the batch that the others are made from: %v", err)
	}
	for name, b := range map[string]Batch{
		"it leads back":                      {From: at(9), To: at(8)},
		"its end is no log's":                {To: at(math.MaxUint64)},
		"an entry stands at its start":       {From: at(5), To: at(9), Entries: []Entry{entry(5, "anna", 1)}},
		"an entry stands after its end":      {From: at(1), To: at(4), Entries: []Entry{entry(5, "anna", 1)}},
		"two entries stand at one place":     {To: at(9), Entries: []Entry{entry(5, "anna", 1), entry(5, "bob", 1)}},
		"entries are out of order":           {To: at(9), Entries: []Entry{entry(5, "anna", 1), entry(4, "anna", 1)}},
		"an event id is missing":             with(func(e *Entry) { e.EventID = "" }),
		"an event id is no UUID":             with(func(e *Entry) { e.EventID = "order-a" }),
		"an event id is in another spelling": with(func(e *Entry) { e.EventID = "5F0C6F4E-8A57-5C0E-9D6E-0123456789AB" }),
		"a customer is missing":              with(func(e *Entry) { e.Customer = "" }),
		"a kind is unknown":                  with(func(e *Entry) { e.Kind = "gift" }),
		"a revision is no log's":             with(func(e *Entry) { e.Revision = math.MaxUint64 }),
	} {
		t.Run(name, func(t *testing.T) {
			if b.Check() == nil {
				t.Error("it is accepted")
			}
		})
	}
}

func TestFoldAddsUpInOrder(t *testing.T) {
	b := Batch{To: at(9), Entries: []Entry{entry(1, "anna", 5), entry(2, "bob", 0), entry(3, "anna", -7), entry(4, "anna", 0)}}
	accounts := map[domain.CustomerID]Account{"bob": {Customer: "bob", Points: 3, ReachedAt: time.Unix(0, 0).UTC(), Entries: 1}}
	totals, err := b.Fold(accounts)
	if err != nil {
		t.Fatal(err)
	}
	if want := []domain.Points{5, 3, -2, -2}; len(totals) != 4 || [4]domain.Points(totals) != [4]domain.Points(want) {
		t.Errorf("the totals are %v, want %v", totals, want)
	}
	if want := (Account{Customer: "anna", Points: -2, ReachedAt: time.Unix(3, 0).UTC(), Entries: 3}); accounts["anna"] != want {
		t.Errorf("anna has %+v, want %+v", accounts["anna"], want)
	}
	if want := (Account{Customer: "bob", Points: 3, ReachedAt: time.Unix(0, 0).UTC(), Entries: 2}); accounts["bob"] != want {
		t.Errorf("bob has %+v, want %+v", accounts["bob"], want)
	}
	if got := b.Customers(); len(got) != 2 || got[0] != "anna" || got[1] != "bob" {
		t.Errorf("the customers are %v", got)
	}
}

func TestFoldStopsAtTheLimit(t *testing.T) {
	for _, sign := range []domain.Points{1, -1} {
		b := Batch{To: at(9), Entries: []Entry{entry(1, "anna", sign*domain.MaxTotal), entry(2, "anna", sign), entry(3, "anna", -sign)}}
		if _, err := b.Fold(map[domain.CustomerID]Account{}); !errors.Is(err, domain.ErrPointsLimit) {
			t.Errorf("a total beyond %d gives %v", sign*domain.MaxTotal, err)
		}
	}
}
