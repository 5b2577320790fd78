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

// result is how one customer stands after the batch, and where they were before it, which may be nowhere.
type result struct {
	standing leaderboard.Standing
	spot     spot
	enters   bool
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
	entering := 0
	for i := range changes {
		change := &changes[i]
		if change.Points == 0 {
			continue
		}
		at, seen := f.byKey[change.Key]
		if !seen {
			at = len(f.results)
			f.byKey[change.Key] = at
			spot, found := r.index.find(&change.Key)
			f.results = append(f.results, result{standing: leaderboard.Standing{Key: change.Key}, spot: spot, enters: !found})
			if found {
				f.results[at].standing = r.tree.entry(spot).standing()
			} else {
				entering++
			}
		}
		standing := &f.results[at].standing
		total, err := standing.Points.Plus(change.Points)
		if err != nil {
			return nil, fmt.Errorf("change %d of the batch, customer %s: %w", i, change.Key, err)
		}
		standing.Points, standing.Minute = total, change.Minute
	}
	return f.results, room(r.tree.count, entering)
}
