package ledger

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
)

// Check says what is wrong with a batch that no ledger could apply: positions out of order or out of the batch's range, an
// entry and an audit record at one place, an event id that is not a canonical UUID, a customer id or kind that is none. Such a batch is
// a mistake of the program that made it. What it says about the checkpoint and the totals only the ledger can check.
func (b Batch) Check() error {
	if b.To.Before(b.From) {
		return fmt.Errorf("ledger batch: it leads back from %s to %s", b.From, b.To)
	}
	if !storable(b.From) || !storable(b.To) {
		return fmt.Errorf("ledger batch: %s to %s is no range of a log", b.From, b.To)
	}
	after := b.From
	for i := range b.Entries {
		e := &b.Entries[i]
		if err := b.place(after, e.Position); err != nil {
			return fmt.Errorf("ledger batch: an entry %w", err)
		}
		after = e.Position
		if err := e.check(); err != nil {
			return fmt.Errorf("ledger batch: the entry at %s: %w", e.Position, err)
		}
	}
	after = b.From
	for i := range b.AuditRecords {
		a := &b.AuditRecords[i]
		if err := b.place(after, a.Position); err != nil {
			return fmt.Errorf("ledger batch: an audit record %w", err)
		}
		after = a.Position
		if _, taken := slices.BinarySearchFunc(b.Entries, a.Position, compareEntry); taken {
			return fmt.Errorf("ledger batch: an audit record and an entry stand at %s", a.Position)
		}
		if err := a.check(); err != nil {
			return fmt.Errorf("ledger batch: the audit record at %s: %w", a.Position, err)
		}
	}
	return nil
}

// place says what is wrong with the place of an entry or audit record that follows one at after, or the batch's start.
func (b Batch) place(after, at domain.Position) error {
	if !after.Before(at) || b.To.Before(at) {
		return fmt.Errorf("at %s stands after one at %s in a batch to %s", at, after, b.To)
	}
	return nil
}

func compareEntry(e Entry, at domain.Position) int {
	return cmp.Or(cmp.Compare(e.Position.Commit, at.Commit), cmp.Compare(e.Position.Prepare, at.Prepare))
}

func checkEvent(eventID string, customer domain.CustomerID) error {
	id, err := uuid.Parse(eventID)
	if err != nil || id.String() != eventID {
		return fmt.Errorf("the event id %q is not a UUID in its canonical text", eventID)
	}
	_, err = domain.ParseID[domain.CustomerID]("customerId", string(customer))
	return err
}

func (e *Entry) check() error {
	if err := checkEvent(e.EventID, e.Customer); err != nil {
		return err
	}
	if e.Kind != Award && e.Kind != Reversal && e.Kind != Adjustment {
		return fmt.Errorf("there is no kind %q of entry", e.Kind)
	}
	if e.Bucket < 0 || e.Bucket > buckets {
		return fmt.Errorf("there is no bucket %d", e.Bucket)
	}
	if !storable(e.Position) || e.Revision > math.MaxInt64 {
		return fmt.Errorf("revision %d is beyond any log", e.Revision)
	}
	return nil
}

// storable tells whether a position fits the signed integers of a database. Above them stands only what the protocol
// uses for "unknown".
func storable(p domain.Position) bool { return p.Commit <= math.MaxInt64 && p.Prepare <= math.MaxInt64 }

// Change is what a batch does to one customer.
type Change struct {
	Customer domain.CustomerID
	// Points is the sum of the entries' points, within ±2·domain.MaxTotal.
	Points domain.Points
	// ReachedAt is when the last entry of other than zero points occurred; zero if there is none.
	ReachedAt time.Time
	// Entries counts the customer's entries in the batch, and Last is the index of the last of them.
	Entries int64
	Last    int
	// Bucket is that of the customer's first entry in the batch.
	Bucket Bucket
}

// Changes sums the batch up by customer, in the order of their first entry. Points that no total could bear, wherever it
// stood before, are domain.ErrPointsLimit, so that nothing overflows on the way to Totals, which checks the totals.
func (b Batch) Changes() ([]Change, error) {
	changes := make([]Change, 0, len(b.Entries))
	places := make(map[domain.CustomerID]int, len(b.Entries))
	for i := range b.Entries {
		e := &b.Entries[i]
		place, known := places[e.Customer]
		if !known {
			place = len(changes)
			places[e.Customer] = place
			changes = append(changes, Change{Customer: e.Customer, Bucket: e.Bucket})
		}
		c := &changes[place]
		c.Entries, c.Last = c.Entries+1, i
		c.Points += min(max(e.Points, -4*domain.MaxTotal), 4*domain.MaxTotal)
		if c.Points > 2*domain.MaxTotal || c.Points < -2*domain.MaxTotal {
			return nil, fmt.Errorf("the entry at %s: %w", e.Position, domain.ErrPointsLimit)
		}
		if e.Points != 0 {
			c.ReachedAt = e.OccurredAt
		}
	}
	return changes, nil
}

// Totals works out each entry's Total from what the customers have after the batch, back to front, and uses after up. A
// total beyond ±domain.MaxTotal is domain.ErrPointsLimit, on the way too: the trail would show what can't be.
func (b Batch) Totals(after map[domain.CustomerID]domain.Points) ([]domain.Points, error) {
	totals := make([]domain.Points, len(b.Entries))
	for i, e := range slices.Backward(b.Entries) {
		total := after[e.Customer]
		if total > domain.MaxTotal || total < -domain.MaxTotal {
			return nil, fmt.Errorf("the entry at %s: a total of %d points: %w (%d)", e.Position, total, domain.ErrPointsLimit, domain.MaxTotal)
		}
		totals[i], after[e.Customer] = total, total-e.Points
	}
	return totals, nil
}

// Earnings sums the batch up by hour and channel, in that order.
func (b Batch) Earnings() []Earning {
	type place struct {
		at      time.Time
		channel domain.Channel
	}
	var all []Earning
	places := map[place]int{}
	for i := range b.Entries {
		e := &b.Entries[i]
		at := place{Hour.Begin(e.OccurredAt), e.Channel}
		index, known := places[at]
		if !known {
			index = len(all)
			places[at] = index
			all = append(all, Earning{At: at.at, Channel: at.channel})
		}
		all[index].Add(e.Kind, e.Points)
	}
	slices.SortFunc(all, func(a, b Earning) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Channel, b.Channel)) })
	return all
}
