package projections

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/readmodels/ledger"
)

// auditRecordOf is the audit record of an event; ok is false if it has none.
func auditRecordOf(r eventstore.Recorded) (record ledger.AuditRecord, ok bool) {
	switch e := r.Event.(type) {
	case account.AdjustmentRequested:
		record = ledger.AuditRecord{Kind: ledger.Requested, Loyalty: e.LoyaltyID, Points: e.Points, Reason: e.Reason, Actor: e.Actor}
	case account.AdjustmentApproved:
		record = ledger.AuditRecord{Kind: ledger.Approved, Loyalty: e.LoyaltyID, Points: e.Points, Actor: e.Actor}
	case account.AdjustmentDeclined:
		record = ledger.AuditRecord{Kind: ledger.Declined, Loyalty: e.LoyaltyID, Reason: e.Reason, Actor: e.Actor}
	case account.CustomerForgotten:
		record = ledger.AuditRecord{Kind: ledger.Forgotten, Reason: e.Reason, Actor: e.Actor}
	case account.ErasureCertified:
		record = ledger.AuditRecord{Kind: ledger.Certified, Actor: e.Actor}
	case account.ProxyNameRevealed:
		record = ledger.AuditRecord{Kind: ledger.Revealed, Reason: e.Reason, Actor: e.Actor}
	case account.CustomerViewed:
		record = ledger.AuditRecord{Kind: ledger.Viewed, Route: e.Route, Actor: e.Actor}
	default:
		return record, false
	}
	record.EventID, record.Position, record.Correlation = r.ID.String(), r.Position, r.Metadata.Correlation
	record.Customer, record.OccurredAt = r.Event.Customer(), r.Event.Occurred()
	return record, true
}

// auditSum is the number of a customer's audit records and the sum of a 64-bit hash of each. Decided is not hashed: it follows from the other
// records.
type auditSum struct {
	count int64
	hash  uint64
}

// auditSums are the sums of the customers who have audit records.
type auditSums map[domain.CustomerID]auditSum

func (all auditSums) add(a ledger.AuditRecord) {
	row := binary.BigEndian.AppendUint64(nil, a.Position.Commit)
	row = binary.BigEndian.AppendUint64(row, a.Position.Prepare)
	row = binary.BigEndian.AppendUint64(row, uint64(a.Points))
	row = binary.BigEndian.AppendUint64(row, uint64(a.OccurredAt.UnixMicro()))
	for _, text := range []string{a.EventID, string(a.Kind), string(a.Loyalty), a.Reason, a.Route, a.Actor, a.Correlation} {
		row = append(append(row, text...), 0)
	}
	hash := sha256.Sum256(row)
	sum := all[a.Customer]
	all[a.Customer] = auditSum{sum.count + 1, sum.hash + binary.BigEndian.Uint64(hash[:])}
}

// readAuditLog reads all audit records of a ledger, and the position of the first page; no page has later records.
func readAuditLog(ctx context.Context, l ledger.Auditor, a CompareOptions) (auditSums, domain.Position, error) {
	all, at, n := auditSums{}, domain.Position{}, uint64(0)
	for cursor := ""; ; {
		page, err := l.AuditLog(ctx, ledger.AuditFilter{}, cursor, ledger.MaxPage)
		if err != nil {
			return nil, at, err
		}
		if cursor == "" {
			at = page.Position
		}
		for _, record := range page.Records {
			all.add(record)
		}
		if n += uint64(len(page.Records)); n >= 10_000 {
			a.Progress("reading what support did", n, 0)
		}
		if cursor = page.Next; cursor == "" {
			return all, at, nil
		}
	}
}

// compareAuditLogs finds the customers whose audit records in a ledger differ from the log, and advances the fold to the ledger's position.
func (f *Fold) compareAuditLogs(ctx context.Context, l ledger.Auditor, a CompareOptions) (drifts []Drift, err error) {
	got, at, err := readAuditLog(ctx, l, a)
	if err == nil {
		err = f.advanceToLedger(ctx, domain.CheckpointAt(at), a)
	}
	if err != nil {
		return nil, err
	}
	drift := func(customer domain.CustomerID) {
		log, readModel := f.accounts[customer].total(), f.accounts[customer].total()
		if log == nil {
			log, readModel = &DriftTotal{}, &DriftTotal{}
		}
		log.AuditRecords, readModel.AuditRecords = f.auditSums[customer].count, got[customer].count
		drifts = append(drifts, Drift{customer, log, readModel})
	}
	for customer, want := range f.auditSums {
		if got[customer] != want {
			drift(customer)
		}
	}
	for customer := range got {
		if _, known := f.auditSums[customer]; !known {
			drift(customer)
		}
	}
	return drifts, nil
}
