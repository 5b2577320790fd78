// Package ledger is the read model of every customer's points: the trail of awards, reversals and adjustments with times and reasons,
// the totals, and the audit log of what staff did. It defines the port, its types and what the adapters share. The adapters are the
// packages sqlite and postgres; ledgertest is the contract that both pass. A ledger is folded from the log and can be rebuilt at any
// time.
package ledger

import (
	"context"
	"sync"
	"time"

	"loyalty/domain"
)

// Kind is the kind of an entry.
type Kind string

// The kinds of entries.
const (
	Award      Kind = "award"
	Reversal   Kind = "reversal"
	Adjustment Kind = "adjustment"
)

// Entry is the effect of one event on one customer's points. Entries never change.
type Entry struct {
	// EventID is the id of the event, unique in the log: a UUID in its canonical text, lower case with dashes.
	EventID  string
	Customer domain.CustomerID
	Kind     Kind
	// Points is the change: 0 or more for an award, 0 or less for a reversal, either for an adjustment.
	Points domain.Points
	// Total is the customer's points after this entry. Apply computes it; it is ignored in a batch.
	Total domain.Points
	// OccurredAt is when it happened, UTC, truncated to the microsecond.
	OccurredAt time.Time
	// Position, Stream and Revision locate the event in the log.
	Position domain.Position
	Stream   string
	Revision uint64
	// Order, Return (of a reversal) and Loyalty (of an adjustment) are empty where the entry has none.
	Order   domain.OrderID
	Return  domain.ReturnID
	Loyalty domain.LoyaltyID
	// Amount is what was paid (award) or refunded (reversal); zero for an adjustment.
	Amount domain.Money
	// Channel, Actor, Reason and Correlation are empty where the event has none. Correlation is the id shared by all events of one
	// request.
	Channel     domain.Channel
	Actor       string
	Reason      string
	Correlation string
	// Bucket is the bucket of the customer's proxy name, 0 if the name is not known. Apply stores the one of a customer's first entry
	// with the account. It is 0 in every entry that is read.
	Bucket Bucket
}

// Batch is a number of entries and audit records in the order of the log, with the checkpoints before and after them.
type Batch struct {
	// From is the checkpoint that the ledger must have for the batch to apply.
	From domain.Checkpoint
	// To is the checkpoint after the batch, not before From. It may have the position of From in a batch without entries and audit records.
	To domain.Checkpoint
	// AsOf is a time at which the log ended at To. Zero if it is not known.
	AsOf time.Time
	// Entries are after From and not after To, in strictly ascending order of position.
	Entries []Entry
	// AuditRecords likewise; none has the position of an entry.
	AuditRecords []AuditRecord
}

// Account is a customer's total.
type Account struct {
	Customer domain.CustomerID
	Points   domain.Points
	// ReachedAt is when the event occurred that last changed the total, UTC, to the microsecond; zero if none ever did. An entry of 0
	// points does not change it.
	ReachedAt time.Time
	// Entries is the number of the customer's entries.
	Entries int64
	// Forgotten is true for ever once the customer was forgotten. The entries stay, and more may follow.
	Forgotten bool
}

// State says how much of the log an answer reflects.
type State struct {
	Position domain.Position
	// AsOf is the last time at which the ledger was known to reflect the whole log, UTC, to the microsecond; zero if never. It never
	// moves backwards.
	AsOf time.Time
}

// Snapshot says which accounts a stream of all accounts gave: those at a checkpoint.
type Snapshot struct {
	domain.Checkpoint
	// AsOf is as in State.
	AsOf time.Time
}

// State is the state that the accounts reflect.
func (s Snapshot) State() State { return State{Position: s.Position, AsOf: s.AsOf} }

// NewSnapshot is the snapshot with a state and the stored origin of its checkpoint.
func NewSnapshot(s State, origin string) (Snapshot, error) {
	at, err := domain.ParseCheckpoint(s.Position, origin)
	return Snapshot{Checkpoint: at, AsOf: s.AsOf}, err
}

// Piece is a number of accounts that were read at once; see Reader.Accounts.
type Piece struct {
	// At is the position that the accounts reflect, if they may have changed after the snapshot that is returned with all pieces; zero if they have
	// not.
	At       domain.Position
	Accounts []Account
}

// InTurn makes a yield for Reader.Accounts that calls each with one account after the other, never with two at once, and with the position of
// its piece.
func InTurn(each func(a Account, at domain.Position) error) func(Piece) error {
	var mu sync.Mutex
	return func(p Piece) error {
		mu.Lock()
		defer mu.Unlock()
		for _, a := range p.Accounts {
			if err := each(a, p.At); err != nil {
				return err
			}
		}
		return nil
	}
}

// InPieces calls yield with the accounts that read calls its own yield with, a thousand at a time, all as the snapshot has them.
func InPieces(yield func(Piece) error, read func(yield func(Account) error) (Snapshot, error)) (Snapshot, error) {
	const perPiece = 1000
	var p Piece
	at, err := read(func(a Account) error {
		if p.Accounts = append(p.Accounts, a); len(p.Accounts) < perPiece {
			return nil
		}
		err := yield(p)
		p.Accounts = p.Accounts[:0]
		return err
	})
	if err == nil && len(p.Accounts) > 0 {
		err = yield(p)
	}
	return at, err
}

// Trail is a page of a customer's entries, newest first.
type Trail struct {
	Account Account
	Entries []Entry
	// Next is the cursor of the next page; empty on the last. It is opaque, and stays valid while entries arrive.
	Next string
	State
}

// MaxPage is the most entries a page holds.
const MaxPage = 200

// Reader reads accounts and trails. It is safe for concurrent use. Each answer is one snapshot. All methods return
// domain.ErrUnavailable when the store can't be reached.
type Reader interface {
	// Account reads a customer's total. A customer without entries has a zero Account but for Customer and Forgotten.
	Account(ctx context.Context, customer domain.CustomerID) (Account, State, error)
	// Trail reads a page of at most limit (1 to MaxPage) matching entries, newest first. The empty cursor starts at the newest; any
	// other must come from an earlier page of the same customer and filter. Account and totals are of the whole trail, whatever the
	// filter. Errors are domain.ErrInvalid with the code cursor_invalid or limit_out_of_range.
	Trail(ctx context.Context, customer domain.CustomerID, filter Filter, cursor string, limit int) (Trail, error)
	// Wait blocks until the ledger reflects position, whether this process applies it or another. It returns domain.ErrNotCaughtUp
	// when ctx ends first.
	Wait(ctx context.Context, position domain.Position) error
	// Accounts calls yield with every account whose total has ever changed or whose customer was forgotten, each once, in any order and in
	// pieces. It returns what the ledger reflected before the first piece: accounts that have not changed between then and when they were
	// read are as they were then; others are in pieces with a position of their own. A customer who came later may be left out. So whoever
	// follows the log from the snapshot on, and leaves out of a customer what they were read with, has all of them at one position.
	//
	// yield may be called by several goroutines at once, and must not keep a piece. Accounts stops at yield's first error and returns it. It
	// holds few accounts at a time in memory. It is domain.ErrUnavailable if a rebuild switches to another ledger meanwhile.
	Accounts(ctx context.Context, yield func(Piece) error) (Snapshot, error)
}

// ReadTrail implements Reader.Trail for an adapter. It checks the cursor and the limit, and makes the page's Next cursor. read selects
// at most so many entries before a position, newest first; it is asked for one more than the page holds, which tells whether there is
// a next page.
func ReadTrail(customer domain.CustomerID, filter Filter, cursor string, limit int, read func(before domain.Position, most int) (Trail, error)) (Trail, error) {
	before, err := DecodeCursor(customer, filter, cursor)
	if err := domain.JoinInvalid(err, CheckLimit(limit)); err != nil {
		return Trail{}, err
	}
	page, err := read(before, limit+1)
	if err != nil {
		return Trail{}, err
	}
	if len(page.Entries) > limit {
		page.Entries = page.Entries[:limit]
		page.Next = EncodeCursor(customer, filter, page.Entries[limit-1].Position)
	}
	return page, nil
}

// Writer feeds the ledger. It is safe for concurrent use, also by several processes.
type Writer interface {
	// Checkpoint is how far the ledger has applied the log, as the last batch gave it; zero for a new one.
	Checkpoint(ctx context.Context) (domain.Checkpoint, error)
	// Apply adds a batch's entries and audit records and updates totals, earnings and checkpoint, in one transaction. A forgotten
	// customer leaves their bucket and never enters one again. Apply does not modify the batch. Errors: domain.ErrCheckpointMoved if
	// the batch's From is not the checkpoint, so that of concurrent calls with the same batch one succeeds;
	// domain.ErrUnavailable if the store can't be reached, in which case the checkpoint tells whether the batch was applied. No entry is
	// counted twice or left out, because batches follow one another without a gap; that the log has no event twice, a ledger need not check.
	Apply(ctx context.Context, b Batch) error
}
