package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

const (
	queueLimit      = 1024    // requests waiting for the writer; more wait in their own goroutines
	batchRequests   = 1024    // requests in one batch
	batchBytes      = 1 << 20 // bytes in one batch (one append more at most)
	flightLimit     = 16      // batches written that are not yet on disk
	streamsRemember = 1 << 13 // streams whose state the writer remembers
	idsRemember     = 1 << 16 // event ids remembered for weak idempotency
)

type operation int

const (
	opAppend operation = iota
	opDelete
	opTombstone
)

// request is something to write. The writer sends exactly one answer; it never waits to do so.
type request struct {
	operation operation
	stream    string
	expected  int64
	events    []proposal
	answer    chan answer

	disk    *disk
	alarmed <-chan struct{} // closed when the disk takes nothing any more
	claimed atomic.Bool     // by the writer, to perform it; or by who gave up waiting, so that it isn't
}

// answer is the outcome of a request. With write and already, revision and position are those of the last event written;
// with the others, revision is the stream's.
type answer struct {
	verdict
	err error
}

// writer is the goroutine that decides and writes, and the one that waits for the disk and answers. The first gathers the
// next batch while the disk is busy with the one before. Everything in it but the channels belongs to the first.
type writer struct {
	store  *store
	now    func() time.Time
	log    *slog.Logger
	queue  chan *request
	flying chan flight

	streams *recent[string, *streamState]
	ids     *recent[uuid.UUID, uint64] // positions

	next    flight // the batch being gathered
	applied uint64 // the last position of the batch before it
	refusal error  // why nothing may be added to it
	created int64  // the time of the events of the request being performed, in ticks
	scratch []byte
	key     []byte
}

// flight is a batch on its way to disk, and who waits for it: those whose events are in it, and those whose answer rests on
// what is in it or in one before it.
type flight struct {
	batch   *pebble.Batch // nil when there is nothing to write
	last    uint64        // the last position in it, or before it
	err     error
	waiting []*request
	answers []answer
}

func newWriter(s *store, now func() time.Time, log *slog.Logger) *writer {
	return &writer{
		store: s, now: now, log: log, applied: s.end(), next: flight{batch: s.db.NewBatch(), last: s.end()},
		queue:   make(chan *request, queueLimit),
		flying:  make(chan flight, flightLimit),
		streams: newRecent[string, *streamState](streamsRemember),
		ids:     newRecent[uuid.UUID, uint64](idsRemember),
	}
}

// submit hands a request to the writer and waits for its answer. When ctx ends first, nobody knows whether the request was
// carried out; the same when the disk stops taking anything in the middle of it, which is errUnwritable.
func (w *writer) submit(ctx context.Context, r *request) (verdict, error) {
	if err := w.enqueue(ctx, r); err != nil {
		return verdict{}, err
	}
	return r.await(ctx)
}

// enqueue hands a request to the writer, behind those handed over before. The answer can be awaited once it returns nil.
// With errUnwritable the request isn't carried out.
func (w *writer) enqueue(ctx context.Context, r *request) error {
	r.answer = make(chan answer, 1)
	r.disk, r.alarmed = w.store.disk, w.store.disk.alarmed()
	select {
	case <-r.alarmed:
		return r.stuck()
	default:
	}
	select {
	case w.queue <- r:
		return nil
	default: // the select below costs more
	}
	select {
	case w.queue <- r:
		return nil
	case <-r.alarmed:
		return r.stuck()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await waits for the answer to a request in the queue.
func (r *request) await(ctx context.Context) (verdict, error) {
	select {
	case a := <-r.answer:
		return a.verdict, a.err
	case <-r.alarmed:
	case <-ctx.Done():
	}
	select {
	case a := <-r.answer:
		return a.verdict, a.err
	default:
	}
	switch unclaimed := r.claimed.CompareAndSwap(false, true); {
	case ctx.Err() != nil:
		return verdict{}, ctx.Err()
	case unclaimed:
		return verdict{}, r.stuck()
	}
	return verdict{}, fmt.Errorf("it may be written or not; repeat it to find out: %w", r.stuck())
}

// stuck is why the disk took nothing. It may be over already.
func (r *request) stuck() error {
	if err := r.disk.trouble(); err != nil {
		return err
	}
	return errUnwritable
}

// write decides and writes until the queue is closed and empty.
func (w *writer) write() {
	defer close(w.flying)
	defer func() { _ = w.next.batch.Close() }()
	for first := range w.queue {
		w.refusal = w.store.writable()
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
			// Whoever is about to ask gets into this batch. When nobody is, this costs nothing.
			runtime.Gosched()
			yielded = true
		}
		w.apply()
	}
}

// take decides one request and adds what it writes to the batch.
func (w *writer) take(r *request) {
	if !r.claimed.CompareAndSwap(false, true) {
		return
	}
	v, err := w.perform(r)
	if errors.Is(err, errUnapplied) {
		w.apply()
		v, err = w.perform(r)
	}
	w.next.waiting = append(w.next.waiting, r)
	w.next.answers = append(w.next.answers, answer{v, err})
}

// apply writes the batch and begins the next one.
func (w *writer) apply() {
	f := w.next
	w.next = flight{batch: f.batch, last: f.last, waiting: make([]*request, 0, len(f.waiting)), answers: make([]answer, 0, len(f.answers))}
	if f.batch.Empty() {
		f.batch = nil
	} else {
		f.err = w.store.apply(f.batch)
		w.next.batch = w.store.db.NewBatch()
		w.applied = f.last
	}
	w.flying <- f
}

// land waits for each batch to be on disk and then answers those who wait for it, until write has ended. After a failure
// nobody knows what is on disk, so everyone behind it is told so.
func (w *writer) land() {
	var broken error
	for f := range w.flying {
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

func (w *writer) perform(r *request) (verdict, error) {
	if w.refusal != nil {
		return verdict{}, w.refusal
	}
	state, err := w.state(r.stream)
	if err != nil {
		return verdict{}, err
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

// state is what the writer knows of a stream, read from disk when it doesn't remember.
func (w *writer) state(stream string) (*streamState, error) {
	if s, ok := w.streams.get(stream); ok {
		return s, nil
	}
	s := &streamState{metaLast: noRevision}
	described, isMeta := describedBy(stream)
	var err error
	// What is in the batch is remembered, so the rest can be read.
	if s.head, err = w.store.head(stream, w.applied); err != nil {
		return nil, err
	}
	switch {
	case isMeta:
		d, err := w.state(described)
		if err != nil {
			return nil, err
		}
		if d.last == tombstoned {
			s.last = tombstoned
		}
	case w.store.described.Load():
		meta, err := w.store.head(metaStreamOf(stream), w.applied)
		if err != nil {
			return nil, err
		}
		s.metaLast, s.metaPosition = meta.last, meta.position
		if s.metaLast >= 0 {
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

// begin notes that the next events, in number count, are one append. The first of a stream needs no index.
func (w *writer) begin(state *streamState, count int) {
	if state.last == noRevision {
		state.first, state.count = w.next.last+1, int64(count)
	}
}

// stage puts one event of a stream into the batch.
func (w *writer) stage(stream string, state *streamState, e proposal, revision int64) {
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
	w.ids.put(e.id, w.next.last)
}

// stageHead puts a stream's new head into the batch, after its events.
func (w *writer) stageHead(stream string, state *streamState) {
	w.scratch = appendHead(w.scratch, stream, state.head)
	w.key = headKey(w.key, stream)
	w.set(w.key, w.scratch)
}

func (w *writer) set(key, value []byte) {
	// A batch that isn't being committed takes everything.
	if err := w.next.batch.Set(key, value, nil); err != nil {
		panic(fatalError{err.Error()})
	}
}
