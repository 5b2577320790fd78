package projections

import (
	"context"
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// Fold is what the log says of every customer up to a position, folded in memory without touching any read model. It
// takes about 120 bytes of heap for a customer. It is for one goroutine.
type Fold struct {
	store    *eventstore.Store
	at       domain.Position
	accounts map[domain.CustomerID]*folded
	ranked   int64 // customers whose total has ever changed
	events   uint64
	changed  func(customer domain.CustomerID, before folded, change domain.Points) // told of every event before it counts
	pass     int                                                                   // counts the comparisons with a ledger
}

// folded is what the log says of a customer. It stands by its own for what ledger.Account says, which has the customer's
// id, the map's key, once more.
type folded struct {
	points  domain.Points
	reached int64 // microseconds since 1970, when the total last changed
	entries int64
	moved   bool // the total has ever changed
	seen    int  // the comparison that last met the customer
}

func (a *folded) account(customer domain.CustomerID) ledger.Account {
	return ledger.Account{Customer: customer, Points: a.points, ReachedAt: time.UnixMicro(a.reached).UTC(), Entries: a.entries}
}

func (a *folded) standing(customer domain.CustomerID, proxies domain.Proxies) leaderboard.Standing {
	return leaderboard.Standing{Key: proxies.Key(customer), Points: a.points, Minute: leaderboard.Minute(time.UnixMicro(a.reached))}
}

// NewFold begins before the first event of the log in store.
func NewFold(store *eventstore.Store) *Fold {
	return &Fold{store: store, accounts: map[domain.CustomerID]*folded{}}
}

// Position is how far the log is folded, and Events how many events of it changed points.
func (f *Fold) Position() domain.Position { return f.at }

// Events counts the events folded.
func (f *Fold) Events() uint64 { return f.events }

// Customers counts those whose total has ever changed: those on a leaderboard.
func (f *Fold) Customers() int64 { return f.ranked }

// Advance folds the log up to a position that it has reached. A fold that is there already stays as it is. An event that
// takes a total beyond ±domain.MaxTotal is domain.ErrPointsLimit with its position, as it is for every read model.
func (f *Fold) Advance(ctx context.Context, until domain.Position, progress func(domain.Position)) error {
	if !f.at.Before(until) {
		return nil
	}
	err := f.store.Between(ctx, f.at, until, pointsTypes(), func(r eventstore.Recorded) error {
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
		f.accounts[customer] = a
	}
	total, err := a.points.Plus(change)
	if err != nil {
		return fmt.Errorf("the event at position %s: %w", r.Position, err)
	}
	if f.changed != nil {
		f.changed(customer, *a, change)
	}
	if change != 0 {
		if !a.moved {
			a.moved = true
			f.ranked++
		}
		a.points, a.reached = total, r.Event.Occurred().UnixMicro()
	}
	a.entries++
	f.events++
	f.at = r.Position
	return nil
}

// LedgerDigest is the digest of the ledger at the fold's position.
func (f *Fold) LedgerDigest() Digest {
	var d digester
	for customer, a := range f.accounts {
		if a.moved {
			d.addAccount(a.account(customer))
		}
	}
	return d.digest()
}

// LeaderboardDigest is the digest of the leaderboard at the fold's position, under the names that proxies gives.
func (f *Fold) LeaderboardDigest(proxies domain.Proxies) Digest {
	var d digester
	for customer, a := range f.accounts {
		if a.moved {
			s := a.standing(customer, proxies)
			d.addStanding(s.Key, s.Points, s.Minute)
		}
	}
	return d.digest()
}

// standings hands the leaderboard at the fold's position to yield.
func (f *Fold) standings(proxies domain.Proxies, a Audit, yield func(leaderboard.Standing) error) error {
	var n int64
	for customer, folded := range f.accounts {
		if !folded.moved {
			continue
		}
		if n++; n%10_000 == 0 {
			a.Progress("loading the new leaderboard", uint64(n), uint64(f.ranked))
		}
		if err := yield(folded.standing(customer, proxies)); err != nil {
			return err
		}
	}
	return nil
}
