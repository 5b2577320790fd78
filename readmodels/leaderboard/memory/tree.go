package memory

// tree keeps the customers in order: a B+ tree whose inner nodes count the customers under each child, so that a rank
// is found on the way up. Every node but the root is at least half full. What it does for one customer touches one way
// between a leaf and the root, and here and there a neighbour of it.
type tree struct {
	leaves arena[leaf]
	inners arena[inner]
	index  *index // is told of every customer who gets into another leaf
	root   uint32
	best   uint32 // the first leaf
	height int    // of the root; leaves have 0
	count  int
}

func (t *tree) entry(s spot) entry { return t.leaves.at(s.leaf).entries[s.at] }

// rank is the number of customers before a spot.
func (t *tree) rank(s spot) int {
	rank, id := s.at, s.leaf
	for parent := t.leaves.at(id).parent; parent != none; {
		in := t.inners.at(parent)
		_, before := in.position(id)
		rank += before
		id, parent = parent, in.parent
	}
	return rank
}

// back returns a spot n customers before another, which must be there.
func (t *tree) back(s spot, n int) spot {
	for s.at < n { // not in this leaf
		s.leaf = t.leaves.at(s.leaf).prev
		s.at += int(t.leaves.at(s.leaf).n)
	}
	return spot{s.leaf, s.at - n}
}

// add changes the number of customers in a leaf, on all the way up.
func (t *tree) add(id uint32, change int) {
	t.count += change
	for parent := t.leaves.at(id).parent; parent != none; {
		in := t.inners.at(parent)
		at, _ := in.position(id)
		in.counts[at] += uint32(change)
		id, parent = parent, in.parent
	}
}

// leafFor is the leaf in which an entry is, or belongs.
func (t *tree) leafFor(e entry) uint32 {
	id := t.root
	for range t.height {
		in := t.inners.at(id)
		at := search(in.separators[1:in.n], e) // so many children are before e, the next perhaps not after
		if next := at + 1; next < int(in.n) && in.separators[next] == e {
			at = next
		}
		id = in.children[at]
	}
	return id
}

// insert puts in a customer who is not in the tree, and returns the leaf in which they now are. The index does not know
// of them yet.
func (t *tree) insert(e entry) uint32 {
	id := t.leafFor(e)
	if t.leaves.at(id).n == leafSize {
		if right := t.split(0, id); !e.before(t.leaves.at(right).entries[0]) {
			id = right
		}
	}
	l := t.leaves.at(id)
	l.put(search(l.all(), e), e)
	t.add(id, 1)
	return id
}

// remove takes out the customer at a spot. The index is not told.
func (t *tree) remove(s spot) {
	l := t.leaves.at(s.leaf)
	l.cut(s.at, s.at+1)
	t.add(s.leaf, -1)
	if l.n < leafSize/2 {
		t.fill(0, s.leaf)
	}
}

// header is that of a node of a level: leaves have 0.
func (t *tree) header(level int, id uint32) *header {
	if level == 0 {
		return &t.leaves.at(id).header
	}
	return &t.inners.at(id).header
}

// first is what separates a node from the one before.
func (t *tree) first(level int, id uint32) entry {
	if level == 0 {
		return t.leaves.at(id).entries[0]
	}
	return t.inners.at(id).separators[0]
}

func size(level int) int {
	if level == 0 {
		return leafSize
	}
	return innerSize
}

// node returns a new, empty node.
func (t *tree) node(level int) uint32 {
	if level == 0 {
		id := t.leaves.add()
		t.leaves.at(id).header = header{parent: none, prev: none, next: none}
		return id
	}
	id := t.inners.add()
	t.inners.at(id).header = header{parent: none}
	return id
}

// take moves what is at i to j of one node to position at of another, and returns how many customers that are.
func (t *tree) take(level int, to uint32, at int, from uint32, i, j int) (customers int) {
	n := j - i
	if level == 0 {
		l := t.leaves.at(to)
		l.take(at, t.leaves.at(from), i, j)
		for _, e := range l.entries[at : at+n] {
			t.index.move(e, from, to)
		}
		return n
	}
	in := t.inners.at(to)
	in.take(at, t.inners.at(from), i, j)
	for _, id := range in.children[at : at+n] {
		t.header(level-1, id).parent = to
	}
	return sum(in.counts[at : at+n])
}

// split moves the upper half of a full node to a new one after it, which it returns.
func (t *tree) split(level int, id uint32) (right uint32) {
	h := t.header(level, id)
	if h.parent == none {
		root := t.node(level + 1)
		t.inners.at(root).put(0, child{id: id, count: uint32(t.count)})
		h.parent, t.root, t.height = root, root, level+1
	}
	if t.inners.at(h.parent).n == innerSize {
		t.split(level+1, h.parent) // which may give id another parent
	}
	right = t.node(level)
	moved := t.take(level, right, 0, id, size(level)/2, size(level))
	t.header(level, right).parent = h.parent
	if level == 0 {
		t.link(id, right, h.next)
	}
	in := t.inners.at(h.parent)
	at, _ := in.position(id)
	in.counts[at] -= uint32(moved)
	in.put(at+1, child{separator: t.first(level, right), id: right, count: uint32(moved)})
	return right
}

// link puts a leaf between two others, of which the second may be none.
func (t *tree) link(left, id, right uint32) {
	t.leaves.at(left).next = id
	l := t.leaves.at(id)
	l.prev, l.next = left, right
	if right != none {
		t.leaves.at(right).prev = id
	}
}

// fill mends a node that is less than half full: it evens it out with a neighbour, or merges the two if one node holds
// both. The root may be as empty as it likes.
func (t *tree) fill(level int, id uint32) {
	parent := t.header(level, id).parent
	if parent == none {
		return
	}
	in := t.inners.at(parent)
	at, _ := in.position(id)
	at = max(at, 1)
	leftID, rightID := in.children[at-1], in.children[at]
	left, right := t.header(level, leftID), t.header(level, rightID)
	var moved int
	switch l, r := int(left.n), int(right.n); {
	case l+r <= size(level):
		moved = t.take(level, leftID, l, rightID, 0, r)
	case l < r:
		moved = t.take(level, leftID, l, rightID, 0, (r-l)/2)
	default:
		moved = -t.take(level, rightID, 0, leftID, l-(l-r)/2, l)
	}
	in.counts[at-1] += uint32(moved)
	in.counts[at] -= uint32(moved)
	if right.n > 0 {
		in.separators[at] = t.first(level, rightID)
		return
	}
	t.drop(level, leftID, rightID)
	in.cut(at, at+1)
	switch {
	case in.parent == none && in.n == 1:
		left.parent, t.root, t.height = none, leftID, level
		t.inners.recycle(parent)
	case in.n < innerSize/2:
		t.fill(level+1, parent)
	}
}

// drop recycles an empty node, which came after another.
func (t *tree) drop(level int, left, id uint32) {
	if level > 0 {
		t.inners.recycle(id)
		return
	}
	next := t.leaves.at(id).next
	t.leaves.at(left).next = next
	if next != none {
		t.leaves.at(next).prev = left
	}
	t.leaves.recycle(id)
}
