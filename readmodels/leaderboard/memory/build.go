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
	t.best = t.leaves.addAll(leaves)
	for i := range nodes {
		nodes[i].id = t.best + uint32(i)
	}
	together(len(parts), func(i int) { t.fillLeaves(nodes[firsts[i]:][:nodesFor(parts[i].n, leafSize)], parts[i]) })
	t.leaves.at(t.best).prev, t.leaves.at(nodes[leaves-1].id).next = none, none
	nodes[0].separator = entry{} // before all who may come
	for len(nodes) > 1 {
		nodes = t.buildLevel(nodes)
	}
	t.root = nodes[0].id
}

// fillLeaves divides the entries of a part equally among its leaves.
func (t *tree) fillLeaves(nodes []child, p part) {
	for _, n := range nodes {
		t.leaves.at(n.id).header = header{parent: none, prev: n.id - 1, next: n.id + 1}
	}
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

const (
	// leavesPerRound is how many leaves are added to an index in one round, which takes 64 MiB for a moment.
	leavesPerRound = 1 << 22 / leafSize
	// pagesPerShare is the binary logarithm of how many pages of the index a core fills at a time. They fit its cache.
	pagesPerShare = 7
)

// hashed is a customer to add to an index: at a position in a leaf.
type hashed struct {
	hash     uint64
	leaf, at uint32
}

// addAll adds all customers, from the first leaf on. It returns false if a page gets too full.
//
// In the order of the leaves, each customer would wait for another page of the index to come from memory. So customers are divided by their hashes into
// shares first, whose pages fit a core's cache, and no two cores write to one page.
func (x *index) addAll(first uint32) (fits bool, err error) {
	var leaves []uint32
	for id := first; id != none; id = x.leaves.at(id).next {
		leaves = append(leaves, id)
	}
	buffer := allocate[hashed](min(len(leaves), leavesPerRound)*leafSize, false)
	defer release(buffer)
	for round := range slices.Chunk(leaves, leavesPerRound) {
		if fits, err := x.addRound(round, buffer); !fits || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (x *index) addRound(leaves []uint32, buffer []hashed) (fits bool, err error) {
	low := min(x.depth, pagesPerShare)
	shares := 1 << (x.depth - low)
	shareOf := func(hash uint64) uint64 { return hash >> (64 - x.depth) >> low }
	var mine [][]uint32 // leaves of each core
	for some := range slices.Chunk(leaves, len(leaves)/runtime.GOMAXPROCS(0)+1) {
		mine = append(mine, some)
	}
	begins := make([][]uint32, len(mine)) // in the buffer, of each core's part of each share
	each := func(core int, do func(hash uint64, leaf uint32, at int)) {
		for _, id := range mine[core] {
			for at, e := range x.leaves.at(id).all() {
				do(x.hash(e), id, at)
			}
		}
	}
	together(len(mine), func(core int) {
		begins[core] = make([]uint32, shares)
		each(core, func(hash uint64, _ uint32, _ int) { begins[core][shareOf(hash)]++ })
	})
	ends, sum := make([]uint32, shares), uint32(0)
	for share := range shares {
		for core := range begins {
			begins[core][share], sum = sum, sum+begins[core][share]
		}
		ends[share] = sum
	}
	together(len(mine), func(core int) {
		each(core, func(hash uint64, leaf uint32, at int) {
			next := &begins[core][shareOf(hash)]
			buffer[*next] = hashed{hash, leaf, uint32(at)}
			*next++
		})
	})
	overfull, errs := make([]bool, shares), make([]error, shares)
	together(shares, func(share int) {
		begin := uint32(0)
		if share > 0 {
			begin = ends[share-1]
		}
		overfull[share], errs[share] = x.addShare(buffer[begin:ends[share]])
	})
	err = cmp.Or(errs...)
	return err == nil && !slices.Contains(overfull, true), err
}

func (x *index) addShare(customers []hashed) (overfull bool, err error) {
	for _, c := range customers {
		own := spot{c.leaf, int(c.at)}
		if x.holdsTag(c.hash) {
			e := x.leaves.at(c.leaf).entries[c.at]
			if other, found := x.findHash(c.hash, e.head, e.tail); found && other != own {
				return false, errDuplicate(e.key())
			}
		}
		if x.fills[x.pageOf(c.hash)].places == pageMax {
			return true, nil
		}
		x.put(c.hash, c.leaf)
	}
	return false, nil
}
