// Package ledger keeps every customer's points trail: what was awarded, reversed and adjusted, when and why, and the
// total it adds up to; and what support did that changed no points. It defines what a ledger is to those who feed and read
// it; the adapters are its packages sqlite and postgres, and ledgertest is the contract that each of them passes. It is
// folded from the log and can be thrown away and folded again.
package ledger

import (
	"context"
	"time"

	"loyalty/domain"
)

// Kind is why an entry is in the ledger.
type Kind string

// The kinds of entry.
const (
	Award      Kind = "award"
	Reversal   Kind = "reversal"
	Adjustment Kind = "adjustment"
)

// Entry is the effect of one event on one customer's points. Entries are never changed.
type Entry struct {
	// EventID is the id of the event, unique in the ledger: a UUID in its canonical text, lower case with dashes.
	EventID  string
	Customer domain.CustomerID
	Kind     Kind
	// Points is the change: zero or more for an award, zero or less for a reversal, either for an adjustment.
	Points domain.Points
	// Total is the customer's points after this entry. Apply computes it; it is read only.
	Total domain.Points
	// OccurredAt is when it happened, UTC. The ledger keeps it to the microsecond, the rest cut off.
	OccurredAt time.Time
	// Position, Stream and Revision say where the event stands in the log.
	Position domain.Position
	Stream   string
	Revision uint64
	// Order, Return (of a reversal) and Loyalty (of an adjustment) are empty where the entry has none.
	Order   domain.OrderID
	Return  domain.ReturnID
	Loyalty domain.LoyaltyID
	// Amount is what was paid (award) or refunded (reversal); zero for an adjustment.
	Amount domain.Money
	// Channel, Actor, Reason and Correlation are empty where the event has none. Correlation joins all that came of one
	// request.
	Channel     domain.Channel
	Actor       string
	Reason      string
	Correlation string
	// Bucket is that of the customer's proxy name, 0 if it is not known. Apply keeps the one that comes with a customer's
	// first entry; what is read has none.
	Bucket Bucket
}

// Batch is a run of entries and audit records in the order of the log, with the checkpoint it starts from and the one it leads to.
type Batch struct {
	// From is the checkpoint the batch was made for. Apply refuses the batch when the ledger is elsewhere.
	From domain.Position
	// To is the checkpoint after it, not before From. It may equal From in a batch without entries and audit records.
	To domain.Position
	// AsOf is a time at which everything in the log up to To was known and nothing later was. Zero says nothing.
	AsOf time.Time
	// Entries stand after From and not after To, each at a position after the one before it.
	Entries []Entry
	// Audit records stand likewise, none where an entry stands.
	AuditRecords []AuditRecord
}

// Account is a customer's total.
type Account struct {
	Customer domain.CustomerID
	Points   domain.Points
	// ReachedAt is when the event occurred that last changed the total, UTC, to the microsecond; zero if none ever did.
	// An entry of zero points changes nothing.
	ReachedAt time.Time
	// Entries counts the customer's entries.
	Entries int64
	// Forgotten tells that the customer was forgotten, for ever. Their entries stay, and others may follow.
	Forgotten bool
}

// State says what the ledger reflects.
type State struct {
	Position domain.Position
	// AsOf is the last time the ledger was known to be complete, UTC, to the microsecond; zero if never. It never goes
	// backwards, whatever a batch says.
	AsOf time.Time
}

// Trail is a page of a customer's entries, newest first.
type Trail struct {
	Account Account
	Entries []Entry
	// Next leads to the page after this one; empty on the last. It is opaque, and stays valid while entries arrive.
	Next string
	State
}

// MaxPage is the most entries a page holds.
const MaxPage = 200

// Reader is the ledger as the query side sees it. Its methods may be called from many goroutines at once; each answer
// is one snapshot. All return domain.ErrUnavailable when the store can't be reached.
type Reader interface {
	// Account reads a customer's total; a customer without entries has a zero Account with their id, and Forgotten if they were.
	Account(ctx context.Context, customer domain.CustomerID) (Account, State, error)
	// Trail reads a page of at most limit (1 to MaxPage) of the entries that a filter lets through, newest first, from the
	// start or from a cursor that an earlier page of the same customer and filter gave. Another's cursor, another filter's,
	// or one that is none, is domain.ErrInvalid with the code cursor_invalid; a limit out of its range is one with the code
	// limit_out_of_range. Account and totals are those of the whole trail, whatever the filter.
	Trail(ctx context.Context, customer domain.CustomerID, filter Filter, cursor string, limit int) (Trail, error)
	// Wait blocks until the ledger reflects position, whoever applies it, this process or another. It returns
	// domain.ErrNotCaughtUp, wrapped, when ctx ends first.
	Wait(ctx context.Context, position domain.Position) error
	// Accounts hands every account whose total has ever changed, or whose customer was forgotten, to yield, in any order, all
	// from one snapshot, whose state it returns. It stops at yield's first error and returns it. It holds one account at a time
	// in memory.
	Accounts(ctx context.Context, yield func(Account) error) (State, error)
}

// Writer is the ledger as its projection sees it.
type Writer interface {
	// Checkpoint is the position up to which the ledger has applied the log; zero for a new one.
	Checkpoint(ctx context.Context) (domain.Position, error)
	// Apply adds a batch's entries and audit records, moves the totals, the earnings and the checkpoint, all in one transaction or not at all. Who is
	// forgotten leaves their bucket, and never comes into one again. A batch whose From is not the checkpoint is
	// domain.ErrCheckpointMoved; a total beyond ±domain.MaxTotal is domain.ErrPointsLimit. An entry whose event id another entry
	// in the ledger has, or an audit record whose another audit record has, is an error: the checkpoint makes sure that it can't happen, and nothing
	// is silently counted twice or left out. Apply may be called from many goroutines and processes at once, of which one wins; it
	// does not change the batch, and returns domain.ErrUnavailable when the store can't be reached, in which case the checkpoint
	// says whether the batch went in.
	Apply(ctx context.Context, b Batch) error
}
