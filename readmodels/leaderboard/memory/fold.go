package memory

import (
	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// fold computes the results of a batch, before anything is changed.
type fold struct {
	results []result
	byKey   map[domain.ProxyKey]int // index in results
}

// result is a customer's standing after the batch, which may be retired, and where they are before it, if ranked.
type result struct {
	standing leaderboard.Standing
	spot     spot
	ranked   bool
}

// maxKept is the number of results up to which a fold keeps its memory for the next batch.
const maxKept = 1 << 14

// run folds the changes, one after the other, into the standings of the ranking, which it only reads. The results are valid until the
// next run.
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
			if !f.results[at].ranked {
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
		standing.Points, standing.Minute = standing.Points+change.Points, change.Minute
	}
	return f.results, checkRoom(r.tree.count, entering)
}

// before is a customer's result before any change.
func before(r *ranking, key *domain.ProxyKey) result {
	spot, ranked := r.index.find(key)
	if ranked {
		return result{standing: r.at(spot), spot: spot, ranked: true}
	}
	_, retired := r.retired[*key]
	return result{standing: leaderboard.Standing{Key: *key, Retired: retired}}
}
