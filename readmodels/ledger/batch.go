package ledger

import (
	"fmt"
	"math"

	"github.com/google/uuid"

	"loyalty/domain"
)

// Check says what is wrong with a batch that no ledger could apply: positions out of order or out of the batch's range,
// an event id that is not a canonical UUID, a customer id or kind that is none. Such a batch is a mistake of the program
// that made it. What it says about the checkpoint and the totals only the ledger can check.
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
		if !after.Before(e.Position) || b.To.Before(e.Position) {
			return fmt.Errorf("ledger batch: an entry at %s stands after one at %s in a batch to %s", e.Position, after, b.To)
		}
		after = e.Position
		if err := e.check(); err != nil {
			return fmt.Errorf("ledger batch: the entry at %s: %w", e.Position, err)
		}
	}
	return nil
}

func (e *Entry) check() error {
	id, err := uuid.Parse(e.EventID)
	if err != nil || id.String() != e.EventID {
		return fmt.Errorf("the event id %q is not a UUID in its canonical text", e.EventID)
	}
	if _, err := domain.ParseID[domain.CustomerID]("customerId", string(e.Customer)); err != nil {
		return err
	}
	if e.Kind != Award && e.Kind != Reversal && e.Kind != Adjustment {
		return fmt.Errorf("there is no kind %q of entry", e.Kind)
	}
	if !storable(e.Position) || e.Revision > math.MaxInt64 {
		return fmt.Errorf("revision %d is beyond any log", e.Revision)
	}
	return nil
}

// storable tells whether a position fits the signed integers of a database. Above them stands only what the protocol
// uses for "unknown".
func storable(p domain.Position) bool { return p.Commit <= math.MaxInt64 && p.Prepare <= math.MaxInt64 }

// Customers lists whom the batch is about, each once, in the order of their first entry.
func (b Batch) Customers() []domain.CustomerID {
	seen := make(map[domain.CustomerID]struct{}, len(b.Entries))
	customers := make([]domain.CustomerID, 0, len(b.Entries))
	for i := range b.Entries {
		customer := b.Entries[i].Customer
		if _, again := seen[customer]; !again {
			seen[customer] = struct{}{}
			customers = append(customers, customer)
		}
	}
	return customers
}

// Fold adds the entries, in order, to accounts, where a customer who is missing starts with nothing. It returns each
// entry's Total. A total beyond ±domain.MaxTotal is domain.ErrPointsLimit; accounts are then of no more use.
func (b Batch) Fold(accounts map[domain.CustomerID]Account) ([]domain.Points, error) {
	totals := make([]domain.Points, len(b.Entries))
	for i := range b.Entries {
		e := &b.Entries[i]
		account := accounts[e.Customer]
		total, err := account.Points.Plus(e.Points)
		if err != nil {
			return nil, fmt.Errorf("the entry at %s: %w", e.Position, err)
		}
		account.Customer, account.Points, totals[i] = e.Customer, total, total
		account.Entries++
		if e.Points != 0 {
			account.ReachedAt = e.OccurredAt
		}
		accounts[e.Customer] = account
	}
	return totals, nil
}
