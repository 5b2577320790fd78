// Package queries has the use cases that only read: explaining an entry, searching, saying what changed, and checking what a
// forgotten customer has left behind. They append nothing; what appends is in package commands.
package queries

import "loyalty/readmodels/ledger"

// Ledger is what these queries read of the ledger.
type Ledger interface {
	ledger.Reader
	ledger.Finder
}
