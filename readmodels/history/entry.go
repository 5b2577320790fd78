package history

import (
	"encoding/binary"
	"math"
	"slices"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// entry is the sum of some successive changes of one customer, in 24 bytes. If they begin with the first change, it is the customer's total.
//
// The key is its first and its last 8 bytes as big-endian numbers, which compare as the bytes do. The sum is the points and, in its last
// minuteBits, the minute of the last change of points; or it is forgottenSum.
type entry struct {
	head, tail uint64
	sum        int64
}

const (
	minuteBits = 26
	minuteMask = 1<<minuteBits - 1
	// forgottenSum is the sum of a customer who was forgotten.
	forgottenSum = math.MinInt64
)

func packSum(points domain.Points, minute int64) int64 {
	return int64(points)<<minuteBits | min(max(minute, 0), leaderboard.MaxMinute)
}

// addSums adds the sum of later changes to a sum.
func addSums(sum, later int64) int64 {
	if sum == forgottenSum || later == forgottenSum {
		return forgottenSum
	}
	return sum&^minuteMask + later
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

// ranked is a sum with its points clamped.
func ranked(sum int64) int64 { return packSum(domain.Points(sum>>minuteBits).Ranked(), sum&minuteMask) }

// above reports whether e ranks higher than other: by clamped points, then by the earlier minute, then by key.
func (e *entry) above(other *entry) bool {
	// With the minute inverted, the higher sum ranks higher.
	mine, others := ranked(e.sum)^minuteMask, ranked(other.sum)^minuteMask
	return mine > others || mine == others && e.precedes(other)
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
			folded[last].sum = addSums(folded[last].sum, sorted[i].sum)
			continue
		}
		folded = append(folded, sorted[i])
	}
	return folded
}
