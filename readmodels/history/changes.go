package history

import (
	"context"
	"errors"
	"io/fs"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Changes says why a customer's rank is another than it was, as Reader says. Now is the checkpoint, and its AsOf when that was last
// known to be complete. Changes of the customer that came after they were forgotten don't count. Errors are those of AsOf.
func (h *History) Changes(ctx context.Context, field string, since Moment, key domain.ProxyKey) (found Changes, err error) {
	v, err := h.now()
	if err != nil {
		return found, err
	}
	past, err := h.cutAt(ctx, &v, field, since)
	if err != nil {
		return found, err
	}
	present := cut{number: len(v.sealed)}
	if present.begun, _, _, err = h.collect(ctx, present.number, v.active, everything); err != nil {
		return found, h.damaged(err)
	}
	err = h.despiteDamage(func() error {
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
		if c.had.sum != gone {
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

// comparison holds two moments against each other.
type comparison struct {
	Changes
	// had and has are what the customer had and has.
	had, has entry
}

// compare counts, in one pass over both.
func (c *comparison) compare(ctx context.Context, before, after layers, key domain.ProxyKey) (err error) {
	if c.had, c.Then.Ranked, err = before.find(key); err != nil {
		return err
	}
	if c.has, c.Now.Ranked, err = after.find(key); err != nil {
		return err
	}
	c.Then.stand(&c.had)
	c.Now.stand(&c.has)
	earlier, err := before.merge(ctx)
	if err != nil {
		return err
	}
	later, err := after.merge(ctx)
	if err != nil {
		return err
	}
	was, there, err := earlier.next()
	if err != nil {
		return err
	}
	for {
		// Nobody disappears: everybody of then is among those of now, perhaps as gone.
		is, ok, err := later.next()
		if err != nil || !ok {
			return err
		}
		if !there || !was.same(&is) {
			c.count(nil, &is)
			continue
		}
		c.count(&was, &is)
		if was, there, err = earlier.next(); err != nil {
			return err
		}
	}
}

// stand notes a customer's own total, if they are on the leaderboard.
func (p *Place) stand(own *entry) {
	if p.Ranked = p.Ranked && own.sum != gone; p.Ranked {
		p.Rank, p.Points = 1, own.points()
	}
}

// count counts somebody. Who was not known then has no entry of then.
func (c *comparison) count(was, is *entry) {
	wasThere, wasAbove := was != nil && was.sum != gone, false
	if wasThere {
		c.Then.Customers++
		if wasAbove = c.Then.Ranked && was.above(&c.had); wasAbove {
			c.Then.Rank++
		}
	}
	isThere, isAbove := is.sum != gone, false
	if isThere {
		c.Now.Customers++
		if isAbove = c.Now.Ranked && is.above(&c.has); isAbove {
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
		if is.points() < was.points() {
			c.Fell++
		}
	}
}

// ownChanges adds up what happened to a customer after a cut, by kind. Of each whole segment the run says whether they are in
// it at all.
func (h *History) ownChanges(ctx context.Context, v *view, since *cut, key domain.ProxyKey, c *Changes) error {
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
			known, err := h.inRun(v, number, key)
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

// inRun tells whether a segment may have changes of a customer.
func (h *History) inRun(v *view, number int, key domain.ProxyKey) (bool, error) {
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
