package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

const (
	queueLimit    = 1024    // requests in the queue of the writer; further ones block in their own goroutines
	batchRequests = 1024    // requests in one batch
	batchBytes    = 1 << 20 // bytes in one batch (one append more at most)
	pendingLimit  = 16      // batches written and not yet synced
	cachedStreams = 1 << 13 // streams in the cache of states; one counts once more for every longName bytes of its name
	longName      = 256
	cachedIDs     = 1 << 16 // event ids in the cache for weak idempotency
)

type operation int

const (
	opAppend operation = iota
	opDelete
	opTombstone
)

// request is a write operation. The writer sends exactly one answer, and never blocks to do so.
type request struct {
	operation operation
	stream    string
	expected  int64
	events    []proposal
	size      int // of the events, as they are stored
	answer    chan answer

	disk    *disk
	blocked <-chan struct{} // closed when the disk blocks
	claimed atomic.Bool     // by the writer, to perform it, or by a caller who gave up, so that it isn't performed
}

// answer is the result of a request. With write and alreadyWritten, revision and position are those of its last event; otherwise revision is
// the stream's.
type answer struct {
	decision
	err error
}

// writer has two goroutines: write decides requests and writes batches, answerSynced waits until a batch is synced and answers its requests.
// The first gathers the next batch while the one before is being synced. All fields but the channels belong to the first.
type writer struct {
	store     *store
	now       func() time.Time
	log       *slog.Logger
	queue     chan *request
	imitation *Imitation // nil but in tests
	pending   chan pendingBatch

	streams *recent[string, *streamState]
	ids     *recent[uuid.UUID, uint64] // positions

	next       pendingBatch // the batch being gathered
	applied    uint64       // the last position of the batch before it
	unwritable error        // why no request is accepted at the moment, or nil
	created    int64        // the time of the events of the request being performed, in ticks
	scratch    []byte
	key        []byte
}

// pendingBatch is a batch that is not synced yet, and the requests that wait for it: those whose events are in it, and those whose answer
// depends on it or on a batch before it.
type pendingBatch struct {
	batch   *pebble.Batch // nil if there is nothing to write
	last    uint64        // the last position in it, or before it
	err     error
	waiting []*request
	answers []answer
}

func newWriter(s *store, now func() time.Time, log *slog.Logger) *writer {
	return &writer{
		store: s, now: now, log: log, applied: s.end(), next: pendingBatch{batch: s.db.NewBatch(), last: s.end()},
		queue:   make(chan *request, queueLimit),
		pending: make(chan pendingBatch, pendingLimit),
		streams: newRecent[string, *streamState](cachedStreams, func(name string) int { return 1 + len(name)/longName }),
		ids:     newRecent[uuid.UUID, uint64](cachedIDs, func(uuid.UUID) int { return 1 }),
	}
}

// submit queues a request and waits for its answer. If ctx ends first, it is unknown whether the request was carried out; likewise if the
// disk blocks in the middle of it, which is errUnwritable.
func (w *writer) submit(ctx context.Context, r *request) (decision, error) {
	if err := w.enqueue(ctx, r); err != nil {
		return decision{}, err
	}
	return r.await(ctx)
}

// enqueue queues a request, whose answer can be awaited once enqueue returns nil. If it is errUnwritable, the request isn't carried out.
func (w *writer) enqueue(ctx context.Context, r *request) error {
	r.answer = make(chan answer, 1)
	r.disk, r.blocked = w.store.disk, w.store.disk.blocked()
	select {
	case <-r.blocked:
		return r.unwritableError()
	default:
	}
	select {
	case w.queue <- r:
		return nil
	default: // the select below is slower
	}
	select {
	case w.queue <- r:
		return nil
	case <-r.blocked:
		return r.unwritableError()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await waits for the answer to a queued request.
func (r *request) await(ctx context.Context) (decision, error) {
	select {
	case a := <-r.answer:
		return a.decision, a.err
	case <-r.blocked:
	case <-ctx.Done():
	}
	select {
	case a := <-r.answer:
		return a.decision, a.err
	default:
	}
	switch unclaimed := r.claimed.CompareAndSwap(false, true); {
	case ctx.Err() != nil:
		return decision{}, ctx.Err()
	case unclaimed:
		return decision{}, r.unwritableError()
	}
	return decision{}, fmt.Errorf("it may be written or not; repeat it to find out: %w", r.unwritableError())
}

// unwritableError is why the disk blocks. That may have ended already.
func (r *request) unwritableError() error {
	if err := r.disk.failure(); err != nil {
		return err
	}
	return errUnwritable
}

// write decides and writes until the queue is closed and empty.
func (w *writer) write() {
	defer close(w.pending)
	defer func() { _ = w.next.batch.Close() }()
	for first := range w.queue {
		w.unwritable = w.store.writable()
		w.take(first)
		for yielded := false; len(w.next.waiting) < batchRequests && w.next.batch.Len() < batchBytes; {
			select {
			case request, ok := <-w.queue:
				if ok {
					w.take(request)
					continue
				}
			default:
			}
			if yielded {
				break
			}
			// Requests that are about to be queued get into this batch. If there are none, this takes no time.
			runtime.Gosched()
			yielded = true
		}
		w.apply()
	}
}

// take performs one request and adds its writes to the batch.
func (w *writer) take(r *request) {
	if !r.claimed.CompareAndSwap(false, true) {
		return
	}
	v, err := w.perform(r)
	if errors.Is(err, errNotApplied) {
		w.apply()
		v, err = w.perform(r)
	}
	if err == nil && v.outcome == alreadyWritten && v.position > w.store.end() && w.imitation.timesOutRepeats() {
		err = errCommitTimeout
	}
	w.next.waiting = append(w.next.waiting, r)
	w.next.answers = append(w.next.answers, answer{v, err})
}

// apply writes the batch and begins the next one. The cache of states keeps all streams until then: those in the batch can't be read from disk.
func (w *writer) apply() {
	f := w.next
	w.streams.age()
	w.next = pendingBatch{batch: f.batch, last: f.last, waiting: make([]*request, 0, len(f.waiting)), answers: make([]answer, 0, len(f.answers))}
	if f.batch.Empty() {
		f.batch = nil
	} else {
		f.err = w.store.apply(f.batch)
		w.next.batch = w.store.db.NewBatch()
		w.applied = f.last
	}
	w.pending <- f
}

// answerSynced waits until each batch is synced and then answers its requests, until write has ended. After a failure it is unknown what is
// on disk, so that this and all later requests get the error.
func (w *writer) answerSynced() {
	var broken error
	for f := range w.pending {
		if f.err == nil && broken == nil && f.batch != nil {
			f.err = w.store.synced(f.batch, f.last)
		}
		if broken == nil && f.err != nil {
			w.log.Error("write failed", "error", f.err)
			broken = fmt.Errorf("%w: %w", errUnwritable, f.err)
		}
		for i, r := range f.waiting {
			a := f.answers[i]
			if broken != nil {
				a = answer{err: broken}
			}
			r.answer <- a
		}
	}
}

func (w *writer) perform(r *request) (decision, error) {
	if w.unwritable != nil {
		return decision{}, w.unwritable
	}
	state, err := w.state(r.stream)
	if err != nil {
		return decision{}, err
	}
	w.created = ticks(w.now())
	switch r.operation {
	case opDelete:
		return w.softDelete(r, state)
	case opTombstone:
		return w.tombstone(r, state)
	}
	return w.append(r, state)
}

// state is a stream's state, from the cache or read from disk.
func (w *writer) state(stream string) (*streamState, error) {
	if s, ok := w.streams.get(stream); ok {
		return s, nil
	}
	s := &streamState{metaLast: noRevision}
	var err error
	// Streams in the batch are in the cache, so that the others can be read.
	if s.head, err = w.store.head(stream, w.applied); err != nil {
		return nil, err
	}
	described, isMeta := describedBy(stream)
	if isMeta {
		d, err := w.state(described)
		if err != nil {
			return nil, err
		}
		if d.last == tombstoned {
			s.last = tombstoned
		}
	}
	if w.store.described.Load() {
		meta, err := w.store.head(metaStreamOf(stream), w.applied)
		if err != nil {
			return nil, err
		}
		s.metaLast, s.metaPosition = meta.last, meta.position
		if s.metaLast >= 0 && !isMeta {
			_, r, err := w.store.read(s.metaPosition)
			if err != nil {
				return nil, err
			}
			s.truncateBefore = parseMetadata(r.data).truncateBefore
		}
	}
	w.streams.put(stream, s)
	return s, nil
}

// addition is what a request adds to one stream: events at successive revisions, or a tombstone.
type addition struct {
	stream    string
	state     *streamState
	from      int64 // the first event's revision
	events    []proposal
	tombstone bool
}

// maxPosition is the last position that a log can have: the protocol's clients and servers count in 63 bits.
const maxPosition uint64 = math.MaxInt64

// errLogFull is the error of an append for whose events there are no positions left.
var errLogFull = fmt.Errorf("%w: it has no positions left", errUnwritable)

// stage adds events to the batch, all of them or, with an error, none. This is the only place where events get revisions and positions, so it
// makes sure that there are any left: what is stored must be readable again. A stream without revisions left is errStreamDeleted.
func (w *writer) stage(additions ...addition) error {
	room := maxPosition - min(w.next.last, maxPosition)
	for _, a := range additions {
		count := uint64(len(a.events))
		switch {
		case len(a.stream) > maxStoredName:
			return errInvalid(fmt.Sprintf("the name of the stream %.32q… is longer than %d bytes", a.stream, maxStoredName))
		case a.state.last == tombstoned, !a.tombstone && (a.from < 0 || count > uint64(tombstoned-a.from)):
			return errStreamDeleted(a.stream)
		case count > room:
			return errLogFull
		}
		room -= count
	}
	for _, a := range additions {
		if a.from == 0 {
			// The events of a stream's first append need no index.
			a.state.first, a.state.count = w.next.last+1, int64(len(a.events))
		}
		for i, e := range a.events {
			w.stageEvent(a.stream, a.state, e, a.from+int64(i))
		}
		w.scratch = appendHead(w.scratch, a.stream, a.state.head)
		w.key = headKey(w.key, a.stream)
		w.set(w.key, w.scratch)
	}
	return nil
}

// stageEvent adds one event of a stream to the batch, at a revision and the next position.
func (w *writer) stageEvent(stream string, state *streamState, e proposal, revision int64) {
	w.next.last++
	state.last, state.position = revision, w.next.last
	w.scratch = appendRecord(w.scratch[:0], e, revision, w.next.last, w.created)
	w.key = logKey(w.key, w.next.last)
	w.set(w.key, w.scratch)
	if revision >= state.count {
		w.scratch = binary.BigEndian.AppendUint64(w.scratch[:0], w.next.last)
		w.key = streamKey(w.key, stream, revision)
		w.set(w.key, w.scratch)
	}
	if _, known := w.ids.get(e.id); !known { // the first event with an id keeps it
		w.ids.put(e.id, w.next.last)
		w.ids.age()
	}
}

func (w *writer) set(key, value []byte) {
	// Set can fail only while the batch is being committed.
	if err := w.next.batch.Set(key, value, nil); err != nil {
		panic(fatalError{err.Error()})
	}
}
