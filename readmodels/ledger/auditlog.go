package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"loyalty/domain"
)

// AuditKind is the kind of operation that an audit record stands for. No such operation changes points by itself.
type AuditKind string

// The kinds of audit records.
const (
	// Requested, Approved and Declined are of adjustments that need a second person.
	Requested AuditKind = "requested"
	Approved  AuditKind = "approved"
	Declined  AuditKind = "declined"
	// Forgotten and Certified are of a customer's erasure, Revealed of the customer behind a proxy name.
	Forgotten AuditKind = "forgotten"
	Certified AuditKind = "certified"
	Revealed  AuditKind = "revealed"
)

// AuditRecord is what one event says that somebody did. Only Decided ever changes.
type AuditRecord struct {
	// EventID is the id of the event, unique in the ledger: a UUID in its canonical text, lower case with dashes.
	EventID  string
	Kind     AuditKind
	Customer domain.CustomerID
	// Loyalty and Points are those of the adjustment, of requests and decisions; Points is zero of a refusal.
	Loyalty domain.LoyaltyID
	Points  domain.Points
	// Reason is empty where the event has none. Actor is who did it.
	Reason      string
	Actor       string
	Correlation string
	// OccurredAt is when it happened, UTC. The ledger keeps it to the microsecond, the rest cut off.
	OccurredAt time.Time
	Position   domain.Position
	// Decided tells of a request that one of the same customer and loyalty id approved or declined it later. Apply works it out; it
	// is read only.
	Decided bool
}

// AuditFilter says which audit records are wanted. The zero AuditFilter wants all of them; what is set must all hold.
type AuditFilter struct {
	// Kinds are those wanted; none is every kind.
	Kinds    []AuditKind
	Customer domain.CustomerID
	Actor    string
	// From and Until bound when it was done: at From or later, and before Until. Both count to the microsecond.
	From, Until time.Time
	// Waiting wants only requests that nobody has decided.
	Waiting bool
}

// AuditPage is a page of the audit log, newest first.
type AuditPage struct {
	Records []AuditRecord
	// Next leads to the page after this one; empty on the last. It is opaque, and stays valid while audit records are added. A request that
	// is decided meanwhile is on no later page of those that wait.
	Next string
	State
}

// Auditor is the ledger as those see it who look at what others did. It may be used from many goroutines at once; each answer is
// one snapshot. Both return domain.ErrUnavailable when the store can't be reached.
type Auditor interface {
	// AuditLog reads a page of at most limit (1 to MaxPage) of the audit records that a filter lets through, newest first, from the start or
	// from a cursor that an earlier page of the same filter gave. Another cursor is domain.ErrInvalid with the code
	// cursor_invalid; a limit out of its range is one with the code limit_out_of_range.
	AuditLog(ctx context.Context, filter AuditFilter, cursor string, limit int) (AuditPage, error)
}

func (a *AuditRecord) check() error {
	if err := checkEvent(a.EventID, a.Customer); err != nil {
		return err
	}
	if !slices.Contains([]AuditKind{Requested, Approved, Declined, Forgotten, Certified, Revealed}, a.Kind) {
		return fmt.Errorf("there is no kind %q of audit record", a.Kind)
	}
	if a.OccurredAt.IsZero() {
		return errors.New("it does not say when it happened")
	}
	if a.Points > domain.MaxTotal || a.Points < -domain.MaxTotal {
		return fmt.Errorf("%d points: %w", a.Points, domain.ErrPointsLimit)
	}
	return nil
}

// appendTo writes the filter in bytes that no other filter has, whatever the order of its kinds.
func (f AuditFilter) appendTo(raw []byte) []byte {
	raw = appendText(appendText(appendKinds(raw, f.Kinds), string(f.Customer)), f.Actor)
	raw = appendTime(appendTime(raw, f.From), f.Until)
	if f.Waiting {
		return append(raw, 1)
	}
	return append(raw, 0)
}
