package export

import (
	"loyalty/domain"
	"loyalty/eventstore"
)

// writer writes batches to files, and the files to the manifest.
type writer struct {
	store    *eventstore.Store // decodes what the scanner does not
	target   *target
	manifest *Manifest
	scanner  scanner
	rows     [batchRows]row
	at       place
	part     *part
}

// resume tells the reader where to go on. A last file that is open is written anew, in place of the one that is there.
func (w *writer) resume(r *reader) error {
	m := w.manifest
	r.after = m.Position
	kept := m.Files
	if last := len(kept) - 1; last >= 0 && kept[last].Open {
		kept = kept[:last]
		r.after = m.After
		if last > 0 {
			r.after = kept[last-1].Last
		}
	}
	if last := len(kept) - 1; last >= 0 {
		day, err := kept[last].day()
		if err != nil {
			return err
		}
		// What follows on the same day is another file of it, since this one is full.
		r.at, r.rows = place{day: day}, r.options.PartRows
		for i := last - 1; i >= 0; i-- {
			before, err := kept[i].day()
			if err != nil {
				return err
			}
			if !before.Equal(day) {
				break
			}
			r.at.number++
		}
	}
	return nil
}

func (w *writer) write(b *batch) error {
	if w.part != nil && w.at != b.at {
		if err := w.finish(false); err != nil {
			return err
		}
	}
	if w.part == nil {
		var err error
		if w.part, err = newPart(w.target, b.at, w.manifest.Options.Format); err != nil {
			return err
		}
		w.at = b.at
	}
	rows, err := w.decode(b)
	if err != nil {
		return err
	}
	if err := w.part.add(rows); err != nil || w.part.made.Events < w.manifest.Options.PartRows {
		return err
	}
	return w.finish(false)
}

// decode makes rows of a batch, valid until the next one's.
func (w *writer) decode(b *batch) ([]row, error) {
	text, begin := string(b.text), 0
	for i, e := range b.events {
		r := eventstore.Recorded{ID: e.id, Type: e.name, Stream: e.stream, Revision: e.revision, Position: e.position, Created: e.created}
		payload, metadata := text[begin:e.payloadEnd], text[e.payloadEnd:e.ends]
		begin = e.ends
		var scanned bool
		if r.Event, r.Metadata, scanned = w.scanner.scan(e.name, payload, metadata); !scanned {
			r.Metadata, r.Data, r.Stored = eventstore.Metadata{}, []byte(payload), []byte(metadata)
			if err := w.store.Decode(&r); err != nil {
				return nil, err
			}
		}
		w.rows[i].set(&r)
	}
	return w.rows[:len(b.events)], nil
}

// finish ends the file, and saves that there is one more.
func (w *writer) finish(open bool) error {
	part := w.part
	w.part = nil
	file, err := part.finish()
	if err != nil {
		return err
	}
	file.Open = open
	w.add(file)
	w.manifest.Position = file.Last
	return w.target.save(w.manifest)
}

// add puts a file in the manifest, in place of the one it was written anew for.
func (w *writer) add(file File) {
	m := w.manifest
	if last := len(m.Files) - 1; last >= 0 && m.Files[last].Name == file.Name {
		m.Events -= uint64(m.Files[last].Events)
		m.Files = m.Files[:last]
	}
	m.Files = append(m.Files, file)
	m.Events += uint64(file.Events)
}

// end finishes the last file and saves how far the export goes.
func (w *writer) end(reached domain.Position) error {
	if w.part != nil {
		if err := w.finish(true); err != nil {
			return err
		}
	}
	w.manifest.Position = reached
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
