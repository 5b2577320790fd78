package projections

import (
	"context"
	"strings"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// Fold folds the log in memory, up to a position, independently of the read models. It takes about 120 bytes of heap for a customer. It is not
// safe for concurrent use.
type Fold struct {
	store     *eventstore.Store
	at        domain.Checkpoint
	last      lastEvents
	accounts  map[domain.CustomerID]*folded
	auditSums auditSums
	earnings  earningsOf
	listed    int64 // customers in ledger.Reader.Accounts
	ranked    int64 // customers on a leaderboard
	events    uint64
	changed   func(customer domain.CustomerID, before, after folded) // called for every event, if set
	pass      int                                                    // number of comparisons with a ledger
}

// lastEvents are the positions of the last events that a read model must have applied to equal the fold. Its checkpoint may be behind the
// fold's position, because it moves only at intervals while there are no events of the projection's types.
type lastEvents struct{ ledger, leaderboard domain.Position }

// folded is a customer's state. Unlike ledger.Account, it does not repeat the customer's id, the map's key, which saves memory.
type folded struct {
	points    domain.Points
	reached   int64 // microseconds since 1970, when the total last changed
	entries   int64
	moved     bool // the total has changed at least once
	forgotten bool // the customer was forgotten
	seen      int  // the pass of the last comparison that read the customer
}

// listed reports whether ledger.Reader.Accounts has the customer.
func (a *folded) listed() bool { return a.moved || a.forgotten }

// ranked reports whether the customer is on a leaderboard.
func (a *folded) ranked() bool { return a.moved && !a.forgotten }

func (a *folded) account(customer domain.CustomerID) ledger.Account {
	return ledger.Account{Customer: customer, Points: a.points, ReachedAt: a.reachedAt(), Entries: a.entries, Forgotten: a.forgotten}
}

// reachedAt is zero if the total has never changed.
func (a *folded) reachedAt() time.Time {
	if !a.moved {
		return time.Time{}
	}
	return time.UnixMicro(a.reached).UTC()
}

// standing is the standing of a customer who is ranked or forgotten.
func (a *folded) standing(customer domain.CustomerID, proxies domain.Proxies) leaderboard.Standing {
	if a.forgotten {
		return leaderboard.Standing{Key: proxies.Key(customer), Retired: true}
	}
	return leaderboard.Standing{Key: proxies.Key(customer), Points: a.points, Minute: leaderboard.Minute(time.UnixMicro(a.reached))}
}

// NewFold makes a fold of the log in store, at the zero position.
func NewFold(store *eventstore.Store) *Fold {
	return &Fold{store: store, accounts: map[domain.CustomerID]*folded{}, auditSums: auditSums{}, earnings: earningsOf{}}
}

// Position is the position up to which the log is folded.
func (f *Fold) Position() domain.Position { return f.at.Position }

// Events is the number of events folded.
func (f *Fold) Events() uint64 { return f.events }

// Advance folds the log up to a position that exists in it. It does nothing if the fold has reached it already. It calls progress with the
// position of each event.
func (f *Fold) Advance(ctx context.Context, until domain.Position, progress func(domain.Position)) error {
	reached, err := f.store.Between(ctx, f.at, until, ledgerTypes(), func(r eventstore.Recorded) error {
		f.add(r)
		progress(r.Position)
		return nil
	})
	if err == nil {
		f.at = reached
	}
	return err
}

func (f *Fold) add(r eventstore.Recorded) {
	customer, change := r.Event.Customer(), pointsOf(r.Event)
	a := f.accounts[customer]
	if a == nil {
		a = &folded{}
		f.accounts[domain.CustomerID(strings.Clone(string(customer)))] = a // the id would keep the whole event in memory
	}
	before := *a
	record, isAuditRecord := auditRecordOf(r)
	if isAuditRecord {
		f.auditSums.add(record)
		a.forgotten = a.forgotten || record.Kind == ledger.Forgotten
	} else {
		a.entries++
		f.earnings.add(r)
	}
	if change != 0 {
		a.moved, a.points, a.reached = true, a.points+change, r.Event.Occurred().UnixMicro()
	}
	f.listed += difference(before.listed(), a.listed())
	f.ranked += difference(before.ranked(), a.ranked())
	f.events++
	f.at.Position, f.at.Last, f.last.ledger = r.Position, r.Ref(), r.Position
	if !isAuditRecord || record.Kind == ledger.Forgotten {
		f.last.leaderboard = r.Position
	}
	if f.changed != nil {
		f.changed(customer, before, *a)
	}
}

// difference is the change of a count of customers if a condition of one customer changes.
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

// LeaderboardDigest is the digest of the leaderboard at the fold's position, with the keys of proxies.
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

// standings calls yield with the standings of the leaderboard at the fold's position, and with its retired keys.
func (f *Fold) standings(proxies domain.Proxies, a CompareOptions, yield func(leaderboard.Standing) error) error {
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
