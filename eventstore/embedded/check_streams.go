package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// mostEvents is an upper bound of the events of one append: each takes at least two bytes, for its type.
const mostEvents = maxAppendBytes

// revisionSize is the length of a revision at the end of a stream's key.
const revisionSize = 8

func appendRevision(dst []byte, revision int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(revision))
}

// checkLayout returns an error if this program doesn't know the version of the layout.
func (c *checker) checkLayout() error {
	value, closer, err := c.db.Get([]byte{formatKind})
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		c.found(Finding{What: "the version of the layout is missing"})
	case err != nil:
		c.found(Finding{What: "the version of the layout can't be read: " + errorText(err), File: c.bad.takeLast()})
	default:
		defer closer.Close()
		if len(value) != 1 || value[0] != layoutVersion {
			return fmt.Errorf("layout version %v; this program reads version %d", value, layoutVersion)
		}
	}
	return nil
}

// checkKeys finds keys of unknown kinds.
func (c *checker) checkKeys(ctx context.Context) error {
	for _, between := range [][2][]byte{
		{{0}, {logKind}}, {{formatKind, 0}, {headKind}}, {{headKind + 1}, {streamKind}}, {{streamKind + 1}, nil},
	} {
		err := c.scan(ctx, between[0], between[1], c.nextReadable, func(key, _ []byte) { c.unknown(key) }, c.unreadable("keys of no known kind"))
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) unknown(key []byte) {
	c.found(Finding{What: fmt.Sprintf("key %q is of no known kind", key)})
}

// unreadable makes a finding of the keys that a scan could not read.
func (c *checker) unreadable(what string) func(from, to []byte, err error) {
	return func(from, to []byte, err error) {
		c.found(Finding{What: fmt.Sprintf("%s from key %q to before %q can't be read: %s", what, from, to, errorText(err)), File: c.bad.takeLast()})
	}
}

// parseValidHead is parseHead, and also rejects values that no writer writes.
func parseValidHead(value []byte, stream string) (head, error) {
	h, err := parseHead(value, stream)
	if err != nil {
		return h, errors.New("the stream's head has a wrong checksum")
	}
	onlyTombstone := h.count == 0 && h.last == tombstoned
	if !onlyTombstone && (h.count < 1 || h.count > mostEvents || h.first == 0 || h.last < h.count-1) {
		return h, fmt.Errorf("the stream's head makes no sense: its last event is %d, its first append has %d from position %d", h.last, h.count, h.first)
	}
	return h, nil
}

// eachHead visits the streams' heads, and calls bad with a finding for a damaged one.
func (c *checker) eachHead(ctx context.Context, visit func(stream string, h head), bad func(Finding)) error {
	return c.scan(ctx, []byte{headKind}, []byte{headKind + 1}, c.nextReadable, func(key, value []byte) {
		stream := string(key[1:])
		h, err := parseValidHead(value, stream)
		if err != nil {
			bad(Finding{What: err.Error(), Stream: stream})
			return
		}
		visit(stream, h)
	}, func(from, to []byte, err error) {
		bad(Finding{What: fmt.Sprintf("the heads of the streams after %q and before %q can't be read: %s",
			bytes.TrimSuffix(from[1:], []byte{0}), bytes.TrimPrefix(to, []byte{headKind}), errorText(err)), File: c.bad.takeLast()})
	})
}

// checkStreams verifies each stream's head and index.
func (c *checker) checkStreams(ctx context.Context) error {
	lastKnown, err := c.findEnd()
	if err != nil {
		return err
	}
	total := c.last
	if !lastKnown {
		total = 0
	}
	index := &entries{db: c.db}
	defer index.close()
	var told uint64
	err = c.eachHead(ctx, func(stream string, h head) {
		c.report.Streams++
		for i := range h.count {
			c.add(&c.index, []byte(stream), i, h.first+uint64(i))
		}
		if end := h.first + uint64(h.count) - 1; h.last >= h.count {
			c.checkEntries(index, stream, h)
		} else if h.position != end {
			c.found(Finding{What: fmt.Sprintf("the stream's head says that its last event is at position %d, and that its first append ends at %d", h.position, end),
				Stream: stream, Revision: new(h.last), Position: h.position})
		}
		if !lastKnown {
			c.last = max(c.last, h.position)
		}
		if c.index.count-told >= 1024 {
			told = c.index.count
			c.progress(StepIndex, told, total)
		}
	}, c.found)
	c.progress(StepIndex, c.index.count, total)
	return err
}

// findEnd finds the last position. It returns false if the end of the log can't be read: then the heads tell the last position.
func (c *checker) findEnd() (bool, error) {
	iter, err := c.db.NewIter(&pebble.IterOptions{LowerBound: []byte{logKind}, UpperBound: []byte{logKind + 1}})
	if err != nil {
		return false, err
	}
	defer iter.Close()
	for ok := iter.Last(); ok; ok = iter.Prev() {
		if position, ok := logKeyPosition(iter.Key()); ok {
			c.last = max(c.last, position)
			break
		}
	}
	return iter.Error() == nil, nil
}

// entries reads the index of one stream after the other. Close it after use.
type entries struct {
	db   *pebble.DB
	iter *pebble.Iterator // nil at first, and after an error, which an iterator may repeat elsewhere
}

// each visits the index entries of a stream. Its error is that of reading them.
func (e *entries) each(stream string, visit func(revision int64, value []byte)) (err error) {
	if e.iter == nil {
		if e.iter, err = e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{streamKind}, UpperBound: []byte{streamKind + 1}}); err != nil {
			return err
		}
	}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	prefix := streamKey(nil, stream, 0)
	prefix = prefix[:len(prefix)-revisionSize]
	for ok := e.iter.SeekGE(prefix); ok; ok = e.iter.Next() {
		key := e.iter.Key()
		if len(key) != len(prefix)+revisionSize || !bytes.HasPrefix(key, prefix) {
			break
		}
		value, err := e.iter.ValueAndErr()
		if err != nil {
			return err
		}
		visit(streamKeyRevision(key), value)
	}
	return e.iter.Error()
}

func (e *entries) close() {
	if e.iter != nil {
		_ = e.iter.Close() // its error is the one that each answered
		e.iter = nil
	}
}

// checkEntries verifies the index of a stream that must have one: it holds the revisions after the first append without a gap but the one
// before a tombstone, their positions ascend, and the head agrees with the last.
func (c *checker) checkEntries(index *entries, stream string, h head) {
	next, before := h.count, uint64(0)
	if h.count > 0 {
		before = h.first + uint64(h.count) - 1
	}
	report := func(revision int64, position uint64, format string, args ...any) {
		c.found(Finding{What: fmt.Sprintf(format, args...), Stream: stream, Revision: new(revision), Position: position})
	}
	gap := func(to int64) {
		if to == next {
			report(next, 0, "the index has no entry for event %d", next)
		} else {
			report(next, 0, "the index has no entries for events %d to %d", next, to)
		}
	}
	err := index.each(stream, func(revision int64, value []byte) {
		c.indexed++
		switch {
		case revision < h.count:
			report(revision, 0, "there is an index entry for an event of the first append, which has none")
			return
		case revision > h.last:
			report(revision, 0, "there is an index entry, but the stream's head says that %d is its last event", h.last)
			return
		case revision > next && revision != tombstoned:
			gap(revision - 1)
		}
		next = tombstoned
		if revision != tombstoned {
			next = revision + 1
		}
		if len(value) != 8 {
			report(revision, 0, "the index entry has %d bytes instead of 8", len(value))
			return
		}
		position := binary.BigEndian.Uint64(value)
		if position <= before {
			report(revision, position, "the index leads to position %d, which is not after that of the event before it, %d", position, before)
		}
		c.add(&c.index, []byte(stream), revision, position)
		before = position
	})
	switch {
	case err != nil:
		c.found(Finding{What: "the stream's index can't be read: " + errorText(err), Stream: stream, File: c.bad.takeLast()})
	case h.last == tombstoned && next < tombstoned:
		report(tombstoned, h.position, "the index has no entry for the tombstone")
	case next <= h.last && next != tombstoned:
		gap(h.last)
	case before != h.position:
		report(h.last, h.position, "the stream's head says that its last event is at position %d, the index says %d", h.position, before)
	}
}

// checkIndex verifies that each index entry belongs to a stream that checkStreams has seen.
func (c *checker) checkIndex(ctx context.Context) error {
	var count uint64
	err := c.scan(ctx, []byte{streamKind}, []byte{streamKind + 1}, c.nextReadable, func(key, _ []byte) {
		if _, _, ok := splitStreamKey(key); !ok {
			c.unknown(key)
			return
		}
		count++
	}, c.unreadable("the index of the streams"))
	c.strays = count != c.indexed
	return err
}

// splitStreamKey parses the key of an index entry.
func splitStreamKey(key []byte) (stream string, revision int64, ok bool) {
	const before = 1 + 2
	if len(key) < before+revisionSize || int(binary.BigEndian.Uint16(key[1:])) != len(key)-before-revisionSize {
		return "", 0, false
	}
	revision = streamKeyRevision(key)
	return string(key[before : len(key)-revisionSize]), revision, revision >= 0
}
