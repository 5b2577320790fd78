package queries

import (
	"context"
	"fmt"
	"slices"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/internal/english"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// Customer is what is known of a customer before they are forgotten.
type Customer struct {
	// Account is what the ledger has, as of Position.
	Account  ledger.Account
	Position domain.Position
	// Known is false if neither the ledger nor the log has anything about this id.
	Known bool
	// Forgotten is true if the log says that they are forgotten, whether or not the ledger has come to that.
	Forgotten bool
}

// FindCustomer reads what the ledger and the log know of a customer. It returns domain.ErrUnavailable if either can't be reached.
func FindCustomer(ctx context.Context, store *eventstore.Store, l ledger.Reader, id domain.CustomerID) (Customer, error) {
	known, state, err := l.Account(ctx, id)
	if err != nil {
		return Customer{}, err
	}
	stored, _, err := store.Load(ctx, account.Stream(id))
	return Customer{
		Account: known, Position: state.Position, Known: known.Entries > 0 || len(stored) > 0,
		Forgotten: slices.ContainsFunc(stored, func(r eventstore.Recorded) bool {
			_, is := r.Event.(account.CustomerForgotten)
			return is
		}),
	}, err
}

// ErasureCheck says what a read model still has of a forgotten customer.
type ErasureCheck struct {
	account.Check
	// Found says in words what was found of each thing that was looked for.
	Found []string `json:"found"`
}

// add records in words what was found of one thing, and whether that is as it must be.
func (c *ErasureCheck) add(clean bool, yes, no string) {
	c.Clean = c.Clean && clean
	if !clean {
		yes = no
	}
	c.Found = append(c.Found, yes)
}

// CheckLedger checks that the ledger knows that the customer is forgotten, that their entries still add up to their total, and that
// their proxy name does not lead to them. It returns domain.ErrUnavailable when the ledger can't be reached.
func CheckLedger(ctx context.Context, l Ledger, proxies domain.Proxies, customer domain.CustomerID) (ErasureCheck, error) {
	check := ErasureCheck{Check: account.Check{Model: "ledger", Clean: true}}
	var first *ledger.Trail
	var sum, archived domain.Points
	var entries int64
	for page, err := range ledger.Pages(ctx, l, customer, ledger.Filter{}, ledger.MaxPage) {
		if err != nil {
			return check, err
		}
		if first == nil {
			first = &page
		}
		for _, e := range page.Entries {
			entries++
			sum += e.Points
			archived = e.Total - e.Points
		}
	}
	named, err := ledger.Named(ctx, l, proxies, proxies.Key(customer).Name())
	if err != nil {
		return check, err
	}
	known := first.Account
	check.Position = first.Position
	check.add(known.Forgotten, "it knows that they are forgotten", "it does not know that they are forgotten")
	check.add(!slices.Contains(named, customer), "the proxy name does not lead to them", "the proxy name leads to them")
	of := english.Count(uint64(entries), "entry", "entries")
	if known.Entries > entries { // the oldest months of a ledger may be archived
		sum += archived
		of += " and what is archived"
	}
	check.add(sum == known.Points, fmt.Sprintf("%d points are the sum of %s", sum, of), fmt.Sprintf("%d points are not the sum of %s, which is %d", known.Points, of, sum))
	return check, nil
}

// CheckLeaderboard checks that the customer behind key has no rank on the leaderboard called name, and can never get one again. Errors
// are those of leaderboard.Reader.
func CheckLeaderboard(ctx context.Context, name string, board leaderboard.Reader, key domain.ProxyKey) (ErasureCheck, error) {
	check := ErasureCheck{Check: account.Check{Model: name, Clean: true}}
	standing, ranked, position, err := board.Standing(ctx, key)
	if err != nil {
		return check, err
	}
	check.Position = position
	check.add(!ranked, "they have no rank", fmt.Sprintf("they are ranked, by %d points", standing.Points))
	check.add(standing.Retired, "their key is retired", "their key is not retired: they could come back")
	return check, nil
}

// CheckHistory checks that dashboards of the past don't name the customer behind key. It fails if the history is closed.
func CheckHistory(ctx context.Context, past *history.History, key domain.ProxyKey) (ErasureCheck, error) {
	check := ErasureCheck{Check: account.Check{Model: "history", Clean: true}}
	at, err := past.Checkpoint(ctx)
	if err != nil {
		return check, err
	}
	check.Position = at.Position
	check.add(past.Retired(key), "dashboards of the past don't name them", "dashboards of the past name them")
	return check, nil
}
