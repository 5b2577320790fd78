package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// cutoff is a moment's place in the log: a segment, and the number of its changes until the moment.
type cutoff struct {
	number  int
	changes int64
	// entries are the sums of those changes, by key.
	entries []entry
	state   leaderboard.State
}

// cutoffAt finds a moment in the log.
func (h *History) cutoffAt(ctx context.Context, v *view, field string, m Moment) (c cutoff, err error) {
	end := v.active
	if end.to == (domain.Position{}) && v.asOf == noTime {
		return c, fmt.Errorf("the history is empty: %w", domain.ErrNotCaughtUp)
	}
	limit := ticks(m.Time)
	// beyond reports whether a segment ends after the moment, inside whether a change is not after it.
	beyond, inside := func(s segment) bool { return m.Position.Before(s.last) }, func(r record) bool { return !m.Position.Before(r.position()) }
	late := end.to.Before(m.Position)
	if !m.Time.IsZero() {
		beyond, inside = func(s segment) bool { return s.latest > limit }, func(r record) bool { return r.stored() <= limit }
		late = limit > v.asOf
	}
	if late {
		return c, domain.Invalid(field, "moment_too_late", fmt.Sprintf("nothing is known beyond position %s and %s", end.to, timeOf(v.asOf)))
	}
	c.number = sort.Search(len(v.sealed), func(i int) bool { return beyond(v.sealed[i]) })
	segment := v.segment(c.number)
	var last record
	if c.entries, c.changes, last, err = h.collect(ctx, c.number, segment, inside); err != nil {
		return c, h.damaged(err)
	}
	switch {
	case c.changes > 0:
		c.state = leaderboard.State{Position: last.position(), AsOf: timeOf(last.stored())}
	case c.number > 0:
		before := v.sealed[c.number-1]
		c.state = leaderboard.State{Position: before.last, AsOf: timeOf(before.stored)}
	default:
		return c, domain.Invalid(field, "moment_too_early", "that is before the first change of anybody's points")
	}
	if !m.Time.IsZero() {
		c.state.AsOf = m.Time.UTC()
	}
	return c, nil
}

// Begins is when the first change was stored. It returns domain.ErrNotCaughtUp as long as there is none.
func (h *History) Begins(ctx context.Context) (time.Time, error) {
	v, err := h.current()
	if err != nil {
		return time.Time{}, err
	}
	begins := int64(noTime)
	err = h.scan(ctx, 0, v.segment(0), func(r record) bool { begins = r.stored(); return false })
	switch {
	case err != nil:
		return time.Time{}, h.damaged(err)
	case begins == noTime:
		return time.Time{}, fmt.Errorf("the history is empty: %w", domain.ErrNotCaughtUp)
	}
	return timeOf(begins), nil
}

// damaged adds to the error of a damaged log what to do about it.
func (h *History) damaged(err error) error {
	if errors.Is(err, errIncomplete) {
		return fmt.Errorf("the history in %s is damaged; without that folder it is folded anew: %w", h.dir, err)
	}
	return err
}

// layers together give every customer's points at a moment. The earliest is first.
type layers []layer

// layer is the sums of some successive changes, in a file or in memory.
type layer struct {
	file    *sortedFile
	entries []entry
}

// at returns the layers of a cutoff.
func (h *History) at(ctx context.Context, v *view, c *cutoff) (layers, error) {
	all, err := h.layers(ctx, v, c.number)
	if err != nil {
		return nil, err
	}
	return append(all, layer{entries: c.entries}), nil
}

// layers returns the layers of all segments before one: the last snapshot, and the runs after it.
func (h *History) layers(ctx context.Context, v *view, until int) (all layers, err error) {
	first := 0
	for i := len(v.snapshots) - 1; i >= 0 && first == 0; i-- {
		number := v.snapshots[i].number
		if number >= until {
			continue
		}
		file, err := openOf(h.snapshot(number), v.sealed[number])
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			all, first = append(all, layer{file: file}), number+1
		}
	}
	for number := first; number < until; number++ {
		file, err := openOf(h.run(number), v.sealed[number])
		var entries []entry
		if errors.Is(err, fs.ErrNotExist) {
			if entries, _, _, err = h.collect(ctx, number, v.sealed[number], everything); err != nil {
				err = h.damaged(err)
			}
		}
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, layer{file, entries})
	}
	return all, nil
}

// openOf opens a sorted file, which is damaged if it is not of the segment.
func openOf(path string, s segment) (*sortedFile, error) {
	file, err := openSorted(path)
	if err != nil {
		return nil, err
	}
	if file.footer.segment != s {
		return nil, errors.Join(&damagedError{path}, file.close())
	}
	return file, nil
}

func (l layers) close() error {
	var errs []error
	for _, each := range l {
		if each.file != nil {
			errs = append(errs, each.file.close())
		}
	}
	return errors.Join(errs...)
}

func (l layers) merge(ctx context.Context) (*merge, error) {
	sources := make([]*source, len(l))
	for i, each := range l {
		if each.file != nil {
			sources[i] = each.file.source(ctx)
		} else {
			sources[i] = sourceOf(each.entries)
		}
	}
	return newMerge(sources)
}

// find sums a customer's entries in the layers; found is false if there are none.
func (l layers) find(key domain.ProxyKey) (own entry, found bool, err error) {
	own = newEntry(key, sum{})
	for _, each := range l {
		var in sum
		inLayer := false
		if each.file == nil {
			in, inLayer = findEntry(each.entries, key)
		} else if in, inLayer, err = each.file.find(key); err != nil {
			return own, false, err
		}
		if inLayer {
			own.sum, found = own.sum.plus(in), true
		}
	}
	return own, found, nil
}

// withoutDamagedFiles repeats do as long as it finds a sorted file damaged, and removes that file.
func (h *History) withoutDamagedFiles(do func() error) error {
	for {
		err := do()
		var damage *damagedError
		if !errors.As(err, &damage) {
			return err
		}
		h.options.Logger.Error("a file of the history is damaged and removed; it goes on without", "path", damage.path)
		if err := os.Remove(damage.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(damage, err)
		}
	}
}
