package ledgertest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Upgraded makes sure that a ledger of an earlier version, to which one batch was applied, answers like one of this version, except for what
// was not stored then: correlations, loyalty ids and buckets. Then it applies the next batch and audit records, and checks the same.
func Upgraded(t *testing.T, l Ledger, applied, next ledger.Batch) {
	t.Helper()
	var m Model
	if err := m.Apply(applied); err != nil {
		t.Fatal(err)
	}
	for i := range m.entries {
		m.entries[i].Correlation, m.entries[i].Loyalty = "", ""
	}
	clear(m.buckets)
	if err := compare(t.Context(), l, &m); err != nil {
		t.Fatal(err)
	}
	next = withAuditRecords(withRiches(next))
	if err := errors.Join(l.Apply(t.Context(), next), m.Apply(next), compare(t.Context(), l, &m)); err != nil {
		t.Fatal(err)
	}
}

// Varied changes at least ten entries: to every kind, every channel and none, times on the hour and between, some long ago, and one entry
// without points and time.
func Varied(entries []ledger.Entry) []ledger.Entry {
	for i := range entries {
		e := &entries[i]
		e.OccurredAt = day.Add(time.Duration(i) * 20 * time.Minute)
		e.Channel = []domain.Channel{domain.Mobile, domain.Store, domain.Website}[i%3]
		switch i % 5 {
		case 1:
			e.Kind, e.Points = ledger.Reversal, -e.Points
		case 2:
			e.Kind, e.Channel, e.Points = ledger.Adjustment, "", e.Points-10
		}
	}
	entries[3].OccurredAt = time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC)
	entries[4].OccurredAt = time.Date(1969, 12, 31, 22, 59, 59, 999_999_000, time.UTC)
	entries[5].OccurredAt, entries[5].Points = time.Time{}, 0
	return entries
}

// withRiches takes the first entry's customer to a total beyond 32 bits, and the last entry's as far below 0. Versions up to 4 of Postgres'
// schema could hold neither.
func withRiches(b ledger.Batch) ledger.Batch {
	n := b.To.Position.Commit
	first, last := b.Entries[0].Customer, b.Entries[len(b.Entries)-1].Customer
	for i := range uint64(20) {
		for k, e := range []ledger.Entry{adjustment(n+2*i+1, first, domain.MaxChange), adjustment(n+2*i+2, last, -domain.MaxChange)} {
			e.Position = domain.Position{Commit: n + 2*i + uint64(k) + 1, Prepare: n + 2*i + uint64(k) + 1}
			b.Entries, b.To = append(b.Entries, e), domain.CheckpointAt(e.Position)
		}
	}
	return b
}

// withAuditRecords adds audit records after the last entry of a batch: an adjustment of the first entry's customer is requested and approved,
// and the last entry's customer is forgotten.
func withAuditRecords(b ledger.Batch) ledger.Batch {
	n := b.To.Position.Commit
	first, last := b.Entries[0].Customer, b.Entries[len(b.Entries)-1].Customer
	for i, a := range []ledger.AuditRecord{did(n+1, ledger.Requested, first), did(n+2, ledger.Approved, first), did(n+3, ledger.Forgotten, last)} {
		a.Position = domain.Position{Commit: n + uint64(i) + 1, Prepare: n + uint64(i) + 1}
		b.AuditRecords, b.To = append(b.AuditRecords, a), domain.CheckpointAt(a.Position)
	}
	return b
}

// Rebuilt folds entries up to a position, and audit records after them, into a copy, switches to it, and makes sure that the ledger equals a new
// one with them.
func Rebuilt(t *testing.T, l Ledger, to domain.Position, entries []ledger.Entry) {
	t.Helper()
	c, err := l.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := withAuditRecords(withRiches(ledger.Batch{To: domain.CheckpointAt(to), Entries: slices.Clone(entries)}))
	for i := range b.Entries {
		b.Entries[i].Correlation, b.Entries[i].Bucket = "request", ledger.BucketOf(string(b.Entries[i].Customer))
	}
	var m Model
	if err := m.Apply(b); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := c.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := compare(t.Context(), l, &m); err != nil {
		t.Fatal(err)
	}
}
