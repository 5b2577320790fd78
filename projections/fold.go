package projections

import (
	"context"
	"fmt"
	"strings"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// Fold is what the log says of every customer up to a position, folded in memory without touching any read model. It
// takes about 120 bytes of heap for a customer. It is for one goroutine.
type Fold struct {
	store     *eventstore.Store
	at        domain.Position
	last      lastEvents
	accounts  map[domain.CustomerID]*folded
	auditSums auditSums
	earnings  earningsOf
	listed    int64 // customers whose account a ledger hands out
	ranked    int64 // those of them who are on a leaderboard
	events    uint64
	changed   func(customer domain.CustomerID, before, after folded) // told of every event
	pass      int                                                    // counts the comparisons with a ledger
}

// lastEvents are where the events stand that a read model must have reached to be as the fold is: a projection whose types
// have had none since says only now and then that it is further on.
type lastEvents struct{ ledger, leaderboard domain.Position }

// folded is what the log says of a customer. It stands by its own for what ledger.Account says, which has the customer's
// id, the map's key, once more.
type folded struct {
	points  domain.Points
	reached int64 // microseconds since 1970, when the total last changed
	entries int64
	moved   bool // the total has ever changed
	gone    bool // the customer was forgotten
	seen    int  // the comparison that last met the customer
}

// listed tells whether a ledger hands the customer's account out.
func (a *folded) listed() bool { return a.moved || a.gone }

// ranked tells whether the customer is on a leaderboard.
func (a *folded) ranked() bool { return a.moved && !a.gone }

func (a *folded) account(customer domain.CustomerID) ledger.Account {
	return ledger.Account{Customer: customer, Points: a.points, ReachedAt: a.reachedAt(), Entries: a.entries, Forgotten: a.gone}
}

// reachedAt is zero if the total has never changed.
func (a *folded) reachedAt() time.Time {
	if !a.moved {
		return time.Time{}
	}
	return time.UnixMicro(a.reached).UTC()
}

// standing is what a leaderboard says of a customer who is ranked, or forgotten.
func (a *folded) standing(customer domain.CustomerID, proxies domain.Proxies) leaderboard.Standing {
	if a.gone {
		return leaderboard.Standing{Key: proxies.Key(customer), Retired: true}
	}
	return leaderboard.Standing{Key: proxies.Key(customer), Points: a.points, Minute: leaderboard.Minute(time.UnixMicro(a.reached))}
}

// NewFold begins before the first event of the log in store.
func NewFold(store *eventstore.Store) *Fold {
	return &Fold{store: store, accounts: map[domain.CustomerID]*folded{}, auditSums: auditSums{}, earnings: earningsOf{}}
}

// Position is how far the log is folded, and Events how many events of it counted.
func (f *Fold) Position() domain.Position { return f.at }

// Events counts the events folded.
func (f *Fold) Events() uint64 { return f.events }

// Customers counts those on a leaderboard: their total has ever changed, and they were not forgotten.
func (f *Fold) Customers() int64 { return f.ranked }

// Advance folds the log up to a position that it has reached. A fold that is there already stays as it is. An event that
// takes a total beyond ±domain.MaxTotal is domain.ErrPointsLimit with its position, as it is for every read model.
func (f *Fold) Advance(ctx context.Context, until domain.Position, progress func(domain.Position)) error {
	if !f.at.Before(until) {
		return nil
	}
	err := f.store.Between(ctx, f.at, until, ledgerTypes(), func(r eventstore.Recorded) error {
		if err := f.add(r); err != nil {
			return err
		}
		progress(r.Position)
		return nil
	})
	if err != nil {
		return err
	}
	f.at = until
	return nil
}

func (f *Fold) add(r eventstore.Recorded) error {
	customer, change := r.Event.Customer(), pointsOf(r.Event)
	a := f.accounts[customer]
	if a == nil {
		a = &folded{}
		f.accounts[domain.CustomerID(strings.Clone(string(customer)))] = a // the id shares memory with all of the event
	}
	total, err := a.points.Plus(change)
	if err != nil {
		return fmt.Errorf("the event at position %s: %w", r.Position, err)
	}
	before := *a
	record, isAuditRecord := auditRecordOf(r)
	if isAuditRecord {
		f.auditSums.add(record)
		a.gone = a.gone || record.Kind == ledger.Forgotten
	} else {
		a.entries++
		f.earnings.add(r)
	}
	if change != 0 {
		a.moved, a.points, a.reached = true, total, r.Event.Occurred().UnixMicro()
	}
	f.listed += difference(before.listed(), a.listed())
	f.ranked += difference(before.ranked(), a.ranked())
	f.events++
	f.at, f.last.ledger = r.Position, r.Position
	if !isAuditRecord || record.Kind == ledger.Forgotten {
		f.last.leaderboard = r.Position
	}
	if f.changed != nil {
		f.changed(customer, before, *a)
	}
	return nil
}

// difference is by how much the number of those of whom something holds changes with one of them.
func difference(before, after bool) int64 {
	switch {
	case after && !before:
		return 1
	case before && !after:
		return -1
	}
	return 0
}

// LedgerDigest is the digest of the ledger at the fold's position.
func (f *Fold) LedgerDigest() Digest {
	var d Digester
	for customer, a := range f.accounts {
		if a.listed() {
			d.AddAccount(a.account(customer))
		}
	}
	return d.Digest()
}

// LeaderboardDigest is the digest of those on the leaderboard at the fold's position, under the names that proxies gives.
func (f *Fold) LeaderboardDigest(proxies domain.Proxies) Digest {
	var d Digester
	for customer, a := range f.accounts {
		if a.ranked() {
			s := a.standing(customer, proxies)
			d.AddStanding(s.Key, s.Points, s.Minute)
		}
	}
	return d.Digest()
}

// standings hands the leaderboard at the fold's position to yield, and with it the keys that are retired.
func (f *Fold) standings(proxies domain.Proxies, a Audit, yield func(leaderboard.Standing) error) error {
	var n int64
	for customer, folded := range f.accounts {
		if !folded.listed() {
			continue
		}
		if n++; n%10_000 == 0 {
			a.Progress("loading the new leaderboard", uint64(n), uint64(len(f.accounts)))
		}
		if err := yield(folded.standing(customer, proxies)); err != nil {
			return err
		}
	}
	return nil
}
