package history

import (
	"context"
	"slices"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// AsOf reads the dashboard as it was at a moment; see Reader. State.AsOf is the moment if that is a time, and the time at which the last
// change until then was stored if it is a position. Errors, beside the Reader's, are those of leaderboard.CheckSizes and of ctx.
func (h *History) AsOf(ctx context.Context, field string, m Moment, key domain.ProxyKey, top, around int, d *leaderboard.Dashboard) error {
	if err := leaderboard.CheckSizes(top, around); err != nil {
		return err
	}
	v, err := h.current()
	if err != nil {
		return err
	}
	c, err := h.cutoffAt(ctx, &v, field, m)
	if err != nil {
		return err
	}
	var found standings
	err = h.withoutDamagedFiles(func() error {
		layers, err := h.at(ctx, &v, &c)
		if err != nil {
			return err
		}
		defer layers.close()
		found, err = rank(ctx, layers, key, top, around)
		return err
	})
	if err != nil {
		return err
	}
	h.fill(&found, d)
	d.State = c.state
	return nil
}

// standings is the content of a dashboard.
type standings struct {
	own       entry
	ranked    bool
	customers int64
	// better is the number of customers above the customer.
	better int64
	// top are the best customers. above and below are the customer's neighbours, the nearest first.
	top, above, below shortlist
}

// rank computes the standings in one pass over all customers.
func rank(ctx context.Context, l layers, key domain.ProxyKey, top, around int) (s standings, err error) {
	s = standings{top: shortlist{most: top}, above: shortlist{most: around, worst: true}, below: shortlist{most: around}}
	if s.own, s.ranked, err = l.find(key); err != nil {
		return s, err
	}
	s.ranked = s.ranked && s.own.sum != forgotten
	all, err := l.merge(ctx)
	if err != nil {
		return s, err
	}
	for {
		e, ok, err := all.next()
		if err != nil || !ok {
			return s, err
		}
		if e.sum == forgotten {
			continue
		}
		s.customers++
		s.top.add(&e)
		switch {
		case !s.ranked || e.same(&s.own):
		case e.above(&s.own):
			s.better++
			s.above.add(&e)
		default:
			s.below.add(&e)
		}
	}
}

// fill fills a dashboard. The key of a customer who was forgotten since is zero.
func (h *History) fill(s *standings, d *leaderboard.Dashboard) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	row := func(rank int64, e *entry) leaderboard.Row {
		key := e.key()
		if _, retired := h.retired[key]; retired {
			key = domain.ProxyKey{}
		}
		return leaderboard.Row{Rank: rank, Key: key, Points: e.sum.points}
	}
	*d = leaderboard.Dashboard{Ranked: s.ranked, Top: d.Top[:0], Around: d.Around[:0], Customers: s.customers}
	for i := range s.top.entries {
		d.Top = append(d.Top, row(int64(i)+1, &s.top.entries[i]))
	}
	if !s.ranked {
		return
	}
	rank := s.better + 1
	d.You = row(rank, &s.own)
	for i, e := range slices.Backward(s.above.entries) {
		d.Around = append(d.Around, row(rank-int64(i)-1, &e))
	}
	d.Around = append(d.Around, d.You)
	for i := range s.below.entries {
		d.Around = append(d.Around, row(rank+int64(i)+1, &s.below.entries[i]))
	}
}

// shortlist keeps the best of many entries, or the worst, in that order.
type shortlist struct {
	entries []entry
	most    int
	worst   bool
}

func (f *shortlist) add(e *entry) {
	if len(f.entries) == f.most {
		if f.most == 0 || !f.before(e, &f.entries[f.most-1]) {
			return
		}
		f.entries = f.entries[:f.most-1]
	}
	at, _ := slices.BinarySearchFunc(f.entries, *e, func(a, b entry) int {
		if f.before(&a, &b) {
			return -1
		}
		return 1
	})
	f.entries = slices.Insert(f.entries, at, *e)
}

func (f *shortlist) before(a, b *entry) bool {
	if f.worst {
		return b.above(a)
	}
	return a.above(b)
}
