package support

import (
	"context"
	"time"

	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/internal/app"
	"loyalty/projections"
	"loyalty/queries"
	"loyalty/readmodels/history"
	"loyalty/readmodels/ledger"
)

// modelToCheck is a read model that must not lead to a forgotten customer.
type modelToCheck struct {
	// projection keeps it. shared says that other processes use the same read model and may run the same projection.
	projection projections.Projection
	shared     bool
	wait       func(context.Context, domain.Position) error
	// check checks it, once it reflects the position at which the customer was forgotten.
	check func(context.Context) (queries.ErasureCheck, error)
}

// checkAt checks the read model once it reflects a position, which may take as long as timeout.
func (m modelToCheck) checkAt(ctx context.Context, others *app.CatchUp, position domain.Position, timeout time.Duration) (queries.ErasureCheck, error) {
	following, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := others.Reach(following, m.projection, m.shared, m.wait, position); err != nil {
		return queries.ErasureCheck{}, err
	}
	return m.check(ctx)
}

// modelsToCheck are all read models, in the order of their dependencies. past may be nil.
func modelsToCheck(s app.Stores, past *history.History, proxies domain.Proxies, customer domain.CustomerID, seasons []season.Season) []modelToCheck {
	models := []modelToCheck{
		{projections.Ledger{Writer: s.Ledger, Proxies: proxies}, true, s.Ledger.Wait, func(ctx context.Context) (queries.ErasureCheck, error) {
			return queries.CheckLedger(ctx, s.Ledger, proxies, customer)
		}},
		boardToCheck(s, s.Leaderboard, projections.Leaderboard{Accounts: s.Ledger, Log: s.Store, Proxies: proxies}, customer),
	}
	if past != nil {
		models = append(models, modelToCheck{
			projections.History{Writer: past, Proxies: proxies}, false, past.Wait, func(ctx context.Context) (queries.ErasureCheck, error) {
				return queries.CheckHistory(ctx, past, proxies.Key(customer))
			},
		})
	}
	for _, of := range seasons {
		models = append(models, boardToCheck(s, s.SeasonLeaderboard(of), projections.Leaderboard{
			Season: of, Accounts: ledger.Season{Ledger: s.Ledger, From: of.From, Until: of.Until}, Log: s.Store, Proxies: proxies.ForSeason(of.ID),
		}, customer))
	}
	return models
}

// boardToCheck is a leaderboard to check. One in memory is empty here and is loaded from the ledger, as every process does when it starts.
func boardToCheck(s app.Stores, board app.LeaderboardStore, p projections.Leaderboard, customer domain.CustomerID) modelToCheck {
	p.Writer = board
	return modelToCheck{p, s.Shared != nil, board.Wait, func(ctx context.Context) (queries.ErasureCheck, error) {
		return queries.CheckLeaderboard(ctx, p.Name(), board, p.Proxies.Key(customer))
	}}
}
