package ledgertest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Model is the simplest possible ledger: the lists of all entries and audit records, which every query reads completely. Its code is meant to be
// obviously right, and shares nothing with the adapters. It is not safe for concurrent use.
type Model struct {
	at      domain.Checkpoint
	state   ledger.State
	entries []ledger.Entry
	// buckets are the buckets of entries, by event id: entries that are read have none.
	buckets map[string]ledger.Bucket
	records []ledger.AuditRecord
}

// Apply implements ledger.Writer, with the same errors.
func (m *Model) Apply(b ledger.Batch) error {
	if b.From != m.at {
		return domain.ErrCheckpointMoved
	}
	entries, buckets := slices.Clone(m.entries), map[string]ledger.Bucket{}
	maps.Copy(buckets, m.buckets)
	for _, e := range b.Entries {
		e.Total = e.Points
		for _, earlier := range entries {
			if earlier.Customer == e.Customer {
				e.Total += earlier.Points
			}
		}
		e.OccurredAt = e.OccurredAt.UTC().Truncate(time.Microsecond)
		buckets[e.EventID], e.Bucket = e.Bucket, 0
		entries = append(entries, e)
	}
	records := slices.Clone(m.records)
	for _, a := range b.AuditRecords {
		for i := range records {
			earlier := &records[i]
			if (a.Kind == ledger.Approved || a.Kind == ledger.Declined) && earlier.Kind == ledger.Requested &&
				earlier.Customer == a.Customer && earlier.Loyalty == a.Loyalty {
				earlier.Decided = true
			}
		}
		a.OccurredAt, a.Decided = a.OccurredAt.UTC().Truncate(time.Microsecond), false
		records = append(records, a)
	}
	m.buckets, m.records = buckets, records
	m.entries, m.at, m.state.Position = entries, b.To, b.To.Position
	if asOf := b.AsOf.UTC().Truncate(time.Microsecond); asOf.After(m.state.AsOf) {
		m.state.AsOf = asOf
	}
	return nil
}

// State is what the model reflects.
func (m *Model) State() ledger.State { return m.state }

// Forgotten reports whether a customer was forgotten.
func (m *Model) Forgotten(customer domain.CustomerID) bool {
	return slices.ContainsFunc(m.records, func(a ledger.AuditRecord) bool { return a.Kind == ledger.Forgotten && a.Customer == customer })
}

// AuditLog is the matching audit records, newest first.
func (m *Model) AuditLog(f ledger.AuditFilter) (some []ledger.AuditRecord) {
	for _, a := range slices.Backward(m.records) {
		if (len(f.Kinds) == 0 || slices.Contains(f.Kinds, a.Kind)) &&
			(f.Customer == "" || f.Customer == a.Customer) &&
			(f.Actor == "" || f.Actor == a.Actor) &&
			(f.From.IsZero() || !a.OccurredAt.Before(f.From.Truncate(time.Microsecond))) &&
			(f.Until.IsZero() || a.OccurredAt.Before(f.Until.Truncate(time.Microsecond))) &&
			(!f.Waiting || a.Kind == ledger.Requested && !a.Decided) {
			some = append(some, a)
		}
	}
	return some
}

// Account is a customer's total, zero but for the id if there are no entries.
func (m *Model) Account(customer domain.CustomerID) ledger.Account {
	account := ledger.Account{Customer: customer, Forgotten: m.Forgotten(customer)}
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

// Filtered is the matching entries of a customer's trail, newest first.
func (m *Model) Filtered(customer domain.CustomerID, f ledger.Filter) (trail []ledger.Entry) {
	for _, e := range m.Entries(customer) {
		if (len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) &&
			(f.Channel == "" || f.Channel == e.Channel) &&
			(f.Order == "" || meant(f.Order, e.Order, e.Customer)) &&
			(f.From.IsZero() || !e.OccurredAt.Before(f.From.Truncate(time.Microsecond))) &&
			(f.Until.IsZero() || e.OccurredAt.Before(f.Until.Truncate(time.Microsecond))) &&
			f.After.Before(e.Position) {
			trail = append(trail, e)
		}
	}
	return trail
}

// Entry is a customer's entry with an event id, if they have one.
func (m *Model) Entry(customer domain.CustomerID, eventID string) (ledger.Entry, bool) {
	for _, e := range m.Entries(customer) {
		if e.EventID == eventID {
			return e, true
		}
	}
	return ledger.Entry{}, false
}

// Search lists everything that has an id, in the order of ledger.Found, without a limit.
func (m *Model) Search(id string) (all []ledger.Match) {
	if slices.Contains(m.Customers(), domain.CustomerID(id)) {
		all = append(all, ledger.Match{By: ledger.ByCustomer, Customer: domain.CustomerID(id)})
	}
	var orders, returns, gifts []ledger.Match
	type orderOf struct {
		id       domain.OrderID
		customer domain.CustomerID
	}
	known := map[orderOf]bool{}
	for _, e := range m.entries {
		match := ledger.Match{Customer: e.Customer, Order: e.Order, EventID: e.EventID, OccurredAt: e.OccurredAt}
		if meant(id, string(e.Order), "") && !known[orderOf{e.Order, e.Customer}] {
			known[orderOf{e.Order, e.Customer}], match.By = true, ledger.ByOrder
			orders = append(orders, match)
		}
		if meant(id, string(e.Return), "") {
			match.By = ledger.ByReturn
			returns = append(returns, match)
		}
		if meant(id, string(e.Loyalty), "") {
			match.By, match.Order = ledger.ByLoyalty, ""
			gifts = append(gifts, match)
		}
	}
	return slices.Concat(all, orders, returns, gifts)
}

// meant tells whether somebody who writes an id may mean the one that is stored; of a customer's own, only those of the customer given.
func meant[T ~string](written, stored T, customer domain.CustomerID) bool {
	issuer, bare := domain.SplitID(stored)
	foreign := strings.HasPrefix(string(issuer), "customer.") && (customer == "" || issuer != customer.Issuer())
	return written != "" && (written == stored || written == bare && !foreign)
}

// Bucket lists the customers in a bucket, by their first entry, without forgotten ones, sorted.
func (m *Model) Bucket(bucket ledger.Bucket) (all []domain.CustomerID) {
	for _, customer := range m.Customers() {
		first := slices.IndexFunc(m.entries, func(e ledger.Entry) bool { return e.Customer == customer })
		if m.buckets[m.entries[first].EventID] == bucket && bucket > 0 && !m.Forgotten(customer) {
			all = append(all, customer)
		}
	}
	return all
}

// Customers lists the customers with an entry, sorted.
func (m *Model) Customers() []domain.CustomerID {
	var all []domain.CustomerID
	for _, e := range m.entries {
		all = append(all, e.Customer)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Accounts lists every account whose total has ever changed or whose customer was forgotten, sorted by customer.
func (m *Model) Accounts() []ledger.Account {
	var all []ledger.Account
	customers := m.Customers()
	for _, a := range m.records {
		customers = append(customers, a.Customer)
	}
	slices.Sort(customers)
	for _, customer := range slices.Compact(customers) {
		changed := func(e ledger.Entry) bool { return e.Customer == customer && e.Points != 0 }
		if slices.ContainsFunc(m.entries, changed) || m.Forgotten(customer) {
			all = append(all, m.Account(customer))
		}
	}
	return all
}

// Outstanding is the sum of all entries' points.
func (m *Model) Outstanding() domain.Points {
	var sum domain.Points
	for _, e := range m.entries {
		sum += e.Points
	}
	return sum
}
