package memory

import (
	"iter"
	"math/bits"
	"slices"
)

// sorted sorts the entries: each chunk in place, then by merging the chunks, which takes no memory for copies.
func sorted(entries *arena[entry]) iter.Seq[entry] {
	var runs [][]entry // a binary heap by the first entry: the parent of i is (i-1)/2
	for i, chunk := range entries.chunks {
		run := chunk[:min(int(entries.used)-i<<entries.shift, len(chunk))]
		slices.SortFunc(run, entry.compare)
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(a, b []entry) int { return a[0].compare(b[0]) })
	return func(yield func(entry) bool) {
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

// build fills an empty tree with n entries in order. It does not update the index.
func (t *tree) build(n int, entries iter.Seq[entry]) {
	nodes := make([]child, nodesFor(n, leafSize))
	i := 0
	nodes[0] = child{id: t.node(0)}
	t.best = nodes[0].id
	for e := range entries {
		if int(nodes[i].count) == share(n, len(nodes), i) {
			i++
			nodes[i] = child{separator: e, id: t.node(0)}
			t.link(nodes[i-1].id, nodes[i].id, none)
		}
		l := t.leaves.at(nodes[i].id)
		l.put(int(l.n), e)
		nodes[i].count++
	}
	for len(nodes) > 1 {
		nodes = t.buildLevel(nodes)
	}
	t.root, t.count = nodes[0].id, n
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

// addAll returns false if a page gets too full.
func (x *index) addAll(first uint32) (fits bool, err error) {
	for id := first; id != none; id = x.leaves.at(id).next {
		for i, e := range x.leaves.at(id).all() {
			key := e.key()
			if other, found := x.find(&key); found && other != (spot{id, i}) {
				return false, errDuplicate(key)
			}
			hash := x.hash(e)
			if x.fills[x.pageOf(hash)].places == pageMax {
				return false, nil
			}
			x.put(hash, id)
		}
	}
	return true, nil
}
