package export

import (
	"context"
	"errors"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
)

// writer writes events to files, and adds the files to the manifest.
type writer struct {
	store    *eventstore.Store
	target   *target
	manifest *Manifest
	at       place // of the file that the last event went to
	full     bool  // no more events go to that file
	part     *part // nil unless the file is being written
	rows     [batchRows]row
	filled   int // how many of the rows are in use
}

// resume continues an export, and returns the position after which to read. If the last file is open it is written again and
// replaced.
func (w *writer) resume() (domain.Position, error) {
	m := w.manifest
	after := m.Position
	kept := m.Files
	if last := len(kept) - 1; last >= 0 && kept[last].Open {
		kept = kept[:last]
		after = m.After
		if last > 0 {
			after = kept[last-1].Last
		}
	}
	last := len(kept) - 1
	if last < 0 {
		return after, nil
	}
	day, err := kept[last].day()
	if err != nil {
		return after, err
	}
	w.at, w.full = place{day: day}, true
	for i := last - 1; i >= 0; i-- {
		before, err := kept[i].day()
		if err != nil {
			return after, err
		}
		if !before.Equal(day) {
			break
		}
		w.at.number++
	}
	return after, nil
}

// add writes an event to the file that it belongs to.
func (w *writer) add(r *eventstore.Raw) error {
	day := r.Created.Truncate(24 * time.Hour)
	next := w.at
	switch {
	case day.After(w.at.day):
		next = place{day: day}
	case w.full:
		next.number++
	}
	if w.part != nil && next != w.at {
		if err := w.finish(false); err != nil {
			return err
		}
	}
	if w.part == nil {
		var err error
		if w.part, err = newPart(w.target, next, w.manifest.Options.Format); err != nil {
			return err
		}
		w.at, w.full = next, false
	}
	event, metadata, err := w.store.Decode(r)
	if err != nil {
		return err
	}
	w.rows[w.filled].set(r, event, metadata)
	if w.filled++; w.filled < batchRows {
		return nil
	}
	if err := w.flush(); err != nil || w.part.made.Events < w.manifest.Options.PartRows {
		return err
	}
	w.full = true
	return w.finish(false)
}

// flush hands the rows to the file's encoder.
func (w *writer) flush() error {
	rows := w.rows[:w.filled]
	w.filled = 0
	if len(rows) == 0 {
		return nil
	}
	return w.part.add(rows)
}

// finish finishes the file and saves it in the manifest.
func (w *writer) finish(open bool) error {
	if err := w.flush(); err != nil {
		return errors.Join(err, w.drop())
	}
	part := w.part
	w.part = nil
	file, err := part.finish()
	if err != nil {
		return err
	}
	file.Open = open
	w.record(file)
	w.manifest.Position = file.Last
	return w.target.save(w.manifest)
}

// record adds a file to the manifest, or replaces the last one if it has the same name.
func (w *writer) record(file File) {
	m := w.manifest
	if last := len(m.Files) - 1; last >= 0 && m.Files[last].Name == file.Name {
		m.Events -= uint64(m.Files[last].Events)
		m.Files = m.Files[:last]
	}
	m.Files = append(m.Files, file)
	m.Events += uint64(file.Events)
}

// end finishes the last file and saves the position that the export has reached.
func (w *writer) end(ctx context.Context, reached domain.Position) error {
	if w.part != nil {
		if err := w.finish(true); err != nil {
			return err
		}
	}
	w.manifest.Position = reached
	log, err := w.store.Log(ctx)
	if err == nil {
		err = w.manifest.reads(log)
	}
	if err != nil {
		return err
	}
	return w.target.save(w.manifest)
}

func (w *writer) drop() error {
	if w.part == nil {
		return nil
	}
	part := w.part
	w.part = nil
	return part.drop()
}
