package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// skip returns the key at which a scan that can't read on from a key may go on, nil if there is none.
type skip func(from []byte) []byte

// scan visits the keys from lower (inclusive) to upper (exclusive; nil: to the last). Where it can't read on, it skips, and calls lost with
// the range of keys that it could not read. Only the end of ctx stops it.
func (c *checker) scan(ctx context.Context, lower, upper []byte, skip skip, visit func(key, value []byte), lost func(from, to []byte, err error)) error {
	at := bytes.Clone(lower) // all keys before it were visited or are lost
	var from []byte
	var broken error
	for {
		// An iterator may repeat its first error further on, so that each is used up to its first error only.
		last, err := c.scanOn(ctx, at, upper, func(key, value []byte) {
			if broken != nil {
				lost(from, key, broken)
				broken = nil
			}
			visit(key, value)
		})
		if last != nil {
			at = after(last)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			break
		}
		if broken == nil {
			from, broken = at, err
		}
		if at = skip(at); at == nil || upper != nil && bytes.Compare(at, upper) >= 0 {
			break
		}
	}
	if broken != nil {
		lost(from, upper, broken)
	}
	return nil
}

// scanOn is scan up to the first error. It returns the last key visited.
func (c *checker) scanOn(ctx context.Context, lower, upper []byte, visit func(key, value []byte)) (last []byte, err error) {
	iter, err := c.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	defer iter.Close()
	ok := iter.First()
	for n := 1; ok; n++ {
		value, err := iter.ValueAndErr()
		if err != nil {
			return last, err
		}
		visit(iter.Key(), value)
		last = append(last[:0], iter.Key()...)
		if n%1024 == 0 && ctx.Err() != nil {
			return last, ctx.Err()
		}
		ok = iter.Next()
	}
	return last, iter.Error()
}

// nextReadable is a skip to the first readable key, found by bisection. If there are several unreadable places before the next table file
// begins or ends, it may skip keys between them.
func (c *checker) nextReadable(from []byte) []byte {
	to := c.nextFile(from)
	if to == nil || !c.readable(to) {
		return to
	}
	for {
		// Bisect between from, which can't be read, and to, which can: as numbers, without their common prefix.
		same := 0
		for same < min(len(from), len(to)) && from[same] == to[same] {
			same++
		}
		low, high := number(from[same:]), number(to[same:])
		next := to
		for high > low+1 {
			middle := low + (high-low)/2
			key := binary.BigEndian.AppendUint64(bytes.Clone(from[:same]), middle)
			if c.readable(key) {
				next, high = key, middle
			} else {
				low = middle
			}
		}
		if bytes.Compare(next, to) >= 0 {
			return to
		}
		to = next
	}
}

// readable reports whether the first key at or after key can be read.
func (c *checker) readable(key []byte) bool {
	iter, err := c.db.NewIter(&pebble.IterOptions{LowerBound: key})
	if err != nil {
		return false
	}
	defer iter.Close()
	iter.First()
	return iter.Error() == nil
}

// number is the first eight bytes as a big-endian number, padded with zeros.
func number(b []byte) uint64 {
	var digits [8]byte
	copy(digits[:], b)
	return binary.BigEndian.Uint64(digits[:])
}

// nextFile is the next key at which a table file begins or ends, nil if there is none.
func (c *checker) nextFile(key []byte) []byte {
	i, exact := slices.BinarySearchFunc(c.bounds, key, bytes.Compare)
	if exact {
		i++
	}
	for ; i < len(c.bounds); i++ {
		if !bytes.Equal(c.bounds[i], key) {
			return bytes.Clone(c.bounds[i])
		}
	}
	return nil
}

// nextPosition is a skip to the position after the one that can't be read.
func (c *checker) nextPosition(from []byte) []byte {
	if len(from) < 9 {
		return logKey(nil, 1)
	}
	position := binary.BigEndian.Uint64(from[1:])
	if position >= c.last {
		return nil
	}
	return logKey(nil, position+1)
}
