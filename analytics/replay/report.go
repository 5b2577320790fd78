package replay

import (
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
)

// Report has the sums of a history, and a comparison with another policy.
type Report struct {
	Position domain.Position `json:"position"`
	// StoredAt is when the last event folded was stored; zero if there was none.
	StoredAt time.Time `json:"storedAt"`
	Events   uint64    `json:"events"`
	// Customers is the number of customers with an entry, and Ranked the number of those on the leaderboard. Forgotten customers count in
	// Customers and in the sums, and not in Ranked.
	Customers int64   `json:"customers"`
	Forgotten int64   `json:"forgotten"`
	Ranked    int64   `json:"ranked"`
	Totals    Sums    `json:"totals"`
	Parts     []Part  `json:"parts,omitempty"`
	Top       []Place `json:"top"`
	Policy    *WhatIf `json:"policy,omitempty"`
	// Quarantined are the events up to Position that count for nobody.
	Quarantined []eventstore.Quarantined `json:"quarantined,omitempty"`
}

// Part has the sums of one channel, month or currency.
type Part struct {
	// Name is the channel, the currency, or the month as in "2026-10". It is empty for entries that have none, such as adjustments.
	Name   string `json:"name"`
	Totals Sums   `json:"totals"`
	Other  *Sums  `json:"other,omitempty"`
}

// Place is a customer in a top list.
type Place struct {
	Rank        int64  `json:"rank,omitempty"`
	ProxyName   string `json:"proxyName,omitempty"`
	Points      int64  `json:"points"`
	OtherRank   int64  `json:"otherRank,omitempty"`
	OtherPoints *int64 `json:"otherPoints,omitempty"`
}

// WhatIf compares a history with the same orders under another policy.
type WhatIf struct {
	ID     string `json:"id"`
	Totals Sums   `json:"totals"`
	// Difference is Totals.Net less the actual net points.
	Difference int64 `json:"difference"`
	// Unpriced is the number of orders in a currency that the policy does not price. They earn nothing.
	Unpriced int64 `json:"unpriced"`
	// Liability is the value of the points outstanding; nil if the policy does not state the value of a point.
	Liability *Liability `json:"liability,omitempty"`
	// Up, Down and Same are the numbers of customers with more, fewer and as many points, forgotten ones included.
	Up   int64 `json:"up"`
	Down int64 `json:"down"`
	Same int64 `json:"same"`
	// Moves is how ranks change.
	Moves Moves `json:"moves"`
	// Top is the top list under the policy.
	Top []Place `json:"top"`
}

// Liability is in minor units.
type Liability struct {
	PointValue int64 `json:"pointValue"`
	Actual     int64 `json:"actual"`
	Other      int64 `json:"other"`
	Difference int64 `json:"difference"`
}

// Moves is how far ranks move for the Customers who have both: the percentiles (nearest-rank method) of the distance, in either direction,
// and the longest moves up and down.
type Moves struct {
	Customers int64 `json:"customers"`
	Median    int64 `json:"median"`
	P90       int64 `json:"p90"`
	P99       int64 `json:"p99"`
	Up        int64 `json:"up"`
	Down      int64 `json:"down"`
	// Joined and Left are the numbers of customers who are on the leaderboard only under the policy, or only without it.
	Joined int64 `json:"joined"`
	Left   int64 `json:"left"`
}

// Report makes a report, with top customers in each top list. board is the history's Board. A liability beyond 64 bits is
// domain.ErrInvalid.
func (h *History) Report(board []Row, top int) (Report, error) {
	r := Report{
		Position: h.position, StoredAt: h.stored, Events: h.events, Totals: h.sums[actual],
		Top: []Place{}, Parts: h.breakdown(),
	}
	for _, q := range h.quarantined {
		if !h.position.Before(q.Position) {
			r.Quarantined = append(r.Quarantined, q)
		}
	}
	for i := range h.customers {
		c := &h.customers[i]
		if c.entries > 0 {
			r.Customers++
		}
		if c.gone {
			r.Forgotten++
		}
		if c.ranked(actual) {
			r.Ranked++
		}
	}
	for i := range board[:min(top, len(board))] {
		if board[i].Rank > 0 {
			r.Top = append(r.Top, h.place(&board[i]))
		}
	}
	if h.policy == nil {
		return r, nil
	}
	var err error
	r.Policy, err = h.whatIf(board, top)
	return r, err
}

func (h *History) place(row *Row) Place {
	p := Place{Rank: row.Rank, ProxyName: row.Name(), Points: row.Points}
	if h.policy != nil {
		p.OtherRank, p.OtherPoints = row.OtherRank, &row.OtherPoints
	}
	return p
}

func (h *History) whatIf(board []Row, top int) (*WhatIf, error) {
	w := &WhatIf{
		ID: h.policy.ID, Totals: h.sums[tried], Difference: h.sums[tried].Net - h.sums[actual].Net, Unpriced: h.unpriced,
		Moves: moves(board), Top: make([]Place, 0, top),
	}
	for i := range h.customers {
		c := &h.customers[i]
		if c.entries == 0 {
			continue
		}
		switch cmp.Compare(c.totals[tried].points, c.totals[actual].points) {
		case 1:
			w.Up++
		case -1:
			w.Down++
		default:
			w.Same++
		}
	}
	best := make([]*Row, top)
	for i := range board {
		if rank := board[i].OtherRank; 0 < rank && rank <= int64(top) {
			best[rank-1] = &board[i]
		}
	}
	for _, row := range best {
		if row != nil {
			w.Top = append(w.Top, h.place(row))
		}
	}
	if value := h.policy.PointValue; value > 0 {
		was, fits := times(h.sums[actual].Net, value)
		is, alsoFits := times(h.sums[tried].Net, value)
		if !fits || !alsoFits {
			return nil, domain.Invalid("policy.pointValue", "policy_invalid", fmt.Sprintf("the liability at %d a point does not fit 64 bits", value))
		}
		w.Liability = &Liability{PointValue: value, Actual: was, Other: is, Difference: is - was}
	}
	return w, nil
}

// times multiplies. It is false if the difference of two such products might overflow.
func times(points, value int64) (int64, bool) {
	high, low := bits.Mul64(uint64(max(points, -points)), uint64(value))
	return points * value, high == 0 && low < 1<<62
}

func moves(board []Row) (m Moves) {
	var far []int64
	for i := range board {
		switch row := &board[i]; {
		case row.Rank == 0:
			m.Joined++
		case row.OtherRank == 0:
			m.Left++
		default:
			up := row.Rank - row.OtherRank
			m.Up, m.Down = max(m.Up, up), max(m.Down, -up)
			far = append(far, max(up, -up))
		}
	}
	m.Customers = int64(len(far))
	slices.Sort(far)
	percentile := func(p int) int64 {
		if len(far) == 0 {
			return 0
		}
		return far[(p*len(far)+99)/100-1]
	}
	m.Median, m.P90, m.P99 = percentile(50), percentile(90), percentile(99)
	return m
}

// breakdown has the parts in order: months by time, channels and currencies by index.
func (h *History) breakdown() (parts []Part) {
	for _, key := range slices.Sorted(maps.Keys(h.parts)) {
		sums := h.parts[key]
		p := Part{Totals: sums[actual]}
		switch h.by {
		case ByChannel:
			p.Name = channelNames[key]
		case ByCurrency:
			p.Name = currencyNames[key]
		case ByMonth:
			p.Name = time.UnixMicro(key).UTC().Format("2006-01")
		}
		if h.policy != nil {
			p.Other = &sums[tried]
		}
		parts = append(parts, p)
	}
	return parts
}
