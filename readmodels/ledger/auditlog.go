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
	// Requested, Approved and Declined belong to adjustments that need a second person's approval.
	Requested AuditKind = "requested"
	Approved  AuditKind = "approved"
	Declined  AuditKind = "declined"
	// Forgotten and Certified belong to a customer's erasure. Revealed: somebody was told the customer behind a proxy name.
	Forgotten AuditKind = "forgotten"
	Certified AuditKind = "certified"
	Revealed  AuditKind = "revealed"
	// Viewed: a member of staff was shown what the system knows of a customer.
	Viewed AuditKind = "viewed"
)

// AuditKinds are all kinds.
func AuditKinds() []AuditKind {
	return []AuditKind{Requested, Approved, Declined, Forgotten, Certified, Revealed, Viewed}
}

// AuditRecord is one operation of a member of staff, from one event. A record never changes, except for Decided.
type AuditRecord struct {
	// EventID is the id of the event, unique in the ledger: a UUID in its canonical text, lower case with dashes.
	EventID  string
	Kind     AuditKind
	Customer domain.CustomerID
	// Loyalty and Points are the adjustment's, in Requested, Approved and Declined. Points is zero in Declined.
	Loyalty domain.LoyaltyID
	Points  domain.Points
	// Reason is empty if the event has none. Actor is the subject of the token of whoever did it.
	Reason string
	// Route is what was asked for in Viewed, empty in all else.
	Route       string
	Actor       string
	Correlation string
	// OccurredAt is when it happened, UTC, truncated to the microsecond.
	OccurredAt time.Time
	Position   domain.Position
	// Decided is true for a request that was approved or declined later, under the same customer and loyalty id. Apply computes it;
	// it is ignored in a batch.
	Decided bool
}

// AuditFilter selects audit records. All fields that are set must match; the zero AuditFilter selects every record.
type AuditFilter struct {
	// Kinds are the kinds to select; empty means every kind.
	Kinds    []AuditKind
	Customer domain.CustomerID
	Actor    string
	// From (inclusive) and Until (exclusive) bound OccurredAt, to the microsecond.
	From, Until time.Time
	// Waiting selects only requests that are not decided.
	Waiting bool
}

// AuditPage is a page of the audit log, newest first.
type AuditPage struct {
	Records []AuditRecord
	// Next is the cursor of the next page; empty on the last. It is opaque, and stays valid while audit records are added. With
	// AuditFilter.Waiting, a request that is decided between two pages is missing from the later one.
	Next string
	State
}

// Auditor reads the audit log. It is safe for concurrent use. Each answer is one snapshot.
type Auditor interface {
	// AuditLog reads a page of at most limit (1 to MaxPage) matching audit records, newest first. The empty cursor starts at the
	// newest; any other must come from an earlier page with the same filter. Errors are domain.ErrInvalid with the code
	// cursor_invalid or limit_out_of_range, and domain.ErrUnavailable when the store can't be reached.
	AuditLog(ctx context.Context, filter AuditFilter, cursor string, limit int) (AuditPage, error)
}

// ReadAuditLog implements Auditor.AuditLog for an adapter. It checks the cursor and the limit, and makes the page's Next cursor. read
// selects at most so many records before a position, newest first; it is asked for one more than the page holds, which tells whether
// there is a next page.
func ReadAuditLog(filter AuditFilter, cursor string, limit int, read func(before domain.Position, most int) (AuditPage, error)) (AuditPage, error) {
	before, err := DecodeAuditCursor(filter, cursor)
	if err := domain.JoinInvalid(err, CheckLimit(limit)); err != nil {
		return AuditPage{}, err
	}
	page, err := read(before, limit+1)
	if err != nil {
		return AuditPage{}, err
	}
	if len(page.Records) > limit {
		page.Records = page.Records[:limit]
		page.Next = EncodeAuditCursor(filter, page.Records[limit-1].Position)
	}
	return page, nil
}

func (a *AuditRecord) check() error {
	if err := checkEvent(a.EventID, a.Customer); err != nil {
		return err
	}
	if !slices.Contains(AuditKinds(), a.Kind) {
		return fmt.Errorf("there is no kind %q of audit record", a.Kind)
	}
	if a.OccurredAt.IsZero() {
		return errors.New("it does not say when it happened")
	}
	return checkPoints(a.Points)
}

// appendTo appends a canonical encoding of the filter: equal for equal filters, whatever the order of Kinds.
func (f AuditFilter) appendTo(raw []byte) []byte {
	raw = appendText(appendText(appendKinds(raw, f.Kinds), string(f.Customer)), f.Actor)
	raw = appendTime(appendTime(raw, f.From), f.Until)
	if f.Waiting {
		return append(raw, 1)
	}
	return append(raw, 0)
}
