package memory

// tree keeps the customers in order. It is a counted B+ tree: inner nodes hold the number of customers under each child, so that a rank is
// summed up on the path from the leaf to the root. Every node but the root is at least half full. An operation on one customer touches
// one path between a leaf and the root, and at times a neighbour of its nodes.
type tree struct {
	leaves arena[leaf]
	inners arena[inner]
	index  *index // updated whenever a customer moves to another leaf
	root   uint32
	best   uint32 // the first leaf, with the best customers
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

// back returns the spot n customers before another. There must be so many.
func (t *tree) back(s spot, n int) spot {
	for s.at < n { // not in this leaf
		s.leaf = t.leaves.at(s.leaf).prev
		s.at += int(t.leaves.at(s.leaf).n)
	}
	return spot{s.leaf, s.at - n}
}

// add changes the number of customers in a leaf, in all nodes above it.
func (t *tree) add(id uint32, change int) {
	t.count += change
	for parent := t.leaves.at(id).parent; parent != none; {
		in := t.inners.at(parent)
		at, _ := in.position(id)
		in.counts[at] += uint32(change)
		id, parent = parent, in.parent
	}
}

// leafFor is the leaf that an entry is in, or belongs in.
func (t *tree) leafFor(e entry) uint32 {
	id := t.root
	for range t.height {
		in := t.inners.at(id)
		at := search(in.separators[1:in.n], e) // the separators before e; the next one may equal e
		if next := at + 1; next < int(in.n) && in.separators[next] == e {
			at = next
		}
		id = in.children[at]
	}
	return id
}

// insert adds a customer who is not in the tree, and returns their leaf. It does not add them to the index.
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

// remove removes the customer at a spot. It does not remove them from the index.
func (t *tree) remove(s spot) {
	l := t.leaves.at(s.leaf)
	l.cut(s.at, s.at+1)
	t.add(s.leaf, -1)
	if l.n < leafSize/2 {
		t.fill(0, s.leaf)
	}
}

// header is the header of a node. Leaves have level 0.
func (t *tree) header(level int, id uint32) *header {
	if level == 0 {
		return &t.leaves.at(id).header
	}
	return &t.inners.at(id).header
}

// first is the separator of a node from the one before it.
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

// take moves elements i to j of one node to position at of another, and returns the number of customers moved.
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
		t.split(level+1, h.parent) // this may give id another parent
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

// link links a leaf between two others, the second of which may be none.
func (t *tree) link(left, id, right uint32) {
	t.leaves.at(left).next = id
	l := t.leaves.at(id)
	l.prev, l.next = left, right
	if right != none {
		t.leaves.at(right).prev = id
	}
}

// fill rebalances a node that is less than half full: it merges it with a neighbour if one node can hold both, or else balances the two.
// The root may have any number of elements.
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

// drop recycles an empty node; left is the node before it.
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
