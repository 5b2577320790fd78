package replay

import (
	"cmp"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Row is a customer on the leaderboard. Rank and Points are as they were; Other are those under the policy that is tried out. A
// rank of 0 is none: their total has never changed in that way.
type Row struct {
	Key         domain.ProxyKey
	Rank        int64
	Points      int64
	OtherRank   int64
	OtherPoints int64

	minute, otherMinute int64
}

// Name is the proxy name.
func (r *Row) Name() string { return r.Key.Name() }

// Board ranks everybody who is on the leaderboard in one of the ways, under the names that proxies gives, ordered by rank, those
// without one last. Without a policy to try the other ranks and points are 0. It takes some 70 bytes for a customer.
func (h *History) Board(proxies domain.Proxies) []Row {
	rows := make([]Row, 0, len(h.customers))
	for i := range h.customers {
		c := &h.customers[i]
		if !c.ranked(actual) && !c.ranked(tried) {
			continue
		}
		was, other := &c.totals[actual], &c.totals[tried]
		rows = append(rows, Row{
			Key: proxies.Key(c.id), Points: int64(was.points), OtherPoints: int64(other.points), minute: was.minute(), otherMinute: other.minute(),
		})
		row := &rows[len(rows)-1]
		if c.ranked(actual) {
			row.Rank = 1
		}
		if c.ranked(tried) {
			row.OtherRank = 1
		}
	}
	if h.policy != nil {
		slices.SortFunc(rows, func(a, b Row) int {
			return inOrder(a.OtherRank, b.OtherRank, a.OtherPoints, b.OtherPoints, a.otherMinute, b.otherMinute, &a, &b)
		})
		for i := range rows {
			if rows[i].OtherRank != 0 {
				rows[i].OtherRank = int64(i + 1)
			}
		}
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return inOrder(a.Rank, b.Rank, a.Points, b.Points, a.minute, b.minute, &a, &b)
	})
	for i := range rows {
		if rows[i].Rank != 0 {
			rows[i].Rank = int64(i + 1)
		}
	}
	return rows
}

func (c *customer) ranked(way int) bool { return c.totals[way].moved && !c.gone }

func (t *total) minute() int64 { return leaderboard.Minute(time.UnixMicro(t.reached)) }

// inOrder has those who are ranked first, in the order of a leaderboard.
func inOrder(aRank, bRank, aPoints, bPoints, aMinute, bMinute int64, a, b *Row) int {
	return cmp.Or(cmp.Compare(min(bRank, 1), min(aRank, 1)), cmp.Compare(bPoints, aPoints), cmp.Compare(aMinute, bMinute), a.Key.Compare(b.Key))
}
