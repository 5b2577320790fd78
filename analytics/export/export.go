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
	// partRows is how many rows a file has at most: it bounds what an interruption costs, and is 16 row groups.
	partRows = 16 * rowGroupRows
)

// Options say what to export and where to.
type Options struct {
	// Dir is the folder; it is made if it isn't there.
	Dir    string
	Format Format
	// From and To are where it begins and ends; zero for the log's first event, and for its last when the export starts.
	From, To Bound
	// Types are what ParseTypes gave.
	Types []string
	// PartRows is the most rows of a file, a multiple of 1,024; 0 is 2,097,152.
	PartRows int
	// Progress, if any, hears from one goroutine what is done: "exporting", so many events, of about so many.
	Progress func(doing string, done, total uint64)
}

// Run exports what is not in the folder yet and returns the manifest of what then is, also when it failed or ctx ended: what is in
// the manifest is whole and on disk, and another run with the same options goes on from there. Errors are domain.ErrInvalid for
// what can't be asked for, domain.ErrUndecodable for an event that can't be read, and what the disk says. A folder is for one Run
// at a time, in whatever process; another one is refused.
//
// The files depend on the events and the options alone, not on how many runs wrote them nor when. Events are in the order of the
// log, and a day has one piece of it: the day is that on which the store stored the event, or, where its clock had been set back, that
// of the event before.
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
	log, err := endsOf(ctx, store)
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
			o.Progress("finding the start", at.Commit, log.end.Commit)
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
	total := until.Commit - min(until.Commit, after.Commit)
	err := store.ReadAhead(ctx, after, until, o.Types, func(r *eventstore.Raw) error {
		if o.To.timed() && !r.Created.Before(o.To.end()) {
			begun, err := appendBegan(ctx, store, r)
			if err != nil {
				return err
			}
			if !begun.Before(o.To.end()) {
				reached = last
				return errEnough
			}
		}
		last = r.Position
		if err := w.add(r); err != nil {
			return err
		}
		if done++; done%batchRows == 0 {
			passed := r.Position.Commit - min(r.Position.Commit, after.Commit)
			o.Progress("exporting", done, max(done, uint64(float64(done)*float64(total)/float64(max(passed, 1)))))
		}
		return nil
	})
	if err = unlessEnough(err); err != nil {
		return errors.Join(err, w.drop())
	}
	return w.end(reached)
}

// explain says what to do about a disk that is full.
func explain(err error, dir string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%s can't take more: make room and run the same again, it goes on with the first file that is not finished (%w)", dir, err)
	}
	return err
}
