package ledgertest

import (
	"slices"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Upgraded makes sure that a ledger of an earlier version, to which one batch of awards was applied, answers as one of this
// version does but for what was not kept then: correlations, loyalty ids and drawers.
func Upgraded(t *testing.T, l Ledger, applied ledger.Batch) {
	t.Helper()
	var m Model
	if err := m.Apply(applied); err != nil {
		t.Fatal(err)
	}
	for i := range m.entries {
		m.entries[i].Correlation, m.entries[i].Loyalty = "", ""
	}
	clear(m.drawers)
	if err := compare(t.Context(), l, &m); err != nil {
		t.Fatal(err)
	}
}

// Rebuilt folds entries up to a position into a copy, switches to it, and makes sure that the ledger is the same as a new one
// with them.
func Rebuilt(t *testing.T, l Ledger, to domain.Position, entries []ledger.Entry) {
	t.Helper()
	c, err := l.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := ledger.Batch{To: to, Entries: slices.Clone(entries)}
	for i := range b.Entries {
		b.Entries[i].Correlation, b.Entries[i].Drawer = "request", ledger.DrawerOf(string(b.Entries[i].Customer))
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
