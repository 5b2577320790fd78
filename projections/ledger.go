package projections

import (
	"context"
	"fmt"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/readmodels/ledger"
)

// Ledger is the projection into a ledger: entries for changes of points, and audit records.
type Ledger struct {
	Writer ledger.Writer
	// Proxies, if set, makes the buckets of customers' proxy names, so that a name's customer can be found. The ledger gets neither the
	// secret nor the name.
	Proxies domain.Proxies
}

// Name is "ledger".
func (Ledger) Name() string { return "ledger" }

// Fold is 3: that of version 1 knows no views of customers, and would go past them; that of version 2 knows no checkpoint with Names.
func (Ledger) Fold() int { return 3 }

// Names are those of Proxies.
func (l Ledger) Names() string { return l.Proxies.Fingerprint() }

// Types are the events that change points and those of the audit log.
func (Ledger) Types() []string { return ledgerTypes() }

// Checkpoint is the ledger's checkpoint.
func (l Ledger) Checkpoint(ctx context.Context) (domain.Checkpoint, error) {
	return l.Writer.Checkpoint(ctx)
}

// Apply adds an entry or an audit record for each event.
func (l Ledger) Apply(ctx context.Context, b Batch) error {
	batch := ledger.Batch{From: b.From, To: b.To, AsOf: b.AsOf, Entries: make([]ledger.Entry, 0, len(b.Events))}
	for _, event := range b.Events {
		if record, ok := auditRecordOf(event); ok {
			batch.AuditRecords = append(batch.AuditRecords, record)
			continue
		}
		entry, err := entryOf(event)
		if err != nil {
			return err
		}
		if l.Proxies != (domain.Proxies{}) {
			entry.Bucket = ledger.BucketOf(l.Proxies.Key(entry.Customer).Name())
		}
		batch.Entries = append(batch.Entries, entry)
	}
	return l.Writer.Apply(ctx, batch)
}

func entryOf(r eventstore.Recorded) (ledger.Entry, error) {
	entry := ledger.Entry{
		EventID: r.ID.String(), Customer: r.Event.Customer(), Points: pointsOf(r.Event), OccurredAt: r.Event.Occurred(),
		Position: r.Position, Stream: r.Stream, Revision: r.Revision, Channel: r.Metadata.Channel, Actor: r.Metadata.Actor,
		Correlation: r.Metadata.Correlation,
	}
	switch e := r.Event.(type) {
	case order.PointsAwarded:
		entry.Kind, entry.Order, entry.Amount = ledger.Award, e.OrderID, e.Paid
	case order.PointsReversed:
		entry.Kind, entry.Order, entry.Return, entry.Reason = ledger.Reversal, e.OrderID, e.ReturnID, e.Reason
		entry.Amount = domain.Money{Minor: e.NetBefore.Minor - e.NetAfter.Minor, Currency: e.NetBefore.Currency}
	case account.PointsAdjusted:
		entry.Kind, entry.Loyalty, entry.Reason, entry.Actor = ledger.Adjustment, e.LoyaltyID, e.Reason, e.Actor
	default:
		return entry, fmt.Errorf("%w: the ledger has no entry for %s at position %s", domain.ErrUndecodable, r.Event.EventType(), r.Position)
	}
	return entry, nil
}
