package memory

import (
	"fmt"
	"math"
	"slices"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// maxCustomers is limited by 32-bit counts.
const maxCustomers = math.MaxUint32

// checkRoom returns domain.ErrUnavailable if there can't be so many more customers.
func checkRoom(customers, more int) error {
	if customers+more > maxCustomers {
		return fmt.Errorf("a leaderboard of more than %d customers: %w", maxCustomers, domain.ErrUnavailable)
	}
	return nil
}

// ranking is one state of the leaderboard: a tree of the customers in order, an index of their keys, and the retired keys, which are in
// neither. The tree clamps totals; beyond has the true ones of the customers beyond the clamp. Those and retired keys are few; the maps have
// no pointers for the garbage collector to follow.
type ranking struct {
	tree    tree
	index   index
	retired map[domain.ProxyKey]struct{}
	beyond  map[domain.ProxyKey]domain.Points
}

// newRanking takes entries in order, in parts of at least a leaf each unless there is only one. The ranking has no index yet; see makeIndex.
func newRanking(parts ...part) *ranking {
	r := &ranking{tree: tree{leaves: arena[leaf]{shift: 11}, inners: arena[inner]{shift: 10}}, retired: map[domain.ProxyKey]struct{}{}, beyond: map[domain.ProxyKey]domain.Points{}}
	r.tree.build(parts)
	return r
}

// makeIndex makes the index of all customers in the tree. A duplicate key is domain.ErrInvalid.
func (r *ranking) makeIndex() (err error) {
	r.index, err = indexOf(&r.tree.leaves, r.tree.best, r.tree.count)
	r.tree.index = &r.index
	return err
}

// setRetired sets the retired keys of a new ranking. A key that is also in the tree is domain.ErrInvalid.
func (r *ranking) setRetired(retired map[domain.ProxyKey]struct{}) error {
	for key := range retired {
		if _, found := r.index.find(&key); found {
			return errDuplicate(key)
		}
	}
	r.retired = retired
	return nil
}

func (r *ranking) release() {
	r.tree.leaves.release()
	r.tree.inners.release()
	r.index.pages.release()
}

// enter adds a customer who is not in the ranking.
func (r *ranking) enter(e entry) {
	hash := r.index.hash(e)
	r.index.reserve(hash)
	r.index.put(hash, r.tree.insert(e))
}

// move moves a customer of the ranking to another place. They are likely, but need not be, at the given spot.
func (r *ranking) move(likely spot, e entry) {
	from := likely
	if l := r.tree.leaves.at(from.leaf); from.at >= int(l.n) || l.entries[from.at].head != e.head || l.entries[from.at].tail != e.tail {
		key := e.key()
		from, _ = r.index.find(&key)
	}
	r.tree.remove(from)
	if to := r.tree.insert(e); to != from.leaf {
		r.index.move(e, from.leaf, to)
	}
}

// retire retires a key, and removes the customer if they are in the ranking.
func (r *ranking) retire(key *domain.ProxyKey) {
	if at, found := r.index.find(key); found {
		r.index.move(r.tree.entry(at), at.leaf, none)
		r.tree.remove(at)
	}
	r.retired[*key] = struct{}{}
	delete(r.beyond, *key)
}

// store gives the customers of results their new standings.
func (r *ranking) store(results []result) {
	for i := range results {
		switch s := &results[i].standing; {
		case s.Retired:
			r.retire(&s.Key)
			continue
		case results[i].ranked:
			r.move(results[i].spot, newEntry(*s))
		default:
			r.enter(newEntry(*s))
		}
		r.keep(&results[i].standing)
	}
}

// keep remembers the true total of a customer who is beyond the clamp, and of no other.
func (r *ranking) keep(s *leaderboard.Standing) {
	if s.Points != s.Points.Ranked() {
		r.beyond[s.Key] = s.Points
	} else if len(r.beyond) > 0 {
		delete(r.beyond, s.Key)
	}
}

// total is a customer's true total, given the clamped one.
func (r *ranking) total(key *domain.ProxyKey, clamped domain.Points) domain.Points {
	if clamped == domain.MaxRanked || clamped == -domain.MaxRanked {
		if total, beyond := r.beyond[*key]; beyond {
			return total
		}
	}
	return clamped
}

// at is the standing of the customer at a spot.
func (r *ranking) at(s spot) leaderboard.Standing {
	standing := r.tree.entry(s).standing()
	standing.Points = r.total(&standing.Key, standing.Points)
	return standing
}

// standing is a customer's total; false if they are not in the ranking.
func (r *ranking) standing(key *domain.ProxyKey) (leaderboard.Standing, bool) {
	spot, found := r.index.find(key)
	if !found {
		if _, retired := r.retired[*key]; retired {
			return leaderboard.Standing{Key: *key, Retired: true}, false
		}
		return leaderboard.Standing{}, false
	}
	return r.at(spot), true
}

// dashboard sets all of d but the state.
func (r *ranking) dashboard(key *domain.ProxyKey, top, around int, d *leaderboard.Dashboard) {
	d.Customers = int64(r.tree.count)
	d.Ranked, d.You, d.Around = false, leaderboard.Row{}, d.Around[:0]
	if own, found := r.index.find(key); found {
		rank := r.tree.rank(own)
		above := min(around, rank)
		d.Ranked = true
		d.You = leaderboard.Row{Rank: int64(rank) + 1, Key: *key, Points: r.total(key, r.tree.entry(own).points())}
		d.Around = r.appendRows(d.Around, r.tree.back(own, above), rank-above, above+1+around)
	}
	d.Top = r.appendRows(d.Top[:0], spot{leaf: r.tree.best}, 0, top)
}

// appendRows appends up to n rows from a spot on; before is the number of customers before it.
func (r *ranking) appendRows(rows []leaderboard.Row, s spot, before, n int) []leaderboard.Row {
	n = min(n, r.tree.count-before)
	rows = slices.Grow(rows, n)
	first := len(rows)
	for n > 0 {
		l := r.tree.leaves.at(s.leaf)
		for i := range l.entries[s.at:min(s.at+n, int(l.n))] {
			before++
			n--
			rows = rows[:len(rows)+1]
			l.entries[s.at+i].row(&rows[len(rows)-1])
			rows[len(rows)-1].Rank = int64(before)
		}
		s = spot{leaf: l.next}
	}
	if len(r.beyond) > 0 {
		for i := range rows[first:] {
			row := &rows[first+i]
			row.Points = r.total(&row.Key, row.Points)
		}
	}
	return rows
}
