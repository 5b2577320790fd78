package ledger

import (
	"math"
	"slices"
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

func record(n uint64, customer domain.CustomerID) AuditRecord {
	return AuditRecord{EventID: "5f0c6f4e-8a57-5c0e-9d6e-0123456789ab", Kind: Revealed, Customer: customer, OccurredAt: time.Unix(int64(n), 0).UTC(), Position: at(n)}
}

func TestABatchIsRefusedWhen(t *testing.T) {
	with := func(change func(*Entry)) Batch {
		e := entry(5, "anna", 1)
		change(&e)
		return Batch{From: domain.CheckpointAt(at(1)), To: domain.CheckpointAt(at(9)), Entries: []Entry{e}}
	}
	did := func(change func(*AuditRecord)) Batch {
		a := record(6, "anna")
		change(&a)
		return Batch{From: domain.CheckpointAt(at(1)), To: domain.CheckpointAt(at(9)), AuditRecords: []AuditRecord{a}}
	}
	for _, b := range []Batch{with(func(*Entry) {}), did(func(*AuditRecord) {}), {From: domain.CheckpointAt(at(1)), To: domain.CheckpointAt(at(9)), Entries: []Entry{entry(2, "anna", 1), entry(7, "bob", 1)}, AuditRecords: []AuditRecord{record(3, "bob"), record(9, "anna")}}} {
		if err := b.Check(); err != nil {
			t.Fatalf("a batch that the others are made from: %v", err)
		}
	}
	for name, b := range map[string]Batch{
		"it leads back":                              {From: domain.CheckpointAt(at(9)), To: domain.CheckpointAt(at(8))},
		"its end is no log's":                        {To: domain.CheckpointAt(at(math.MaxUint64))},
		"an entry stands at its start":               {From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(9)), Entries: []Entry{entry(5, "anna", 1)}},
		"an entry stands after its end":              {From: domain.CheckpointAt(at(1)), To: domain.CheckpointAt(at(4)), Entries: []Entry{entry(5, "anna", 1)}},
		"two entries stand at one place":             {To: domain.CheckpointAt(at(9)), Entries: []Entry{entry(5, "anna", 1), entry(5, "bob", 1)}},
		"entries are out of order":                   {To: domain.CheckpointAt(at(9)), Entries: []Entry{entry(5, "anna", 1), entry(4, "anna", 1)}},
		"an event id is missing":                     with(func(e *Entry) { e.EventID = "" }),
		"an event id is no UUID":                     with(func(e *Entry) { e.EventID = "order-a" }),
		"an event id is in another spelling":         with(func(e *Entry) { e.EventID = "5F0C6F4E-8A57-5C0E-9D6E-0123456789AB" }),
		"a customer is missing":                      with(func(e *Entry) { e.Customer = "" }),
		"an entry is of too many points":             with(func(e *Entry) { e.Points = domain.MaxChange + 1 }),
		"an entry takes too many points":             with(func(e *Entry) { e.Points = math.MinInt64 }),
		"a bucket is none":                           with(func(e *Entry) { e.Bucket = 4097 }),
		"a kind is unknown":                          with(func(e *Entry) { e.Kind = "gift" }),
		"a revision is no log's":                     with(func(e *Entry) { e.Revision = math.MaxUint64 }),
		"an audit record stands at its start":        {From: domain.CheckpointAt(at(5)), To: domain.CheckpointAt(at(9)), AuditRecords: []AuditRecord{record(5, "anna")}},
		"an audit record stands after its end":       {From: domain.CheckpointAt(at(1)), To: domain.CheckpointAt(at(4)), AuditRecords: []AuditRecord{record(5, "anna")}},
		"audit records are out of order":             {To: domain.CheckpointAt(at(9)), AuditRecords: []AuditRecord{record(5, "anna"), record(4, "anna")}},
		"an audit record stands where an entry does": {To: domain.CheckpointAt(at(9)), Entries: []Entry{entry(4, "anna", 1), entry(5, "anna", 1), entry(7, "bob", 1)}, AuditRecords: []AuditRecord{record(3, "bob"), record(5, "anna")}},
		"an audit record's event id is no UUID":      did(func(a *AuditRecord) { a.EventID = "5F0C6F4E-8A57-5C0E-9D6E-0123456789AB" }),
		"an audit record is nobody's":                did(func(a *AuditRecord) { a.Customer = "" }),
		"an audit record's kind is unknown":          did(func(a *AuditRecord) { a.Kind = "award" }),
		"an audit record was done at no time":        did(func(a *AuditRecord) { a.OccurredAt = time.Time{} }),
		"an audit record is about too many points":   did(func(a *AuditRecord) { a.Points = domain.MaxChange + 1 }),
		"an audit record is about too few points":    did(func(a *AuditRecord) { a.Points = -domain.MaxChange - 1 }),
	} {
		t.Run(name, func(t *testing.T) {
			if b.Check() == nil {
				t.Error("it is accepted")
			}
		})
	}
}

func TestChangesSumABatchUpByCustomer(t *testing.T) {
	b := Batch{To: domain.CheckpointAt(at(9)), Entries: []Entry{entry(1, "bob", 5), entry(2, "anna", 0), entry(3, "bob", -7), entry(4, "bob", 0)}}
	got := b.Changes()
	want := []Change{
		{Customer: "bob", Points: -2, ReachedAt: time.Unix(3, 0).UTC(), Entries: 3, Last: 3},
		{Customer: "anna", Entries: 1, Last: 1},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTotalsAreWorkedOutFromTheEnd(t *testing.T) {
	b := Batch{To: domain.CheckpointAt(at(9)), Entries: []Entry{entry(1, "anna", 5), entry(2, "bob", 0), entry(3, "anna", -7), entry(4, "anna", 0)}}
	got := b.Totals(map[domain.CustomerID]domain.Points{"anna": 98, "bob": 3})
	if want := []domain.Points{105, 3, 98, 98}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
