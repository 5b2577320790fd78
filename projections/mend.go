package projections

import (
	"maps"
	"slices"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/readmodels/ledger"
)

// ahead is the position of the accounts that have changed since the reading of all of them began; see ledger.Reader.Accounts. What is made of the
// accounts is mended from the log: by the events that they do not have, up to the last of these positions.
type ahead map[domain.CustomerID]domain.Position

// remember is called with every piece, by one goroutine at a time.
func (a ahead) remember(p ledger.Piece) {
	if p.At == (domain.Position{}) {
		return
	}
	for _, account := range p.Accounts {
		a[account.Customer] = p.At
	}
}

// last is the last of the positions, and zero if nobody is ahead.
func (a ahead) last() (last domain.Position) {
	for _, at := range a {
		if last.Before(at) {
			last = at
		}
	}
	return last
}

// lacks tells whether the account of an event's customer was read without the event, which is after those of all others.
func (a ahead) lacks(r eventstore.Recorded) bool { return a[r.Event.Customer()].Before(r.Position) }

// inOrder are the customers in the order of their positions.
func (a ahead) inOrder() []domain.CustomerID {
	return slices.SortedFunc(maps.Keys(a), func(one, other domain.CustomerID) int { return a[one].Compare(a[other]) })
}
