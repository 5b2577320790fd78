package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"
)

// head holds where a stream ends, and where its first append is: the events of one append are adjacent in the log, so that those need no
// index. Most streams never get a second append.
type head struct {
	last     int64  // noRevision if there are no events, tombstoned if the stream is
	position uint64 // of the last event
	first    uint64 // position of the first event
	count    int64  // number of events in the first append
}

var noHead = head{last: noRevision}

const headSize = 4*8 + checksumSize

// appendHead encodes a head, with a checksum over it and the stream's name.
func appendHead(dst []byte, stream string, h head) []byte {
	dst = binary.BigEndian.AppendUint64(dst[:0], uint64(h.last))
	dst = binary.BigEndian.AppendUint64(dst, h.position)
	dst = binary.BigEndian.AppendUint64(dst, h.first)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.count))
	return binary.BigEndian.AppendUint32(dst, crc32.Update(crc32.Checksum([]byte(stream), castagnoli), castagnoli, dst))
}

func parseHead(value []byte, stream string) (head, error) {
	var h head
	if len(value) == headSize {
		h.last = int64(binary.BigEndian.Uint64(value))
		h.position = binary.BigEndian.Uint64(value[8:])
		h.first = binary.BigEndian.Uint64(value[16:])
		h.count = int64(binary.BigEndian.Uint64(value[24:]))
	}
	if string(appendHead(nil, stream, h)) != string(value) {
		return noHead, fmt.Errorf("head of stream %q: %w", stream, ErrDamaged)
	}
	return h, nil
}

// head reads a stream's head as of position upTo, noHead if the stream had no events.
func (s *store) head(stream string, upTo uint64) (head, error) {
	value, closer, err := s.db.Get(headKey(nil, stream))
	if errors.Is(err, pebble.ErrNotFound) {
		return noHead, nil
	}
	if err != nil {
		return noHead, damaged(err)
	}
	defer closer.Close()
	h, err := parseHead(value, stream)
	if err != nil || h.position <= upTo {
		return h, err
	}
	return s.earlierHead(stream, h, upTo)
}

// earlierHead is head for a stream whose newest events are not visible yet: it walks back over them. Either all events of an append are
// visible or none, so that before the index there is the whole first append or nothing.
func (s *store) earlierHead(stream string, h head, upTo uint64) (head, error) {
	if h.last >= h.count {
		iter, err := s.indexIter(stream, h.count, h.last)
		if err != nil {
			return noHead, err
		}
		defer iter.Close()
		for ok := iter.Last(); ok; ok = iter.Prev() {
			position, err := indexedPosition(iter)
			if err != nil {
				return noHead, err
			}
			if position <= upTo {
				h.last, h.position = streamKeyRevision(iter.Key()), position
				return h, nil
			}
		}
		if err := iter.Error(); err != nil {
			return noHead, damaged(err)
		}
	}
	if h.count == 0 || h.first > upTo {
		return noHead, nil
	}
	h.last, h.position = h.count-1, h.first+uint64(h.count)-1
	return h, nil
}

// indexIter iterates over the index of a stream from one revision to another, both inclusive.
func (s *store) indexIter(stream string, low, high int64) (*pebble.Iterator, error) {
	iter, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: streamKey(nil, stream, low), UpperBound: after(streamKey(nil, stream, high)),
	})
	return iter, damaged(err)
}

func indexedPosition(iter *pebble.Iterator) (uint64, error) {
	value, err := iter.ValueAndErr()
	if err != nil {
		return 0, damaged(err)
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("stream index %q: %w", iter.Key(), ErrDamaged)
	}
	return binary.BigEndian.Uint64(value), nil
}

// find reads the event of a stream at a revision. found is false if there is none at or before position upTo.
func (s *store) find(stream string, revision int64, upTo uint64) (message []byte, r record, found bool, err error) {
	h, err := s.head(stream, upTo)
	if err != nil || revision > h.last {
		return nil, r, false, err
	}
	position := h.first + uint64(revision)
	if revision >= h.count {
		iter, err := s.indexIter(stream, revision, revision)
		if err != nil {
			return nil, r, false, err
		}
		defer iter.Close()
		if !iter.First() {
			// Between the last event and the tombstone there is nothing.
			return nil, r, false, damaged(iter.Error())
		}
		if position, err = indexedPosition(iter); err != nil {
			return nil, r, false, err
		}
	}
	message, r, err = s.read(position)
	if err == nil {
		err = checkIndexed(r, stream, revision)
	}
	return message, r, err == nil, err
}
