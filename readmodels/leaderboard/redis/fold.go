package redis

import (
	"fmt"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// fold works out what a batch comes to.
type fold struct {
	keys     []any // of each customer whom the batch concerns, once
	places   map[domain.ProxyKey]int
	standing []leaderboard.Standing // of each, retired perhaps
	there    []bool                 // who was among the customers before the batch
	retired  []bool                 // who was retired before it
}

func newFold(changes []leaderboard.Change) *fold {
	f := &fold{keys: make([]any, 0, len(changes)), places: make(map[domain.ProxyKey]int, len(changes))}
	for i := range changes {
		c := &changes[i]
		if _, known := f.places[c.Key]; (c.Points != 0 || c.Retires) && !known {
			f.places[c.Key] = len(f.keys)
			f.keys = append(f.keys, c.Key[:])
		}
	}
	return f
}

// start takes the totals before the batch, read as scores, nothing for those who are not there.
func (f *fold) start(scores []any) error {
	f.standing = make([]leaderboard.Standing, len(f.keys))
	f.there, f.retired = make([]bool, len(f.keys)), make([]bool, len(f.keys))
	for i := range f.standing {
		text, there := scores[i].(string)
		if !there {
			continue
		}
		score, err := parseScore(text)
		if err != nil {
			return err
		}
		f.there[i] = true
		f.standing[i].Points, f.standing[i].Minute = parts(score)
	}
	return nil
}

// run makes the changes, one after the other. A total that would pass ±domain.MaxTotal at any change is
// domain.ErrPointsLimit.
func (f *fold) run(changes []leaderboard.Change) error {
	for i := range f.standing {
		f.standing[i].Retired = f.retired[i]
	}
	for i := range changes {
		c := &changes[i]
		if c.Points == 0 && !c.Retires {
			continue
		}
		s := &f.standing[f.places[c.Key]]
		if s.Retired = s.Retired || c.Retires; s.Retired {
			continue
		}
		total, err := s.Points.Plus(c.Points)
		if err != nil {
			return fmt.Errorf("change %d of the batch, customer %s: %w", i, c.Key, err)
		}
		s.Points, s.Minute = total, c.Minute
	}
	return nil
}

// written is what a batch changes in Redis: commands, and how the numbers of customers and of retired keys move.
type written struct {
	commands                    [][]any
	entering, leaving, retiring int64
}

func (f *fold) written(customers, retired string) (w written) {
	change := append(make([]any, 0, 2+2*len(f.keys)), "ZADD", customers)
	leave, retire := []any{"ZREM", customers}, []any{"SADD", retired}
	for i, s := range f.standing {
		switch {
		case !s.Retired:
			change = append(change, score(s.Points, s.Minute), f.keys[i])
			if !f.there[i] {
				w.entering++
			}
		case !f.retired[i]:
			retire = append(retire, f.keys[i])
			w.retiring++
			if f.there[i] {
				leave = append(leave, f.keys[i])
				w.leaving++
			}
		}
	}
	for _, command := range [][]any{change, leave, retire} {
		if len(command) > 2 {
			w.commands = append(w.commands, command)
		}
	}
	return w
}
