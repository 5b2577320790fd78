package memory

import (
	"fmt"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// fold works out what a batch comes to before anything is changed.
type fold struct {
	results []result
	byKey   map[domain.ProxyKey]int // the place in results
}

// result is how one customer stands after the batch, retired perhaps, and where they were before it, which may be nowhere.
type result struct {
	standing leaderboard.Standing
	spot     spot
	there    bool
}

// maxKept is how many results of a batch are worth keeping the memory of for the next.
const maxKept = 1 << 14

// run folds the changes, one after the other, into the standings in the ranking, which it only reads. The results are
// good until the next run. A total that would pass ±domain.MaxTotal at any change is domain.ErrPointsLimit.
func (f *fold) run(r *ranking, changes []leaderboard.Change) ([]result, error) {
	if f.byKey == nil || len(f.byKey) > maxKept {
		*f = fold{byKey: make(map[domain.ProxyKey]int)}
	}
	clear(f.byKey)
	f.results = f.results[:0]
	entering := 0 // at most
	for i := range changes {
		change := &changes[i]
		if change.Points == 0 && !change.Retires {
			continue
		}
		at, seen := f.byKey[change.Key]
		if !seen {
			at = len(f.results)
			f.byKey[change.Key] = at
			f.results = append(f.results, before(r, &change.Key))
			if !f.results[at].there {
				entering++
			}
		}
		standing := &f.results[at].standing
		if change.Retires {
			*standing = leaderboard.Standing{Key: change.Key, Retired: true}
		}
		if standing.Retired {
			continue
		}
		total, err := standing.Points.Plus(change.Points)
		if err != nil {
			return nil, fmt.Errorf("change %d of the batch, customer %s: %w", i, change.Key, err)
		}
		standing.Points, standing.Minute = total, change.Minute
	}
	return f.results, room(r.tree.count, entering)
}

// before is a customer as the ranking has them.
func before(r *ranking, key *domain.ProxyKey) result {
	spot, there := r.index.find(key)
	if there {
		return result{standing: r.tree.entry(spot).standing(), spot: spot, there: true}
	}
	_, retired := r.retired[*key]
	return result{standing: leaderboard.Standing{Key: *key, Retired: retired}}
}
