package memory

import (
	"cmp"
	"iter"
	"math/bits"
	"runtime"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// together calls do with 0 to n-1, on all cores, and waits.
func together(n int, do func(i int)) {
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			do(i)
		}
	}
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
}

// A run is sorted by its places first, a digit after the other from the lowest on, which takes a fraction of the time of comparing.
const (
	digitBits = 11
	digits    = 5 // of a place
)

var scratches = sync.Pool{New: func() any { return new([]entry) }}

// sortRun sorts entries.
func sortRun(run []entry) {
	scratch := scratches.Get().(*[]entry)
	defer scratches.Put(scratch)
	*scratch = slices.Grow((*scratch)[:0], len(run))[:len(run)]
	var counts [digits][1 << digitBits]uint32
	for i := range run {
		for d := range digits {
			counts[d][digit(run[i].place, d)]++
		}
	}
	from, to := run, *scratch
	for d := range digits {
		starts, sum := &counts[d], uint32(0)
		if len(run) == 0 || int(starts[digit(run[0].place, d)]) == len(run) {
			continue // all have the same
		}
		for i, n := range starts {
			starts[i], sum = sum, sum+n
		}
		for i := range from {
			at := &starts[digit(from[i].place, d)]
			to[*at] = from[i]
			*at++
		}
		from, to = to, from
	}
	if len(run) > 0 && &from[0] != &run[0] {
		copy(run, from)
	}
	for i, j := 0, 0; i < len(run); i = j {
		for j = i + 1; j < len(run) && run[j].place == run[i].place; j++ {
		}
		if j > i+1 {
			slices.SortFunc(run[i:j], entry.compare)
		}
	}
}

func digit(place uint64, d int) uint64 { return place >> (d * digitBits) & (1<<digitBits - 1) }

// part is n entries in order. Those of one part come before those of the next.
type part struct {
	n       int
	entries iter.Seq[entry]
}

// partsOf divides sorted runs into parts that can be worked on at once, each large enough for a leaf, unless there is only one.
func partsOf(runs [][]entry) (parts []part) {
	const samples, perCore = 64, 4
	var bounds []entry
	for _, run := range runs {
		for i := range min(samples, len(run)) {
			bounds = append(bounds, run[i*len(run)/samples])
		}
	}
	slices.SortFunc(bounds, entry.compare)
	wanted := perCore * runtime.GOMAXPROCS(0)
	rest := slices.Clone(runs)
	left := 0
	for _, run := range runs {
		left += len(run)
	}
	for i := 1; i < wanted && len(bounds) > 0; i++ {
		bound := bounds[i*len(bounds)/wanted]
		var taken, kept [][]entry
		n := 0
		for _, run := range rest {
			at := sort.Search(len(run), func(i int) bool { return !run[i].before(bound) })
			n += at
			taken, kept = append(taken, run[:at]), append(kept, run[at:])
		}
		if n >= leafSize && left-n >= leafSize {
			parts, rest, left = append(parts, part{n, merged(taken)}), kept, left-n
		}
	}
	return append(parts, part{left, merged(rest)})
}

// merged merges sorted runs, which takes no memory for copies.
func merged(all [][]entry) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		var runs [][]entry // a binary heap by the first entry: the parent of i is (i-1)/2
		for _, run := range all {
			if len(run) > 0 {
				runs = append(runs, run)
			}
		}
		slices.SortFunc(runs, func(a, b []entry) int { return a[0].compare(b[0]) })
		for len(runs) > 0 {
			if !yield(runs[0][0]) {
				return
			}
			if runs[0] = runs[0][1:]; len(runs[0]) == 0 {
				runs[0] = runs[len(runs)-1]
				runs = runs[:len(runs)-1]
			}
			sink(runs)
		}
	}
}

// sink restores the heap below its first run.
func sink(runs [][]entry) {
	for i := 0; ; {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(runs); child++ {
			if runs[child][0].before(runs[first][0]) {
				first = child
			}
		}
		if first == i {
			return
		}
		runs[i], runs[first] = runs[first], runs[i]
		i = first
	}
}

// build fills an empty tree with parts in order, at once. It does not update the index.
func (t *tree) build(parts []part) {
	firsts, leaves := make([]int, len(parts)), 0
	for i, p := range parts {
		firsts[i] = leaves
		leaves += nodesFor(p.n, leafSize)
		t.count += p.n
	}
	nodes := make([]child, leaves)
	for i := range nodes {
		nodes[i].id = t.node(0)
		if i > 0 {
			t.link(nodes[i-1].id, nodes[i].id, none)
		}
	}
	t.best = nodes[0].id
	together(len(parts), func(i int) { t.fillLeaves(nodes[firsts[i]:][:nodesFor(parts[i].n, leafSize)], parts[i]) })
	nodes[0].separator = entry{} // before all who may come
	for len(nodes) > 1 {
		nodes = t.buildLevel(nodes)
	}
	t.root = nodes[0].id
}

// fillLeaves divides the entries of a part equally among its leaves.
func (t *tree) fillLeaves(nodes []child, p part) {
	i, l, room := 0, t.leaves.at(nodes[0].id), share(p.n, len(nodes), 0)
	for e := range p.entries {
		if int(l.n) == room {
			i++
			l, room = t.leaves.at(nodes[i].id), share(p.n, len(nodes), i)
		}
		l.entries[l.n] = e
		l.n++
	}
	for i := range nodes {
		l := t.leaves.at(nodes[i].id)
		nodes[i].separator, nodes[i].count = l.entries[0], l.n
	}
}

// buildLevel builds the inner nodes of the level above the given nodes.
func (t *tree) buildLevel(below []child) []child {
	t.height++
	n := len(below)
	nodes := make([]child, nodesFor(n, innerSize))
	for i := range nodes {
		id := t.node(t.height)
		in := t.inners.at(id)
		for j, c := range below[:share(n, len(nodes), i)] {
			in.put(j, c)
			t.header(t.height-1, c.id).parent = id
		}
		nodes[i] = child{separator: in.separators[0], id: id, count: uint32(sum(in.counts[:in.n]))}
		below = below[in.n:]
	}
	return nodes
}

// nodesFor is the number of nodes for n elements: one if they fit, else so many that each is between half and 7/8 full, which leaves room
// to insert.
func nodesFor(n, size int) int {
	if n <= size {
		return 1
	}
	target := size * 7 / 8
	return (n + target - 1) / target
}

// share is the number of elements of node i, if n elements are divided equally among nodes.
func share(n, nodes, i int) int { return (i+1)*n/nodes - i*n/nodes }

// indexOf makes the index of the n customers in the leaves, from the first leaf on. A duplicate key is domain.ErrInvalid.
func indexOf(leaves *arena[leaf], first uint32, n int) (index, error) {
	for depth := uint8(bits.Len(uint(n / pageTarget))); ; depth++ {
		x := newIndex(leaves, depth)
		fits, err := x.addAll(first)
		if fits {
			return x, nil
		}
		x.pages.release()
		if err != nil {
			return index{}, err
		}
	}
}

// addAll adds all customers, on all cores: each worker those of a range of hashes, whose pages no other touches. It returns false if a page
// gets too full.
func (x *index) addAll(first uint32) (fits bool, err error) {
	workers := min(8, runtime.GOMAXPROCS(0), len(x.directory))
	overfull, errs := make([]bool, workers), make([]error, workers)
	together(workers, func(w int) {
		from, until := w*len(x.directory)/workers, (w+1)*len(x.directory)/workers
		overfull[w], errs[w] = x.addRange(first, from, until)
	})
	err = cmp.Or(errs...)
	return err == nil && !slices.Contains(overfull, true), err
}

// addRange adds those customers whose place in the directory is in a range.
func (x *index) addRange(first uint32, from, until int) (overfull bool, err error) {
	for id := first; id != none; id = x.leaves.at(id).next {
		for i, e := range x.leaves.at(id).all() {
			hash := x.hash(e)
			if slot := int(hash >> (64 - x.depth)); slot < from || slot >= until {
				continue
			}
			if other, found := x.findHash(hash, e.head, e.tail); found && other != (spot{id, i}) {
				return false, errDuplicate(e.key())
			}
			if x.fills[x.pageOf(hash)].places == pageMax {
				return true, nil
			}
			x.put(hash, id)
		}
	}
	return false, nil
}
