package memory

import "math/bits"

const (
	leafSize  = 42
	innerSize = 63
	none      = 1<<32 - 1 // no node
)

// header is common to leaves and inner nodes.
type header struct {
	n, parent  uint32
	prev, next uint32 // of leaves
}

// leaf holds customers in order, in 1 KiB. Leaves are linked in order.
type leaf struct {
	header
	entries [leafSize]entry
}

// inner holds children, which are leaves or inner nodes of the level below, in 2 KiB. For each child it has the number of customers under
// it and a separator: an entry that is not after the first under this child, and after the last under the child before it. The separator
// of child 0 is that of the node itself. Ranks are computed from the first two arrays alone.
type inner struct {
	header
	children, counts [innerSize]uint32
	separators       [innerSize]entry
	_                [2]uint64
}

// spot is a customer's position in a leaf. It is valid until the tree changes.
type spot struct {
	leaf uint32
	at   int
}

// child is what an inner node holds about a node below it.
type child struct {
	separator entry
	id, count uint32
}

func (l *leaf) all() []entry { return l.entries[:l.n] }

// find returns the position of the customer with a key, or -1.
func (l *leaf) find(head, tail uint64) int {
	for i := range l.all() {
		if e := &l.entries[i]; e.tail == tail && e.head == head {
			return i
		}
	}
	return -1
}

// take moves entries i to j of another leaf to position at of this one.
func (l *leaf) take(at int, from *leaf, i, j int) {
	l.n += uint32(j - i)
	insert(l.all(), at, from.entries[i:j]...)
	from.cut(i, j)
}

// put inserts an entry. There must be room.
func (l *leaf) put(at int, e entry) {
	l.n++
	insert(l.all(), at, e)
}

func (l *leaf) cut(i, j int) {
	copy(l.entries[i:], l.entries[j:l.n])
	l.n -= uint32(j - i)
}

// position is the position of a child, which must exist, and the number of customers before it.
func (in *inner) position(id uint32) (at, before int) {
	for i, other := range in.children[:in.n] {
		if other == id {
			return i, before
		}
		before += int(in.counts[i])
	}
	panic("leaderboard: a node is not among its parent's children")
}

// put inserts a child. There must be room.
func (in *inner) put(at int, c child) {
	in.n++
	insert(in.children[:in.n], at, c.id)
	insert(in.counts[:in.n], at, c.count)
	insert(in.separators[:in.n], at, c.separator)
}

// take moves children i to j of another node to position at of this one.
func (in *inner) take(at int, from *inner, i, j int) {
	in.n += uint32(j - i)
	insert(in.children[:in.n], at, from.children[i:j]...)
	insert(in.counts[:in.n], at, from.counts[i:j]...)
	insert(in.separators[:in.n], at, from.separators[i:j]...)
	from.cut(i, j)
}

func (in *inner) cut(i, j int) {
	copy(in.children[i:], in.children[j:in.n])
	copy(in.counts[i:], in.counts[j:in.n])
	copy(in.separators[i:], in.separators[j:in.n])
	in.n -= uint32(j - i)
}

// search returns the number of the ordered entries that come before e. It compares all of them: a processor fetches all cache lines of a
// node in little more than the time of one, while a binary search waits for one line after the other.
func search(entries []entry, e entry) int {
	var n uint64
	for i := range entries {
		_, before := bits.Sub64(entries[i].place, e.place, 0)
		n += before
	}
	low, high := int(n), len(entries)
	for low < high && entries[low].place == e.place { // binary search among equal places
		middle := int(uint(low+high) / 2)
		if entries[middle].before(e) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// insert inserts values at a position of s, whose last len(values) elements are free.
func insert[T any](s []T, at int, values ...T) {
	copy(s[at+len(values):], s[at:])
	copy(s[at:], values)
}

func sum(counts []uint32) int {
	total := 0
	for _, n := range counts {
		total += int(n)
	}
	return total
}
