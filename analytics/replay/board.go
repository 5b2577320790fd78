package replay

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Row is a customer on the leaderboard. Rank and Points are the actual ones, OtherRank and OtherPoints those under the policy that is
// tried out. Rank 0 means not ranked: the total has never changed.
type Row struct {
	Key         domain.ProxyKey
	Rank        int64
	Points      int64
	OtherRank   int64
	OtherPoints int64

	minute, otherMinute int64
	unnamed             bool
}

// Name is the proxy name, empty on a board without names.
func (r *Row) Name() string {
	if r.unnamed {
		return ""
	}
	return r.Key.Name()
}

// Board ranks all customers who have an actual rank or one under the policy, under the keys that proxies makes. With the zero Proxies there
// are no names, and of customers who are equal in all else the one whom the log names first comes first. Rows are ordered by
// actual rank; those without one are last. Without a policy the other ranks and points are 0. It takes about 70 bytes per customer.
func (h *History) Board(proxies domain.Proxies) []Row {
	rows := make([]Row, 0, len(h.customers))
	unnamed := proxies == domain.Proxies{}
	for i := range h.customers {
		c := &h.customers[i]
		if !c.ranked(actual) && !c.ranked(tried) {
			continue
		}
		was, other := &c.totals[actual], &c.totals[tried]
		var key domain.ProxyKey
		if unnamed {
			binary.BigEndian.PutUint64(key[:], uint64(i))
		} else {
			key = proxies.Key(c.id)
		}
		rows = append(rows, Row{
			Key: key, unnamed: unnamed, Points: was.points, OtherPoints: other.points, minute: was.minute(), otherMinute: other.minute(),
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

func (c *customer) ranked(way int) bool { return c.moved[way] && !c.gone }

func (t *total) minute() int64 { return leaderboard.Minute(time.UnixMicro(t.reached)) }

// inOrder compares rows in the order of a leaderboard. Rows without a rank are last.
func inOrder(aRank, bRank, aPoints, bPoints, aMinute, bMinute int64, a, b *Row) int {
	return cmp.Or(cmp.Compare(min(bRank, 1), min(aRank, 1)), cmp.Compare(domain.Points(bPoints).Ranked(), domain.Points(aPoints).Ranked()), cmp.Compare(aMinute, bMinute), a.Key.Compare(b.Key))
}
