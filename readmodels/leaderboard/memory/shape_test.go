package memory

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

func TestTheTreeKeepsItsShape(t *testing.T) {
	const n = 12_000
	for name, place := range map[string]func(i int) (points domain.Points, minute int64){
		"ascending":           func(i int) (domain.Points, int64) { return domain.Points(-i), 0 },
		"descending":          func(i int) (domain.Points, int64) { return domain.Points(i), 0 },
		"all in one place":    func(int) (domain.Points, int64) { return 7, 7 },
		"at random":           func(i int) (domain.Points, int64) { return domain.Points(i * 7919 % n), 0 },
		"some totals, by age": func(i int) (domain.Points, int64) { return domain.Points(i * 7919 % 13), int64(i / 100) },
	} {
		t.Run(name, func(t *testing.T) {
			r := emptyRanking(t)
			random := rand.New(rand.NewPCG(1, 2))
			var model []entry
			for i := range n {
				points, minute := place(i)
				e := newEntry(leaderboard.Standing{Key: customer(i), Points: points, Minute: minute})
				r.enter(e)
				model = append(model, e)
				if i%(n/5) == 0 {
					check(t, r)
				}
			}
			agree(t, r, model)
			for i := range 2 * n { // half of them go up, as in the shop
				who := random.IntN(n)
				s := model[who].standing()
				s.Points, s.Minute = s.Points+domain.Points(random.IntN(9)), int64(i/50)
				key := s.Key
				spot, _ := r.index.find(&key)
				spot.at -= random.IntN(2) // which may be wrong, and is then looked for
				if spot.at < 0 {
					spot.at = leafSize
				}
				model[who] = newEntry(s)
				r.move(spot, model[who])
			}
			agree(t, r, model)
		})
	}
}

func TestTheTreeShrinksToNothing(t *testing.T) {
	for name, spotOf := range map[string]func(tr *tree, random *rand.Rand) spot{
		"from the best": func(tr *tree, _ *rand.Rand) spot { return spot{leaf: tr.best} },
		"at random": func(tr *tree, random *rand.Rand) spot {
			return tr.spot(random.IntN(tr.count))
		},
		"from the last": func(tr *tree, _ *rand.Rand) spot { return tr.spot(tr.count - 1) },
	} {
		t.Run(name, func(t *testing.T) {
			r := emptyRanking(t)
			for i := range 9000 {
				r.enter(newEntry(leaderboard.Standing{Key: customer(i), Points: domain.Points(i % 50)}))
			}
			if r.tree.height < 2 {
				t.Fatalf("a tree of height %d tests little", r.tree.height)
			}
			random := rand.New(rand.NewPCG(3, 4))
			for r.tree.count > 0 {
				r.tree.remove(spotOf(&r.tree, random))
				if r.tree.count%1000 < 3 {
					checkTree(t, &r.tree)
				}
			}
			if leaves := int(r.tree.leaves.used) - len(r.tree.leaves.free); leaves != 1 || r.tree.height != 0 {
				t.Errorf("an empty tree keeps %d leaves and has height %d", leaves, r.tree.height)
			}
			if inners := int(r.tree.inners.used) - len(r.tree.inners.free); inners != 0 {
				t.Errorf("an empty tree keeps %d inner nodes", inners)
			}
		})
	}
}

func TestALoadedTreeHasTheShapeOfAGrownOne(t *testing.T) {
	for _, n := range []int{0, 1, leafSize, leafSize + 1, 2*leafSize - 1, 36 * innerSize, 36*innerSize + 1, 2300, 2700, 150_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			model := make([]entry, n)
			for i := range model {
				model[i] = newEntry(leaderboard.Standing{Key: customer(i), Points: domain.Points(i * 7919 % 101)})
			}
			slices.SortFunc(model, entry.compare)
			r := newRanking(part{n, slices.Values(model)})
			defer r.release()
			if err := r.makeIndex(); err != nil {
				t.Fatal(err)
			}
			agree(t, r, model)
		})
	}
}

func TestRunsMergeInOrderInPartsThatFillLeaves(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	for _, n := range []int{0, 1, 16, leafSize, 2 * leafSize, 1000, 20_000} {
		for _, places := range []int{1, 7, 1 << 20} {
			var want []entry
			var runs [][]entry
			for i := range n {
				e := newEntry(leaderboard.Standing{Key: customer(i), Points: domain.Points(i * 7919 % places), Minute: int64(i % places)})
				if i%700 == 0 {
					runs = append(runs, nil)
				}
				runs[len(runs)-1], want = append(runs[len(runs)-1], e), append(want, e)
			}
			for _, run := range runs {
				sortRun(run)
			}
			slices.SortFunc(want, entry.compare)
			var got []entry
			parts := partsOf(runs)
			for _, p := range parts {
				before := len(got)
				if got = slices.AppendSeq(got, p.entries); len(got)-before != p.n || (p.n < leafSize && len(parts) > 1) {
					t.Errorf("a part of %d entries gives %d", p.n, len(got)-before)
				}
			}
			if !slices.Equal(got, want) || n == 20_000 && len(parts) < 3 {
				t.Errorf("%d entries of %d places come in another order, in %d parts", n, places, len(parts))
			}
			r := newRanking(parts...)
			if err := r.makeIndex(); err != nil {
				t.Error(err)
			}
			agree(t, r, want)
			r.release()
		}
	}
}

func TestRunsAreSortedByAllOfTheirEntries(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		few := rapid.Uint64Range(0, 3)
		any := rapid.Uint64Range(0, 1<<54-1)
		run := rapid.SliceOf(rapid.Custom(func(rt *rapid.T) entry {
			return entry{rapid.OneOf(few, any).Draw(rt, "place"), few.Draw(rt, "head"), any.Draw(rt, "tail")}
		})).Draw(rt, "run")
		want := slices.Clone(run)
		slices.SortFunc(want, entry.compare)
		if sortRun(run); !slices.Equal(run, want) {
			rt.Fatalf("got %v, want %v", run, want)
		}
	})
}

func TestAnIndexThatIsTooSmallIsMadeAnew(t *testing.T) {
	r := emptyRanking(t)
	const n = 5000
	for i := range n {
		r.enter(newEntry(leaderboard.Standing{Key: customer(i)}))
	}
	small := newIndex(&r.tree.leaves, 0)
	defer small.pages.release()
	if fits, err := small.addAll(r.tree.best); fits || err != nil {
		t.Errorf("%d customers in a page of %d: got %v, %v", n, pageMax, fits, err)
	}
	fitting, err := indexOf(&r.tree.leaves, r.tree.best, pageTarget) // which is told too few
	if err != nil {
		t.Fatal(err)
	}
	r.index.pages.release()
	r.index = fitting
	check(t, r)
}

func TestAPageMayBeManyBitsBehindTheDirectory(t *testing.T) {
	r := emptyRanking(t)
	for range 4 {
		r.index.doubleDirectory()
	}
	for i := range 12_000 {
		r.enter(newEntry(leaderboard.Standing{Key: customer(i)}))
	}
	check(t, r)
}

func emptyRanking(t *testing.T) *ranking {
	r := newRanking(part{0, func(func(entry) bool) {}})
	t.Cleanup(r.release)
	if err := r.makeIndex(); err != nil {
		t.Fatal(err)
	}
	return r
}

// spot is where the customer is who has so many before them.
func (t *tree) spot(rank int) spot {
	id := t.best
	for rank >= int(t.leaves.at(id).n) {
		rank -= int(t.leaves.at(id).n)
		id = t.leaves.at(id).next
	}
	return spot{id, rank}
}

// agree says that the ranking holds exactly these entries in order, each found by its key and at its rank.
func agree(t *testing.T, r *ranking, entries []entry) {
	t.Helper()
	check(t, r)
	want := slices.SortedFunc(slices.Values(entries), entry.compare)
	for rank, e := range want {
		key := e.key()
		spot, found := r.index.find(&key)
		if !found || r.tree.entry(spot) != e || r.tree.rank(spot) != rank {
			t.Fatalf("rank %d, %+v: got found %v, spot %+v", rank, e.standing(), found, spot)
		}
	}
	if r.tree.count != len(entries) {
		t.Fatalf("%d customers, want %d", r.tree.count, len(entries))
	}
	strange := customer(-5)
	if _, found := r.index.find(&strange); found {
		t.Fatal("somebody is found who is not there")
	}
}

// check looks at everything that must always hold.
func check(t *testing.T, r *ranking) {
	t.Helper()
	checkTree(t, &r.tree)
	indexed := 0
	for id := range r.index.pages.used {
		n := 0
		for _, b := range r.index.pages.at(id) {
			n += int(b.n)
			for _, leaf := range b.leaves[:b.n] {
				if leaf != none {
					indexed++
				}
			}
		}
		if n != int(r.index.fills[id].places) || n > pageMax {
			t.Fatalf("page %d has %d places taken and says %d", id, n, r.index.fills[id].places)
		}
	}
	if indexed != r.tree.count {
		t.Fatalf("the index holds %d customers of %d", indexed, r.tree.count)
	}
	for i, id := range r.index.directory {
		span := len(r.index.directory) >> r.index.fills[id].depth
		if first := i / span * span; r.index.directory[first] != id {
			t.Fatalf("entries %d and %d of the directory should lead to the same page", first, i)
		}
	}
}

func checkTree(t *testing.T, tr *tree) {
	t.Helper()
	last := uint32(none)
	var before *entry
	customers, leaves, inners := 0, 0, 0
	var visit func(level int, id, parent uint32, floor *entry) int
	visit = func(level int, id, parent uint32, floor *entry) int {
		h := tr.header(level, id)
		if h.parent != parent || int(h.n) > size(level) || (parent != none && int(h.n) < size(level)/2) {
			t.Fatalf("node %d of level %d: %+v under %d", id, level, *h, parent)
		}
		if level > 0 {
			inners++
			in := tr.inners.at(id)
			total := 0
			for i := range int(in.n) {
				if i > 0 {
					floor = &in.separators[i]
					if !before.before(*floor) {
						t.Fatalf("a separator of node %d is not after all before it", id)
					}
				} else if floor != nil && in.separators[0] != *floor {
					t.Fatalf("node %d does not know what separates it from the one before", id)
				}
				below := visit(level-1, in.children[i], id, floor)
				if below != int(in.counts[i]) {
					t.Fatalf("child %d of node %d: %d customers, counted as %d", i, id, below, in.counts[i])
				}
				total += below
			}
			return total
		}
		leaves++
		l := tr.leaves.at(id)
		if l.prev != last || (last == none && tr.best != id) || (last != none && tr.leaves.at(last).next != id) {
			t.Fatalf("leaf %d is not linked to leaf %d", id, last)
		}
		last = id
		for i := range l.all() {
			e := &l.entries[i]
			if (before != nil && !before.before(*e)) || (floor != nil && e.before(*floor)) {
				t.Fatalf("entry %d of leaf %d is out of order", i, id)
			}
			before = e
			customers++
		}
		return int(l.n)
	}
	if total := visit(tr.height, tr.root, none, nil); total != tr.count || customers != tr.count {
		t.Fatalf("%d customers, counted as %d and %d", customers, total, tr.count)
	}
	if tr.leaves.at(last).next != none {
		t.Fatalf("leaf %d should be the last", last)
	}
	if leaves != int(tr.leaves.used)-len(tr.leaves.free) || inners != int(tr.inners.used)-len(tr.inners.free) {
		t.Fatalf("%d leaves and %d inner nodes; others are lost", leaves, inners)
	}
}
