package export

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"loyalty/domain"
	"loyalty/eventstore"
)

const (
	// batchRows is how many rows are encoded at once. It divides rowGroupRows and partRows.
	batchRows = 1024
	// partRows is how many rows a file has at most, 16 row groups. An interruption costs at most that many.
	partRows = 16 * rowGroupRows
)

// Options say what to export and where to.
type Options struct {
	// Dir is the folder. It is made if needed.
	Dir    string
	Format Format
	// From and To are where the export begins and ends. Zero is the log's first event, and its last event when the export starts.
	From, To Bound
	// Types are the event types, in the order of ParseTypes.
	Types []string
	// PartRows is how many rows a file has at most, a multiple of 1,024 (default 2,097,152).
	PartRows int
	// Progress, if set, is called now and then, also while there are only events of others. It gets the number of events that are exported and an
	// estimate of their total, or, while it does something else than Exporting, how much of the log is passed.
	Progress func(doing string, done, total uint64)
}

// What a progress is about.
const (
	Exporting    = "exporting"
	Looking      = "looking for events"
	findingEnd   = "finding the end"
	findingStart = "finding the start"
)

// Run exports the events that are not in the folder yet. It returns the manifest of the folder, also after an error: the files in
// the manifest are complete and on disk, and another run with the same options continues from there. Errors are domain.ErrInvalid
// for wrong options, domain.ErrUndecodable for an event that can't be decoded, ctx's, and those of the disk. A folder is locked by
// one Run at a time; for a second one, in any process, that is an error.
//
// The files depend on the events and the options only, not on the number of runs. Events are in the order of the log. Each is in the
// folder of the day, in UTC, on which the store stored it, or, after the store's clock was set back, in that of the event before it.
func Run(ctx context.Context, store *eventstore.Store, o Options) (m Manifest, err error) {
	if o.PartRows == 0 {
		o.PartRows = partRows
	}
	if o.PartRows < batchRows || o.PartRows%batchRows != 0 {
		return m, fmt.Errorf("a file of at most %d rows: it must be a multiple of %d", o.PartRows, batchRows)
	}
	if o.Progress == nil {
		o.Progress = func(string, uint64, uint64) {}
	}
	log, err := extentOf(ctx, store, o.Progress)
	if err != nil {
		return m, err
	}
	if err := log.check(ctx, store, o.From, o.To); err != nil {
		return m, err
	}
	t, err := openTarget(o.Dir)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(explain(err, o.Dir), t.close()) }()
	asked := options{Format: o.Format, From: o.From.text, To: o.To.text, Types: o.Types, PartRows: o.PartRows}
	found, err := t.manifest(asked)
	switch {
	case err != nil:
		return m, err
	case found != nil:
		m = *found
	default:
		m = Manifest{Version: manifestVersion, Options: asked, Files: []File{}}
		m.After, err = o.From.start(ctx, store, o.To, log.end, func(at domain.Position) {
			o.Progress(findingStart, at.Commit, log.end.Commit)
		})
		if err != nil {
			return m, err
		}
		m.Position = m.After
		if err := t.save(&m); err != nil {
			return m, err
		}
	}
	if log.end.Before(m.Position) {
		return m, fmt.Errorf("the export in %s goes up to position %s, but the log ends at %s: it is of another log, or of this one before it was restored", o.Dir, m.Position, log.end)
	}
	facts, err := store.Log(ctx)
	if err == nil {
		err = m.reads(facts)
	}
	if err != nil {
		return m, err
	}
	if err := t.sweep(&m); err != nil {
		return m, err
	}
	w := &writer{store: store, target: t, manifest: &m}
	after, err := w.resume()
	if err != nil {
		return m, err
	}
	if until := o.To.until(log.end); found == nil || until != m.Position {
		err = transfer(ctx, store, w, o, after, until)
	}
	return m, err
}

// transfer writes the events after one position and up to another, or up to the time at which the export is to end.
func transfer(ctx context.Context, store *eventstore.Store, w *writer, o Options, after, until domain.Position) error {
	var done uint64
	reached, last := until, after
	length := func(at domain.Position) uint64 { return at.Commit - min(at.Commit, after.Commit) }
	tell := func(at domain.Position) { Tell(o.Progress, Exporting, done, length(at), length(until)) }
	err := store.ReadAhead(ctx, domain.CheckpointAt(after), until, o.Types, tell, func(r *eventstore.Raw) error {
		if o.To.timed() && !r.Created.Before(o.To.end()) {
			begun, err := appendBegan(ctx, store, r)
			if err != nil {
				return err
			}
			if !begun.Before(o.To.end()) {
				reached = last
				return errStop
			}
		}
		last = r.Position
		if err := w.add(r); err != nil {
			return err
		}
		if done++; done%batchRows == 0 {
			tell(r.Position)
		}
		return nil
	})
	if err = unlessStopped(err); err != nil {
		return errors.Join(err, w.drop())
	}
	return w.end(ctx, reached)
}

// Tell tells a progress how many events of a stretch of the log are done, and how many there may be by what was found in its first part. passed and
// total are the lengths of that part and of the stretch, as differences of commit positions. Before the first event it tells these.
func Tell(progress func(doing string, done, total uint64), doing string, done, passed, total uint64) {
	if done == 0 {
		progress(Looking, passed, total)
		return
	}
	progress(doing, done, max(done, uint64(float64(done)*float64(total)/float64(max(passed, 1)))))
}

// explain adds to the error of a full disk what to do about it.
func explain(err error, dir string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%s can't take more: make room and run the same again, it goes on with the first file that is not finished (%w)", dir, err)
	}
	return err
}
