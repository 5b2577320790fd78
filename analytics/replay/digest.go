package replay

import (
	"time"

	"loyalty/domain"
	"loyalty/projections"
	"loyalty/readmodels/ledger"
)

// Digests are the hashes of the contents of the read models at a position, as projections.Fold computes them. They depend on the log
// only, not on how it is folded.
type Digests struct {
	Ledger      projections.Digest `json:"ledger"`
	Leaderboard projections.Digest `json:"leaderboard"`
}

// Digests are the digests of the actual history.
func (h *History) Digests(proxies domain.Proxies) Digests { return h.digests(actual, proxies) }

// OtherDigests are the digests that the read models would have under the policy that is tried out.
func (h *History) OtherDigests(proxies domain.Proxies) Digests { return h.digests(tried, proxies) }

func (h *History) digests(way int, proxies domain.Proxies) Digests {
	var accounts, standings projections.Digester
	for i := range h.customers {
		c := &h.customers[i]
		t := &c.totals[way]
		if c.moved[way] || c.gone {
			account := ledger.Account{Customer: c.id, Points: domain.Points(t.points), Entries: int64(c.entries), Forgotten: c.gone}
			if c.moved[way] {
				account.ReachedAt = time.UnixMicro(t.reached)
			}
			accounts.AddAccount(account)
		}
		if c.ranked(way) {
			standings.AddStanding(proxies.Key(c.id), domain.Points(t.points), t.minute())
		}
	}
	return Digests{Ledger: accounts.Digest(), Leaderboard: standings.Digest()}
}
