package embedded

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// scanLimit is the number of events that a scan reads with one iterator, whether or not they match.
const scanLimit = 4096

// allScan reads the whole log in one direction, a page at a time.
type allScan struct {
	store     *store
	render    render
	filter    *filter
	backwards bool
	next      uint64    // forwards: the next position to read. Backwards: one above it.
	end       uint64    // forwards: the last position to read
	left      uint64    // events still wanted
	last      uint64    // the position of the last event that was added to a page, or where a subscription began
	progress  *progress // of a filtered subscription, which has checkpoints
}

func (a *allScan) done() bool {
	return a.left == 0 || (a.backwards && a.next <= 1) || (!a.backwards && a.next > a.end)
}

// fill reads on until the page is full, the scan is done, scanLimit events were read, or the filter has taken long.
func (a *allScan) fill(p *page) (err error) {
	if a.done() {
		return nil
	}
	bounds := &pebble.IterOptions{LowerBound: logKey(nil, a.next), UpperBound: logKey(nil, a.end+1)}
	if a.backwards {
		bounds = &pebble.IterOptions{LowerBound: logKey(nil, 1), UpperBound: logKey(nil, a.next)}
	}
	iter, err := a.store.db.NewIter(bounds)
	if err != nil {
		return damaged(err)
	}
	defer func() {
		if closeErr := damaged(iter.Close()); err == nil {
			err = closeErr
		}
	}()
	begun := time.Now()
	for range scanLimit {
		if a.done() || p.full() || a.filter.pauses(begun) {
			return nil
		}
		if err := a.step(iter, p); err != nil {
			return err
		}
	}
	return nil
}

// step reads the event at the scan's position, which must exist: the log has no gaps.
func (a *allScan) step(iter *pebble.Iterator, p *page) error {
	position := a.next
	if a.backwards {
		position--
	}
	if !advance(iter, a.backwards) {
		if err := iter.Error(); err != nil {
			return damaged(err)
		}
		return missing(position)
	}
	if at, ok := logKeyPosition(iter.Key()); !ok || at != position {
		return missing(position)
	}
	value, err := iter.ValueAndErr()
	if err != nil {
		return damaged(err)
	}
	message, r, err := openRecord(value, position)
	if err != nil {
		return err
	}
	if a.backwards {
		a.next = position
	} else {
		a.next = position + 1
	}
	if a.render.imitation.hides(position) {
		return nil
	}
	matches, err := a.filter.matches(r)
	if err != nil {
		return err
	}
	if matches {
		a.left, a.last = a.left-1, position
		if err := a.render.add(p, message, r); err != nil {
			return err
		}
	}
	if a.progress != nil {
		if at, ok := a.progress.considered(position, matches); ok {
			a.checkpoint(p, at)
		}
	}
	return nil
}

func (a *allScan) checkpoint(p *page, at uint64) { p.checkpoint(at, a.render.stamp()) }

// advance moves an iterator to its next key in a direction, at first to the first one.
func advance(iter *pebble.Iterator, backwards bool) bool {
	switch {
	case iter.Valid() && backwards:
		return iter.Prev()
	case iter.Valid():
		return iter.Next()
	case backwards:
		return iter.Last()
	}
	return iter.First()
}

// streamScan reads one stream in one direction, a page at a time.
type streamScan struct {
	store     *store
	render    render
	stream    string
	backwards bool
	head      head   // of the stream; forwards, its last event is the last to read
	next      int64  // the next revision to read; backwards it is -1 after the first event
	lowest    int64  // backwards: the last revision to read
	oldest    int64  // events created before this (ticks) are skipped
	left      uint64 // events still wanted
	found     bool   // an event was put on a page
}

func (c *streamScan) done() bool {
	return c.left == 0 || (c.backwards && c.next < c.lowest) || (!c.backwards && c.next > c.head.last)
}

// fill reads on until the page is full, the scan is done, or scanLimit events were read.
func (c *streamScan) fill(p *page) (err error) {
	if c.done() {
		return nil
	}
	low, high := c.next, c.head.last
	if c.backwards {
		low, high = c.lowest, c.next
	}
	var index *pebble.Iterator
	if high >= c.head.count {
		if index, err = c.store.indexIter(c.stream, max(low, c.head.count), high); err != nil {
			return err
		}
		defer index.Close()
	}
	log, err := c.store.db.NewIter(&pebble.IterOptions{LowerBound: []byte{logKind}, UpperBound: []byte{logKind + 1}})
	if err != nil {
		return damaged(err)
	}
	defer log.Close()
	for range scanLimit {
		if c.done() || p.full() {
			return nil
		}
		if err := c.step(index, log, p); err != nil {
			return err
		}
	}
	return nil
}

// step reads the event at the scan's revision.
func (c *streamScan) step(index, log *pebble.Iterator, p *page) error {
	revision, position, err := c.locate(index)
	if err != nil {
		return err
	}
	key := logKey(nil, position)
	if !log.SeekGE(key) || string(log.Key()) != string(key) {
		if err := log.Error(); err != nil {
			return damaged(err)
		}
		return missing(position)
	}
	value, err := log.ValueAndErr()
	if err != nil {
		return damaged(err)
	}
	message, r, err := openRecord(value, position)
	if err != nil {
		return err
	}
	if err := checkIndexed(r, c.stream, revision); err != nil {
		return err
	}
	switch {
	case c.backwards:
		c.next = revision - 1
	case revision == tombstoned:
		c.left = 0 // nothing comes after a tombstone
	default:
		c.next = revision + 1
	}
	if r.created < c.oldest || c.render.imitation.hides(position) {
		return nil
	}
	c.left = max(c.left, 1) - 1
	c.found = true
	return c.render.add(p, message, r)
}

// locate returns the place of the next event: in the stream's first append, or by the index. It must exist: a stream has no gaps but the one
// before its tombstone.
func (c *streamScan) locate(index *pebble.Iterator) (revision int64, position uint64, err error) {
	if c.next < c.head.count {
		return c.next, c.head.first + uint64(c.next), nil
	}
	found := advance(index, c.backwards)
	if err := index.Error(); err != nil {
		return 0, 0, damaged(err)
	}
	if found {
		revision = streamKeyRevision(index.Key())
	}
	if !found || revision != c.next && revision != tombstoned {
		return 0, 0, fmt.Errorf("event %d of stream %q is missing: %w", c.next, c.stream, ErrDamaged)
	}
	position, err = indexedPosition(index)
	return revision, position, err
}

// render holds how a client wants its events.
type render struct {
	store        *store
	profile      *profile
	imitation    *Imitation // nil but in tests
	upTo         uint64
	now          func() time.Time
	resolveLinks bool
	stringIDs    bool
}

// stamp is the time for a checkpoint, or for having caught up.
func (w render) stamp() *time.Time { return w.profile.stamp(w.now()) }

// add adds one event to the page. If links are resolved, a link is sent with the event it points to, or alone if that can't be read.
func (w render) add(p *page, message []byte, r record) error {
	var link []byte
	position := r.position
	if w.resolveLinks && string(r.eventType) == typeLink {
		if stream, revision, ok := linkTarget(r.data); ok {
			target, targetRecord, err := w.target(stream, revision)
			if err != nil {
				return err
			}
			link, message, r = message, target, targetRecord
			if w.stringIDs {
				link = withStringID(link)
			}
		}
	}
	if w.stringIDs && message != nil {
		message = withStringID(message)
	}
	p.event(message, link, position)
	return nil
}

// target reads the event that a link points to; nil if it doesn't exist or can't be read.
func (w render) target(stream string, revision int64) ([]byte, record, error) {
	x, err := w.store.extent(stream, w.upTo, w.now())
	if revision == lastRevision {
		revision = x.last
	}
	if err != nil || x.last == tombstoned || x.deleted || revision < x.lowest || revision > x.last {
		return nil, record{}, err
	}
	message, r, found, err := w.store.find(stream, revision, w.upTo)
	if err != nil || !found || r.created < x.oldest {
		return nil, record{}, err
	}
	return message, r, nil
}
