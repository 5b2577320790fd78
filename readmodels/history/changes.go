package history

import (
	"context"
	"errors"
	"io/fs"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Changes explains the change of a customer's rank; see Reader. Now is the state at the checkpoint, with its AsOf. Changes of the customer
// after they were forgotten don't count. Errors are those of AsOf.
func (h *History) Changes(ctx context.Context, field string, since Moment, key domain.ProxyKey) (found Changes, err error) {
	v, err := h.current()
	if err != nil {
		return found, err
	}
	past, err := h.cutoffAt(ctx, &v, field, since)
	if err != nil {
		return found, err
	}
	present := cutoff{number: len(v.sealed)}
	if present.entries, _, _, err = h.collect(ctx, present.number, v.active, everything); err != nil {
		return found, h.damaged(err)
	}
	err = h.withoutDamagedFiles(func() error {
		before, err := h.at(ctx, &v, &past)
		if err != nil {
			return err
		}
		defer before.close()
		after, err := h.at(ctx, &v, &present)
		if err != nil {
			return err
		}
		defer after.close()
		c := comparison{}
		if err := c.compare(ctx, before, after, key); err != nil {
			return err
		}
		if c.ownThen.sum != forgotten {
			if err := h.ownChanges(ctx, &v, &past, key, &c.Changes); err != nil {
				return err
			}
		}
		found = c.Changes
		return nil
	})
	found.Then.State, found.Now.State = past.state, leaderboard.State{Position: v.active.to, AsOf: timeOf(v.asOf)}
	return found, err
}

// comparison compares two moments.
type comparison struct {
	Changes
	// ownThen and ownNow are the customer's entries.
	ownThen, ownNow entry
}

// compare counts in one pass over both.
func (c *comparison) compare(ctx context.Context, before, after layers, key domain.ProxyKey) (err error) {
	if c.ownThen, c.Then.Ranked, err = before.find(key); err != nil {
		return err
	}
	if c.ownNow, c.Now.Ranked, err = after.find(key); err != nil {
		return err
	}
	c.Then.setOwn(&c.ownThen)
	c.Now.setOwn(&c.ownNow)
	earlier, err := before.merge(ctx)
	if err != nil {
		return err
	}
	later, err := after.merge(ctx)
	if err != nil {
		return err
	}
	was, more, err := earlier.next()
	if err != nil {
		return err
	}
	for {
		// Nobody disappears: every customer of then is among those of now, if need be as forgotten.
		is, ok, err := later.next()
		if err != nil || !ok {
			return err
		}
		if !more || !was.same(&is) {
			c.count(nil, &is)
			continue
		}
		c.count(&was, &is)
		if was, more, err = earlier.next(); err != nil {
			return err
		}
	}
}

// setOwn sets the customer's points, if they are on the leaderboard.
func (p *Place) setOwn(own *entry) {
	if p.Ranked = p.Ranked && own.sum != forgotten; p.Ranked {
		p.Rank, p.Points = 1, own.sum.points
	}
}

// count counts one customer. was is nil if they had no entry then.
func (c *comparison) count(was, is *entry) {
	wasThere, wasAbove := was != nil && was.sum != forgotten, false
	if wasThere {
		c.Then.Customers++
		if wasAbove = c.Then.Ranked && was.above(&c.ownThen); wasAbove {
			c.Then.Rank++
		}
	}
	isThere, isAbove := is.sum != forgotten, false
	if isThere {
		c.Now.Customers++
		if isAbove = c.Now.Ranked && is.above(&c.ownNow); isAbove {
			c.Now.Rank++
		}
	}
	switch {
	case !c.Then.Ranked || !c.Now.Ranked || wasAbove == isAbove:
	case isAbove:
		c.Overtaken++
	case !isThere:
		c.Left++
	default:
		c.Overtook++
		if is.sum.points < was.sum.points {
			c.Fell++
		}
	}
}

// ownChanges sums a customer's own changes after a cutoff, by kind. It skips segments without the customer, as their runs show.
func (h *History) ownChanges(ctx context.Context, v *view, since *cutoff, key domain.ProxyKey, c *Changes) error {
	ended, passed := false, int64(0)
	add := func(r record) bool {
		passed++
		if passed <= since.changes || !r.is(&key) {
			return true
		}
		switch r.kind() {
		case Awarded:
			c.Awarded += r.points()
		case Reversed:
			c.Reversed += r.points()
		case Adjusted:
			c.Adjusted += r.points()
		case Forgotten:
			ended = true
		}
		return !ended
	}
	for number := since.number; number <= len(v.sealed) && !ended; number++ {
		if number > since.number && number < len(v.sealed) {
			known, err := h.mayHaveChanged(v, number, key)
			if err != nil {
				return err
			}
			if !known {
				continue
			}
		}
		if err := h.scan(ctx, number, v.segment(number), add); err != nil {
			return h.damaged(err)
		}
	}
	return nil
}

// mayHaveChanged reports whether a segment may have changes of a customer.
func (h *History) mayHaveChanged(v *view, number int, key domain.ProxyKey) (bool, error) {
	run, err := openOf(h.run(number), v.sealed[number])
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer run.close()
	_, found, err := run.find(key)
	return found, err
}
