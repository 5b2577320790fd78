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

// Check validates a batch as far as that is possible without the ledger: positions in order and within the batch's range, no entry
// and audit record at the same position, canonical UUIDs as event ids, valid customer ids and kinds. An invalid batch is a bug in the
// program that made it. The checkpoint and the totals are checked by Apply.
func (b Batch) Check() error {
	if b.To.Position.Before(b.From.Position) {
		return fmt.Errorf("ledger batch: it leads back from %s to %s", b.From, b.To)
	}
	if !storable(b.From.Position) || !storable(b.To.Position) {
		return fmt.Errorf("ledger batch: %s to %s is no range of a log", b.From, b.To)
	}
	after := b.From.Position
	for i := range b.Entries {
		e := &b.Entries[i]
		if err := b.checkPosition(after, e.Position); err != nil {
			return fmt.Errorf("ledger batch: an entry %w", err)
		}
		after = e.Position
		if err := e.check(); err != nil {
			return fmt.Errorf("ledger batch: the entry at %s: %w", e.Position, err)
		}
	}
	after = b.From.Position
	for i := range b.AuditRecords {
		a := &b.AuditRecords[i]
		if err := b.checkPosition(after, a.Position); err != nil {
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

// checkPosition validates the position of an entry or audit record that follows one at after, or the batch's start.
func (b Batch) checkPosition(after, at domain.Position) error {
	if !after.Before(at) || b.To.Position.Before(at) {
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
	if err := checkPoints(e.Points); err != nil {
		return err
	}
	if e.Bucket < 0 || e.Bucket > buckets {
		return fmt.Errorf("there is no bucket %d", e.Bucket)
	}
	if !storable(e.Position) || e.Revision > math.MaxInt64 {
		return fmt.Errorf("revision %d is beyond any log", e.Revision)
	}
	return nil
}

// checkPoints makes sure that points are within those of one event, so that no total overflows.
func checkPoints(points domain.Points) error {
	if points > domain.MaxChange || points < -domain.MaxChange {
		return fmt.Errorf("%d points are more than one event holds", points)
	}
	return nil
}

// storable reports whether a position fits the signed 64-bit integers of a database. Greater values occur only as the protocol's
// "unknown".
func storable(p domain.Position) bool { return p.Commit <= math.MaxInt64 && p.Prepare <= math.MaxInt64 }

// Change is the effect of a batch on one customer's account.
type Change struct {
	Customer domain.CustomerID
	// Points is the sum of the entries' points.
	Points domain.Points
	// ReachedAt is when the customer's last entry with points other than 0 occurred; zero if there is none.
	ReachedAt time.Time
	// Entries is the number of the customer's entries in the batch, and Last the index of the last of them.
	Entries int64
	Last    int
	// Bucket is taken from the customer's first entry in the batch.
	Bucket Bucket
}

// Changes sums the batch by customer, in the order of each customer's first entry.
func (b Batch) Changes() []Change {
	changes := make([]Change, 0, len(b.Entries))
	indexes := make(map[domain.CustomerID]int, len(b.Entries))
	for i := range b.Entries {
		e := &b.Entries[i]
		index, known := indexes[e.Customer]
		if !known {
			index = len(changes)
			indexes[e.Customer] = index
			changes = append(changes, Change{Customer: e.Customer, Bucket: e.Bucket})
		}
		c := &changes[index]
		c.Entries, c.Last = c.Entries+1, i
		c.Points += e.Points
		if e.Points != 0 {
			c.ReachedAt = e.OccurredAt
		}
	}
	return changes
}

// Totals computes each entry's Total, back to front, from the customers' totals after the batch. It modifies the map after.
func (b Batch) Totals(after map[domain.CustomerID]domain.Points) []domain.Points {
	totals := make([]domain.Points, len(b.Entries))
	for i, e := range slices.Backward(b.Entries) {
		total := after[e.Customer]
		totals[i], after[e.Customer] = total, total-e.Points
	}
	return totals
}

// Earnings sums the batch by hour and channel, ordered by both.
func (b Batch) Earnings() []Earning {
	type key struct {
		at      time.Time
		channel domain.Channel
	}
	var all []Earning
	indexes := map[key]int{}
	for i := range b.Entries {
		e := &b.Entries[i]
		k := key{Hour.Begin(e.OccurredAt), e.Channel}
		index, known := indexes[k]
		if !known {
			index = len(all)
			indexes[k] = index
			all = append(all, Earning{At: k.at, Channel: k.channel})
		}
		all[index].Add(e.Kind, e.Points)
	}
	slices.SortFunc(all, func(a, b Earning) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Channel, b.Channel)) })
	return all
}
