package history

import (
	"encoding/binary"
	"math"
	"slices"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// entry is what some run of changes did to one customer: 24 bytes. A run that begins with the first change gives what the
// customer has.
//
// The key is two numbers, its first 8 bytes and its last, which compare as the bytes do. The sum is the points and, in its last
// minuteBits, the minute of the last change that moved them; or it is gone.
type entry struct {
	head, tail uint64
	sum        int64
}

const (
	minuteBits = 26
	minuteMask = 1<<minuteBits - 1
	// gone is the sum of a customer who was forgotten.
	gone = math.MinInt64
)

func packSum(points domain.Points, minute int64) int64 {
	return int64(points)<<minuteBits | min(max(minute, 0), leaderboard.MaxMinute)
}

// then is the sum of two runs of changes, of which other is the later one.
func then(sum, other int64) int64 {
	if sum == gone || other == gone {
		return gone
	}
	return sum&^minuteMask + other
}

func newEntry(key domain.ProxyKey, sum int64) entry {
	return entry{binary.BigEndian.Uint64(key[:8]), binary.BigEndian.Uint64(key[8:]), sum}
}

func (e *entry) key() (key domain.ProxyKey) {
	binary.BigEndian.PutUint64(key[:8], e.head)
	binary.BigEndian.PutUint64(key[8:], e.tail)
	return key
}

func (e *entry) points() domain.Points { return domain.Points(e.sum >> minuteBits) }

// same tells whether two entries are of one customer.
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

// above tells whether e ranks higher than other: by points, then by the earlier minute, then by key.
func (e *entry) above(other *entry) bool {
	// With its minute upside down, the higher sum is the better.
	mine, others := e.sum^minuteMask, other.sum^minuteMask
	return mine > others || mine == others && e.precedes(other)
}

// fold sorts the entries of single changes, given in the order of the log, by key, and makes one of all those of a customer. It
// reuses their memory.
func fold(changes []entry) []entry {
	// Keys are digests, so that by their first bits they fall into small heaps of much the same size.
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
		heap := changes[i].head >> (64 - bits)
		sorted[next[heap]] = changes[i]
		next[heap]++
	}
	for i := range len(begins) - 1 {
		if heap := sorted[begins[i]:begins[i+1]]; len(heap) > 1 {
			slices.SortStableFunc(heap, compareKeys)
		}
	}
	folded := changes[:0]
	for i := range sorted {
		if last := len(folded) - 1; last >= 0 && folded[last].same(&sorted[i]) {
			folded[last].sum = then(folded[last].sum, sorted[i].sum)
			continue
		}
		folded = append(folded, sorted[i])
	}
	return folded
}
