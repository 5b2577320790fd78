package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/season"
	"loyalty/projections"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

// modelToCheck is a read model that must not lead to a forgotten customer.
type modelToCheck struct {
	// projection keeps it; shared tells that it is the one that other processes have, who may run the same projection.
	projection projections.Projection
	shared     bool
	wait       func(context.Context, domain.Position) error
	// check looks into it, once it has reached the position at which the customer was forgotten.
	check func(context.Context) (erasureCheck, error)
}

// checkAt looks into the read model once it reflects a position, for which it may take as long as patience.
func (m modelToCheck) checkAt(ctx context.Context, others *followers, position domain.Position, patience time.Duration) (erasureCheck, error) {
	following, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := others.reach(following, m.projection, m.shared, m.wait, position); err != nil {
		return erasureCheck{}, err
	}
	return m.check(ctx)
}

// erasureCheck is what was found in a read model, with words.
type erasureCheck struct {
	account.Check
	Found []string `json:"found"`
}

// add says what was found of one thing, and whether that is as it must be.
func (c *erasureCheck) add(clean bool, yes, no string) {
	c.Clean = c.Clean && clean
	if !clean {
		yes = no
	}
	c.Found = append(c.Found, yes)
}

// modelsToCheck are all there are, in the order in which they need each other. past is nil where there is none to look into.
func modelsToCheck(s stores, past *history.History, proxies domain.Proxies, customer domain.CustomerID, seasons []season.Season) []modelToCheck {
	models := []modelToCheck{
		{projections.Ledger{Writer: s.ledger, Proxies: proxies}, true, s.ledger.Wait, func(ctx context.Context) (erasureCheck, error) {
			return checkLedger(ctx, s, proxies, customer)
		}},
		boardToCheck(s, s.board, projections.Leaderboard{Accounts: s.ledger, Proxies: proxies}, customer),
	}
	if past != nil {
		models = append(models, modelToCheck{
			projections.History{Writer: past, Proxies: proxies}, false, past.Wait, func(ctx context.Context) (erasureCheck, error) {
				return checkHistory(ctx, past, proxies.Key(customer))
			},
		})
	}
	for _, of := range seasons {
		models = append(models, boardToCheck(s, s.seasonBoard(of.ID), projections.Leaderboard{
			Season: of, Accounts: ledger.Season{Ledger: s.ledger, From: of.From, Until: of.Until}, Proxies: proxies.ForSeason(of.ID),
		}, customer))
	}
	return models
}

// seasonBoard is a season's leaderboard, wherever that of all time is.
func (s stores) seasonBoard(id string) boardStore {
	if s.shared == nil {
		return memory.New()
	}
	return s.shared.Season(id)
}

// boardToCheck is a leaderboard. One in memory is here an empty one, which is loaded from the ledger as every process does at its
// start.
func boardToCheck(s stores, board boardStore, p projections.Leaderboard, customer domain.CustomerID) modelToCheck {
	p.Writer = board
	return modelToCheck{p, s.shared != nil, board.Wait, func(ctx context.Context) (erasureCheck, error) {
		return checkBoard(ctx, p.Name(), board, p.Proxies.Key(customer))
	}}
}

// checkLedger looks whether the ledger knows that the customer is forgotten, whether their entries still add up to their total,
// and whether their proxy name leads to them.
func checkLedger(ctx context.Context, s stores, proxies domain.Proxies, customer domain.CustomerID) (erasureCheck, error) {
	check := erasureCheck{Check: account.Check{Model: "ledger", Clean: true}}
	var first *ledger.Trail
	var sum, archived domain.Points
	var entries int64
	for page, err := range ledger.Pages(ctx, s.ledger, customer, ledger.Filter{}, ledger.MaxPage) {
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
	named, err := ledger.Named(ctx, s.ledger, proxies, proxies.Key(customer).Name())
	if err != nil {
		return check, err
	}
	known := first.Account
	check.Position = first.Position
	check.add(known.Forgotten, "it knows that they are forgotten", "it does not know that they are forgotten")
	check.add(!slices.Contains(named, customer), "the proxy name does not lead to them", "the proxy name leads to them")
	of := count(uint64(entries), "entry", "entries")
	if known.Entries > entries { // the oldest months of a ledger may be archived
		sum += archived
		of += " and what is archived"
	}
	check.add(sum == known.Points, fmt.Sprintf("%d points are the sum of %s", sum, of), fmt.Sprintf("%d points are not the sum of %s, which is %d", known.Points, of, sum))
	return check, nil
}

// checkBoard looks whether the customer has a rank, and whether they could ever get one again.
func checkBoard(ctx context.Context, name string, board leaderboard.Reader, key domain.ProxyKey) (erasureCheck, error) {
	check := erasureCheck{Check: account.Check{Model: name, Clean: true}}
	standing, ranked, position, err := board.Standing(ctx, key)
	if err != nil {
		return check, err
	}
	check.Position = position
	check.add(!ranked, "they have no rank", fmt.Sprintf("they are ranked, by %d points", standing.Points))
	check.add(standing.Retired, "their key is retired", "their key is not retired: they could come back")
	return check, nil
}

// checkHistory looks whether dashboards of the past call the customer by their name.
func checkHistory(ctx context.Context, past *history.History, key domain.ProxyKey) (erasureCheck, error) {
	check := erasureCheck{Check: account.Check{Model: "history", Clean: true}}
	var err error
	if check.Position, err = past.Checkpoint(ctx); err != nil {
		return check, err
	}
	check.add(past.Retired(key), "dashboards of the past don't name them", "dashboards of the past name them")
	return check, nil
}
