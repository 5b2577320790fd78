package redis

import (
	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// fold computes the results of a batch.
type fold struct {
	keys     []any // of each customer in the batch, once
	indexes  map[domain.ProxyKey]int
	standing []leaderboard.Standing // by index in keys; may be retired
	ranked   []bool                 // before the batch
	retired  []bool                 // before the batch
	beyond   []bool                 // before the batch: beyond the clamp
}

func newFold(changes []leaderboard.Change) *fold {
	f := &fold{keys: make([]any, 0, len(changes)), indexes: make(map[domain.ProxyKey]int, len(changes))}
	for i := range changes {
		c := &changes[i]
		if _, known := f.indexes[c.Key]; (c.Points != 0 || c.Retires) && !known {
			f.indexes[c.Key] = len(f.keys)
			f.keys = append(f.keys, c.Key[:])
		}
	}
	return f
}

// start sets the totals before the batch from scores, which are nil for customers who are not ranked.
func (f *fold) start(scores []any) error {
	f.standing = make([]leaderboard.Standing, len(f.keys))
	f.ranked, f.retired, f.beyond = make([]bool, len(f.keys)), make([]bool, len(f.keys)), make([]bool, len(f.keys))
	for i := range f.standing {
		text, ranked := scores[i].(string)
		if !ranked {
			continue
		}
		score, err := parseScore(text)
		if err != nil {
			return err
		}
		f.ranked[i] = true
		f.standing[i].Points, f.standing[i].Minute = decodeScore(score)
	}
	return nil
}

// run makes the changes, one after the other.
func (f *fold) run(changes []leaderboard.Change) {
	for i := range f.standing {
		f.standing[i].Retired = f.retired[i]
	}
	for i := range changes {
		c := &changes[i]
		if c.Points == 0 && !c.Retires {
			continue
		}
		s := &f.standing[f.indexes[c.Key]]
		if s.Retired = s.Retired || c.Retires; s.Retired {
			continue
		}
		s.Points, s.Minute = s.Points+c.Points, c.Minute
	}
}

// written is what a batch changes in Redis: the commands, and the changes of the numbers of customers, of retired keys, and of customers
// beyond the clamp.
type written struct {
	commands                            [][]any
	entering, leaving, retiring, beyond int64
}

func (f *fold) written(customers, retired, beyond string) (w written) {
	change := append(make([]any, 0, 2+2*len(f.keys)), "ZADD", customers)
	leave, retire := []any{"ZREM", customers}, []any{"SADD", retired}
	keep, drop := []any{"HSET", beyond}, []any{"HDEL", beyond}
	for i, s := range f.standing {
		switch isBeyond := !s.Retired && s.Points != s.Points.Ranked(); {
		case isBeyond:
			keep = append(keep, f.keys[i], int64(s.Points))
			if !f.beyond[i] {
				w.beyond++
			}
		case f.beyond[i]:
			drop = append(drop, f.keys[i])
			w.beyond--
		}
		switch {
		case !s.Retired:
			change = append(change, score(s.Points, s.Minute), f.keys[i])
			if !f.ranked[i] {
				w.entering++
			}
		case !f.retired[i]:
			retire = append(retire, f.keys[i])
			w.retiring++
			if f.ranked[i] {
				leave = append(leave, f.keys[i])
				w.leaving++
			}
		}
	}
	for _, command := range [][]any{change, leave, retire, keep, drop} {
		if len(command) > 2 {
			w.commands = append(w.commands, command)
		}
	}
	return w
}
