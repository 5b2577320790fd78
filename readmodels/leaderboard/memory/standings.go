package memory

import (
	"context"
	"fmt"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var _ leaderboard.Auditor = (*Board)(nil)

// Standings is leaderboard.Auditor's. More keys than leaderboard.MaxStandings are domain.ErrInvalid.
func (b *Board) Standings(_ context.Context, keys []domain.ProxyKey) (leaderboard.Standings, error) {
	if len(keys) > leaderboard.MaxStandings {
		return leaderboard.Standings{}, domain.Invalid("keys", "too_many_keys", fmt.Sprintf("at most %d at once", leaderboard.MaxStandings))
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
	s.Customers, s.State = int64(b.ranking.tree.count), b.state
	return s, nil
}
