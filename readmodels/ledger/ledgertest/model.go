package ledgertest

import (
	"errors"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Model is a ledger in its simplest form: the list of all entries. Every answer goes through all of it, so that it can be
// checked by reading. It shares no code with the adapters. It is for one goroutine.
type Model struct {
	state   ledger.State
	entries []ledger.Entry
}

var errDuplicate = errors.New("an event id is in the ledger already")

// Apply does what ledger.Writer says, with the same errors; a duplicate event id is an error of its own.
func (m *Model) Apply(b ledger.Batch) error {
	if b.From != m.state.Position {
		return domain.ErrCheckpointMoved
	}
	entries := slices.Clone(m.entries)
	for _, e := range b.Entries {
		e.Total = e.Points
		for _, earlier := range entries {
			if earlier.EventID == e.EventID {
				return errDuplicate
			}
			if earlier.Customer == e.Customer {
				e.Total += earlier.Points
			}
		}
		if e.Total > domain.MaxTotal || e.Total < -domain.MaxTotal {
			return domain.ErrPointsLimit
		}
		e.OccurredAt = e.OccurredAt.UTC().Truncate(time.Microsecond)
		entries = append(entries, e)
	}
	m.entries, m.state.Position = entries, b.To
	if asOf := b.AsOf.UTC().Truncate(time.Microsecond); asOf.After(m.state.AsOf) {
		m.state.AsOf = asOf
	}
	return nil
}

// State is what the model reflects.
func (m *Model) State() ledger.State { return m.state }

// Account is a customer's total, zero but for the id where there are no entries.
func (m *Model) Account(customer domain.CustomerID) ledger.Account {
	account := ledger.Account{Customer: customer}
	for _, e := range m.entries {
		if e.Customer != customer {
			continue
		}
		account.Points += e.Points
		account.Entries++
		if e.Points != 0 {
			account.ReachedAt = e.OccurredAt
		}
	}
	return account
}

// Entries is a customer's trail, newest first, with the running totals.
func (m *Model) Entries(customer domain.CustomerID) []ledger.Entry {
	var trail []ledger.Entry
	for _, e := range m.entries {
		if e.Customer == customer {
			trail = append(trail, e)
		}
	}
	slices.Reverse(trail)
	return trail
}

// Customers lists everybody with an entry, sorted.
func (m *Model) Customers() []domain.CustomerID {
	var all []domain.CustomerID
	for _, e := range m.entries {
		all = append(all, e.Customer)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Accounts lists every account whose total has ever changed, sorted by customer.
func (m *Model) Accounts() []ledger.Account {
	var all []ledger.Account
	for _, customer := range m.Customers() {
		changed := func(e ledger.Entry) bool { return e.Customer == customer && e.Points != 0 }
		if slices.ContainsFunc(m.entries, changed) {
			all = append(all, m.Account(customer))
		}
	}
	return all
}

// Outstanding is the sum of all points ever given and taken.
func (m *Model) Outstanding() domain.Points {
	var sum domain.Points
	for _, e := range m.entries {
		sum += e.Points
	}
	return sum
}
