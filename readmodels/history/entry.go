package history

import (
	"encoding/binary"
	"slices"

	"loyalty/domain"
)

// entry is the sum of some successive changes of one customer. If they begin with the first change, it is the customer's total.
//
// The key is its first and its last 8 bytes as big-endian numbers, which compare as the bytes do.
type entry struct {
	head, tail uint64
	sum        sum
}

// sum is points and the minute of the last change of them, or it is forgotten.
type sum struct {
	points domain.Points
	minute int32
}

// forgotten is the sum of a customer who was forgotten.
var forgotten = sum{minute: -1}

// plus adds the sum of later changes.
func (s sum) plus(later sum) sum {
	if s == forgotten || later == forgotten {
		return forgotten
	}
	return sum{s.points + later.points, later.minute}
}

func newEntry(key domain.ProxyKey, sum sum) entry {
	return entry{binary.BigEndian.Uint64(key[:8]), binary.BigEndian.Uint64(key[8:]), sum}
}

func (e *entry) key() (key domain.ProxyKey) {
	binary.BigEndian.PutUint64(key[:8], e.head)
	binary.BigEndian.PutUint64(key[8:], e.tail)
	return key
}

// same reports whether two entries are of one customer.
func (e *entry) same(other *entry) bool { return e.head == other.head && e.tail == other.tail }

// precedes orders by key.
func (e *entry) precedes(other *entry) bool {
	return e.head < other.head || e.head == other.head && e.tail < other.tail
}

func compareKeys(a, b entry) int {
	switch {
	case a.precedes(&b):
		return -1
	case b.precedes(&a):
		return 1
	}
	return 0
}

// above reports whether e ranks higher than other: by clamped points, then by the earlier minute, then by key.
func (e *entry) above(other *entry) bool {
	if mine, others := e.sum.points.Ranked(), other.sum.points.Ranked(); mine != others {
		return mine > others
	}
	if e.sum.minute != other.sum.minute {
		return e.sum.minute < other.sum.minute
	}
	return e.precedes(other)
}

// fold sorts the entries of single changes, given in the order of the log, by key, and sums each customer's into one. It reuses their
// memory.
func fold(changes []entry) []entry {
	// A bucket sort by the first bits. Keys are digests, so that the buckets have much the same size.
	const bits = 14
	var begins [1<<bits + 1]int32
	for i := range changes {
		begins[changes[i].head>>(64-bits)+1]++
	}
	for i := 1; i < len(begins); i++ {
		begins[i] += begins[i-1]
	}
	sorted, next := make([]entry, len(changes)), begins
	for i := range changes {
		bucket := changes[i].head >> (64 - bits)
		sorted[next[bucket]] = changes[i]
		next[bucket]++
	}
	for i := range len(begins) - 1 {
		if bucket := sorted[begins[i]:begins[i+1]]; len(bucket) > 1 {
			slices.SortStableFunc(bucket, compareKeys)
		}
	}
	folded := changes[:0]
	for i := range sorted {
		if last := len(folded) - 1; last >= 0 && folded[last].same(&sorted[i]) {
			folded[last].sum = folded[last].sum.plus(sorted[i].sum)
			continue
		}
		folded = append(folded, sorted[i])
	}
	return folded
}
