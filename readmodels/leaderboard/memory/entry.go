package memory

import (
	"encoding/binary"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// entry is a customer in 24 bytes: place in the order, and key.
//
// The place holds the standing, so that the best customer has the lowest:
//
//	28 bits  MaxRanked − points, which are clamped
//	26 bits  minute
//
// The key is its first and its last 8 bytes as big-endian numbers, which compare as the bytes do.
type entry struct{ place, head, tail uint64 }

const minuteBits = 26

func newEntry(s leaderboard.Standing) entry {
	head, tail := halves(&s.Key)
	minute := min(max(s.Minute, 0), leaderboard.MaxMinute)
	return entry{place: uint64(domain.MaxRanked-s.Points.Ranked())<<minuteBits | uint64(minute), head: head, tail: tail}
}

// row writes key and points into a row.
func (e *entry) row(row *leaderboard.Row) {
	binary.BigEndian.PutUint64(row.Key[:8], e.head)
	binary.BigEndian.PutUint64(row.Key[8:], e.tail)
	row.Points = e.points()
}

func (e entry) standing() leaderboard.Standing {
	return leaderboard.Standing{Key: e.key(), Points: e.points(), Minute: int64(e.place & (1<<minuteBits - 1))}
}

// points are clamped; ranking.total has the true total.
func (e entry) points() domain.Points { return domain.MaxRanked - domain.Points(e.place>>minuteBits) }

func (e entry) key() (key domain.ProxyKey) {
	binary.BigEndian.PutUint64(key[:8], e.head)
	binary.BigEndian.PutUint64(key[8:], e.tail)
	return key
}

func halves(key *domain.ProxyKey) (head, tail uint64) {
	return binary.BigEndian.Uint64(key[:8]), binary.BigEndian.Uint64(key[8:])
}

// before reports whether e ranks higher than other. The order is total.
func (e entry) before(other entry) bool {
	if e.place != other.place {
		return e.place < other.place
	}
	if e.head != other.head {
		return e.head < other.head
	}
	return e.tail < other.tail
}

func (e entry) compare(other entry) int {
	switch {
	case e.before(other):
		return -1
	case other.before(e):
		return 1
	}
	return 0
}
