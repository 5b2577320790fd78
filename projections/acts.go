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

// actOf is the act that an event is, if it is one.
func actOf(r eventstore.Recorded) (act ledger.Act, ok bool) {
	switch e := r.Event.(type) {
	case account.AdjustmentRequested:
		act = ledger.Act{Kind: ledger.Requested, Loyalty: e.LoyaltyID, Points: e.Points, Reason: e.Reason, Actor: e.Actor}
	case account.AdjustmentApproved:
		act = ledger.Act{Kind: ledger.Approved, Loyalty: e.LoyaltyID, Points: e.Points, Actor: e.Actor}
	case account.AdjustmentDeclined:
		act = ledger.Act{Kind: ledger.Declined, Loyalty: e.LoyaltyID, Reason: e.Reason, Actor: e.Actor}
	case account.CustomerForgotten:
		act = ledger.Act{Kind: ledger.Forgotten, Reason: e.Reason, Actor: e.Actor}
	case account.ErasureCertified:
		act = ledger.Act{Kind: ledger.Certified, Actor: e.Actor}
	case account.ProxyNameRevealed:
		act = ledger.Act{Kind: ledger.Revealed, Reason: e.Reason, Actor: e.Actor}
	default:
		return act, false
	}
	act.EventID, act.Position, act.Correlation = r.ID.String(), r.Position, r.Metadata.Correlation
	act.Customer, act.OccurredAt = r.Event.Customer(), r.Event.Occurred()
	return act, true
}

// acted is what a customer's acts come to: how many there are, and the sum of a hash of each. Whether a request was decided follows
// from the others and is not in it.
type acted struct {
	acts int64
	hash uint64
}

// actsOf are what the acts of customers come to, of those who have any.
type actsOf map[domain.CustomerID]acted

func (all actsOf) add(a ledger.Act) {
	row := binary.BigEndian.AppendUint64(nil, a.Position.Commit)
	row = binary.BigEndian.AppendUint64(row, a.Position.Prepare)
	row = binary.BigEndian.AppendUint64(row, uint64(a.Points))
	row = binary.BigEndian.AppendUint64(row, uint64(a.OccurredAt.UnixMicro()))
	for _, text := range []string{a.EventID, string(a.Kind), string(a.Loyalty), a.Reason, a.Actor, a.Correlation} {
		row = append(append(row, text...), 0)
	}
	hash := sha256.Sum256(row)
	sum := all[a.Customer]
	all[a.Customer] = acted{sum.acts + 1, sum.hash + binary.BigEndian.Uint64(hash[:])}
}

// readActs reads all acts of a ledger, and the position it stood at with the first page: what comes after that is on none.
func readActs(ctx context.Context, l ledger.Auditor, a Audit) (actsOf, domain.Position, error) {
	all, at, n := actsOf{}, domain.Position{}, uint64(0)
	for cursor := ""; ; {
		page, err := l.Acts(ctx, ledger.ActFilter{}, cursor, ledger.MaxPage)
		if err != nil {
			return nil, at, err
		}
		if cursor == "" {
			at = page.Position
		}
		for _, act := range page.Acts {
			all.add(act)
		}
		if n += uint64(len(page.Acts)); n >= 10_000 {
			a.Progress("reading what support did", n, 0)
		}
		if cursor = page.Next; cursor == "" {
			return all, at, nil
		}
	}
}

// compareActs finds the customers of whose acts a ledger has others than the log, and moves the fold to where the ledger stands.
func (f *Fold) compareActs(ctx context.Context, l ledger.Auditor, a Audit) (drifts []Drift, err error) {
	got, at, err := readActs(ctx, l, a)
	if err == nil {
		err = f.meet(ctx, at, a)
	}
	if err != nil {
		return nil, err
	}
	drift := func(customer domain.CustomerID) {
		log, readModel := f.accounts[customer].total(), f.accounts[customer].total()
		if log == nil {
			log, readModel = &DriftTotal{}, &DriftTotal{}
		}
		log.Acts, readModel.Acts = f.acts[customer].acts, got[customer].acts
		drifts = append(drifts, Drift{customer, log, readModel})
	}
	for customer, want := range f.acts {
		if got[customer] != want {
			drift(customer)
		}
	}
	for customer := range got {
		if _, known := f.acts[customer]; !known {
			drift(customer)
		}
	}
	return drifts, nil
}
