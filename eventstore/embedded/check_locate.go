package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
)

// locate looks up each event in the index and each index entry in the log, and reports where they differ. It does not count findings of the
// earlier steps again, but adds their stream or position where only this step knows it.
func (c *checker) locate(ctx context.Context) error {
	total := c.index.count + c.last
	var done uint64
	step := func() {
		if done++; done%1024 == 0 {
			c.progress(StepLocate, done, total)
		}
	}
	if err := c.locateEntries(ctx, step); err != nil {
		return err
	}
	if err := c.locateStrays(ctx); err != nil {
		return err
	}
	var recent string // the stream of the event before
	var h head
	var headErr error
	err := c.eachEvent(ctx, func(position uint64, r record, err error) {
		step()
		if err != nil {
			return
		}
		if stream := string(r.stream); stream != recent || position == 1 {
			recent = stream
			h, headErr = c.headOf(stream)
		}
		switch {
		case errors.Is(headErr, pebble.ErrNotFound):
			if r.revision == 0 || r.revision == tombstoned {
				c.found(Finding{What: "the stream has no head", Position: position, Stream: recent, Revision: new(r.revision)})
			}
		case headErr == nil:
			c.locateEvent(recent, r.revision, position, h)
		}
	}, func(error) {}, func([]byte) {})
	c.progress(StepLocate, total, total)
	return err
}

func (c *checker) headOf(stream string) (head, error) {
	value, closer, err := c.db.Get(headKey(nil, stream))
	if err != nil {
		return noHead, err
	}
	defer closer.Close()
	return parseValidHead(value, stream)
}

// locateEntries looks up the event of each index entry.
func (c *checker) locateEntries(ctx context.Context, step func()) error {
	index := &entries{db: c.db}
	defer index.close()
	return c.eachHead(ctx, func(stream string, h head) {
		for i := range h.count {
			c.checkIndexEntry(stream, i, h.first+uint64(i))
			step()
		}
		if h.last < h.count {
			return
		}
		// An index that can't be read is already a finding.
		_ = index.each(stream, func(revision int64, value []byte) {
			if len(value) == 8 && revision >= h.count && revision <= h.last {
				c.checkIndexEntry(stream, revision, binary.BigEndian.Uint64(value))
				step()
			}
		})
	}, func(Finding) {})
}

// checkIndexEntry looks up the position that the index gives for an event.
func (c *checker) checkIndexEntry(stream string, revision int64, position uint64) {
	at, r, ok := c.eventAt(position)
	switch {
	case ok && (string(r.stream) != stream || r.revision != revision):
		c.found(Finding{What: fmt.Sprintf("the index leads to position %d, where event %d of %q is", position, r.revision, r.stream),
			Position: position, Stream: stream, Revision: new(revision)})
	case ok:
	case position == 0 || position > c.last:
		c.found(Finding{What: fmt.Sprintf("the index leads to position %d, which is not in the log", position),
			Position: position, Stream: stream, Revision: new(revision)})
	case at:
		c.complete(func(f *Finding) bool { return f.Position == position && f.Stream == "" }, position, stream, revision)
	}
}

// eventAt reads the event at a position. at is false where the log has no such position.
func (c *checker) eventAt(position uint64) (at bool, r record, ok bool) {
	value, closer, err := c.db.Get(logKey(nil, position))
	if err != nil {
		return position > 0 && position <= c.last, r, false
	}
	defer closer.Close()
	_, r, err = openRecord(append([]byte(nil), value...), position)
	return true, r, err == nil
}

// complete sets an event's place in the finding about it, if that is listed.
func (c *checker) complete(about func(*Finding) bool, position uint64, stream string, revision int64) {
	for i := range c.report.Findings {
		if f := &c.report.Findings[i]; about(f) {
			f.Position, f.Stream, f.Revision = position, stream, new(revision)
			return
		}
	}
}

// locateEvent looks up an event of the log in the index.
func (c *checker) locateEvent(stream string, revision int64, position uint64, h head) {
	leads := h.first + uint64(revision)
	if revision >= h.count {
		value, closer, err := c.db.Get(streamKey(nil, stream, revision))
		switch {
		case errors.Is(err, pebble.ErrNotFound) && revision > h.last:
			c.found(Finding{What: fmt.Sprintf("the stream's head says that %d is its last event", h.last), Position: position, Stream: stream, Revision: new(revision)})
			return
		case errors.Is(err, pebble.ErrNotFound):
			// checkStreams found that it has no entry.
			c.complete(func(f *Finding) bool {
				return f.Position == 0 && f.Stream == stream && f.Revision != nil && *f.Revision == revision
			}, position, stream, revision)
			return
		case err != nil:
			return // counted before
		}
		defer closer.Close()
		if len(value) != 8 || revision > h.last {
			return // counted before
		}
		leads = binary.BigEndian.Uint64(value)
	}
	if leads == position {
		return
	}
	_, other, ok := c.eventAt(leads)
	switch {
	case ok && string(other.stream) == stream && other.revision == revision:
		c.found(Finding{What: fmt.Sprintf("the event is in the log twice; the index leads to position %d", leads), Position: position, Stream: stream, Revision: new(revision)})
	case !ok:
		c.found(Finding{What: fmt.Sprintf("the index leads to position %d instead", leads), Position: position, Stream: stream, Revision: new(revision)})
	}
}

// locateStrays finds index entries of streams that should have none.
func (c *checker) locateStrays(ctx context.Context) error {
	if !c.strays {
		return nil
	}
	return c.scan(ctx, []byte{streamKind}, []byte{streamKind + 1}, c.nextReadable, func(key, value []byte) {
		stream, revision, ok := splitStreamKey(key)
		if !ok {
			return
		}
		f := Finding{Stream: stream, Revision: new(revision)}
		if len(value) == 8 {
			f.Position = binary.BigEndian.Uint64(value)
		}
		h, err := c.headOf(stream)
		switch {
		case errors.Is(err, pebble.ErrNotFound):
			f.What = "there is an index entry, but the stream has no head"
		case err != nil || h.last >= h.count || h.last == math.MaxInt64:
			return // counted before
		default:
			f.What = fmt.Sprintf("there is an index entry, but the stream has only the %d events of its first append", h.count)
		}
		c.found(f)
	}, func(_, _ []byte, _ error) {})
}
