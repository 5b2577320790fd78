package memory

import "math/bits"

const (
	leafSize  = 42
	innerSize = 63
	none      = 1<<32 - 1 // no node
)

// header is what leaves and inner nodes have in common.
type header struct {
	n, parent  uint32
	prev, next uint32 // of leaves
}

// leaf holds a run of customers in order, 1 KiB. Leaves are linked in order.
type leaf struct {
	header
	entries [leafSize]entry
}

// inner holds a run of children, leaves or inner nodes of the level below, 2 KiB. With each child stand the number of
// customers under it and a separator: an entry that is not after the first under this child, and after the last under
// the child before. That of child 0 is the separator before the node itself. Ranks need the first two columns only.
type inner struct {
	header
	children, counts [innerSize]uint32
	separators       [innerSize]entry
	_                [2]uint64
}

// spot is where a customer is: a position in a leaf. It holds until the tree is changed.
type spot struct {
	leaf uint32
	at   int
}

// child is what an inner node keeps of a node below it.
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

// position is that of a child, which must be there, and the number of customers before it.
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

// search returns how many of the entries, which are in order, come before e. It looks at all of them, because a
// processor fetches all of a node's cache lines in little more than the time of one, but those of a binary search one
// after the other.
func search(entries []entry, e entry) int {
	var n uint64
	for i := range entries {
		_, before := bits.Sub64(entries[i].place, e.place, 0)
		n += before
	}
	low, high := int(n), len(entries)
	for low < high && entries[low].place == e.place { // a run of equal places, by halves
		middle := int(uint(low+high) / 2)
		if entries[middle].before(e) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// insert makes room for values at a position of s, whose last len(values) elements are free, and puts them there.
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
