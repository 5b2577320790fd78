package memory

import (
	"context"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var _ leaderboard.StandingsReader = (*Board)(nil)

// Standings reads the totals of many customers; see leaderboard.StandingsReader.
func (b *Board) Standings(_ context.Context, keys []domain.ProxyKey) (leaderboard.Standings, error) {
	if err := leaderboard.CheckKeys(keys); err != nil {
		return leaderboard.Standings{}, err
	}
	s := leaderboard.Standings{Standings: make([]leaderboard.Standing, len(keys)), Found: make([]bool, len(keys))}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.ranking == nil {
		return leaderboard.Standings{}, errNotLoaded
	}
	for i := range keys {
		s.Standings[i], s.Found[i] = b.ranking.standing(&keys[i])
	}
	s.Customers, s.State = int64(b.ranking.tree.count), b.now.State()
	return s, nil
}
