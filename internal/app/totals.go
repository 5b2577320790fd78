package app

import (
	"context"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// boardTotals reads a customer's points from the leaderboard.
type boardTotals struct {
	leaderboard.Reader
	proxies domain.Proxies
}

// Total is the customer's points on the leaderboard, and its position.
func (t boardTotals) Total(ctx context.Context, customer domain.CustomerID) (domain.Points, domain.Position, error) {
	standing, _, position, err := t.Standing(ctx, t.proxies.Key(customer))
	return standing.Points, position, err
}

// ledgerTotals reads a customer's points from the ledger.
type ledgerTotals struct{ ledger.Reader }

// Total is the customer's points in the ledger, and its position.
func (t ledgerTotals) Total(ctx context.Context, customer domain.CustomerID) (domain.Points, domain.Position, error) {
	account, state, err := t.Account(ctx, customer)
	return account.Points, state.Position, err
}
