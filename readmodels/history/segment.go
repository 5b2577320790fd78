package history

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"loyalty/domain"
)

// segment is one file of the log, and how the log stands at its end. Segments follow one another by number, from 0.
type segment struct {
	// changes and bytes are how many the file has.
	changes, bytes int64
	from, to       domain.Position
	// last and stored are of the last change in the log until the segment's end, latest is the latest that any of those
	// changes was stored, and asOf as of when all that was known. Times are ticks.
	last                 domain.Position
	stored, latest, asOf int64
}

// beginning is the segment before the first.
var beginning = segment{stored: noTime, latest: noTime, asOf: noTime}

// after is the segment that follows, without a frame yet.
func (s segment) after() segment {
	return segment{from: s.to, to: s.to, last: s.last, stored: s.stored, latest: s.latest, asOf: s.asOf}
}

// grow adds a frame, and returns the keys of those who are forgotten in it.
func (s *segment) grow(h header, records []byte) (forgotten []domain.ProxyKey) {
	s.to, s.asOf = h.to, max(s.asOf, h.asOf)
	s.bytes += headerSize + int64(len(records))
	s.changes += int64(len(records) / recordSize)
	for ; len(records) > 0; records = records[recordSize:] {
		r := record(records[:recordSize])
		s.last, s.stored = r.position(), r.stored()
		s.latest = max(s.latest, s.stored)
		if r.kind() == Forgotten {
			forgotten = append(forgotten, domain.ProxyKey(r[:16]))
		}
	}
	return forgotten
}

// files names the files of a history.
type files struct{ dir string }

func (f files) log(number int) string { return f.numbered(number, ".log") }

// run is a segment's changes, sorted, and snapshot what everybody has at its end.
func (f files) run(number int) string      { return f.numbered(number, ".run") }
func (f files) snapshot(number int) string { return f.numbered(number, ".snapshot") }

func (f files) numbered(number int, kind string) string {
	return filepath.Join(f.dir, fmt.Sprintf("%08d%s", number, kind))
}

// scan visits the records of a segment until visit returns false.
func (f files) scan(ctx context.Context, number int, s segment, visit func(record) bool) error {
	return f.scanFrames(ctx, number, s.bytes, func(_ header, records []byte) bool {
		for ; len(records) > 0; records = records[recordSize:] {
			if !visit(records[:recordSize]) {
				return false
			}
		}
		return true
	})
}

// scanFrames visits the whole frames among the first size bytes of a segment's file, until visit returns false.
func (f files) scanFrames(ctx context.Context, number int, size int64, visit func(header, []byte) bool) error {
	file, err := os.Open(f.log(number))
	if err != nil {
		return err
	}
	defer file.Close()
	all := frames{from: bufio.NewReaderSize(file, 1<<17), left: size}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, records, err := all.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s, byte %d: %w", file.Name(), all.whole, err)
		case !visit(h, records):
			return nil
		}
	}
}

// collect folds a segment's changes as long as inside holds, and returns how many those are and the last of them.
func (f files) collect(ctx context.Context, number int, s segment, inside func(record) bool) (entries []entry, n int64, last record, err error) {
	err = f.scan(ctx, number, s, func(r record) bool {
		if !inside(r) {
			return false
		}
		if e, moves := r.entry(); moves {
			entries = append(entries, e)
		}
		n, last = n+1, append(last[:0], r...)
		return true
	})
	return fold(entries), n, last, err
}

// everything is inside.
func everything(record) bool { return true }

// writeRun sorts a segment's changes.
func (f files) writeRun(ctx context.Context, number int, s segment) error {
	entries, _, _, err := f.collect(ctx, number, s, everything)
	if err != nil {
		return err
	}
	w, err := createSorted(f.run(number), s)
	if err != nil {
		return err
	}
	var forgotten []domain.ProxyKey
	for i := range entries {
		if err := w.add(&entries[i]); err != nil {
			return errors.Join(err, w.abandon())
		}
		if entries[i].sum == gone {
			forgotten = append(forgotten, entries[i].key())
		}
	}
	return w.finish(forgotten)
}
