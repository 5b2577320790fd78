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

// segment is one file of the log, and the state of the log at its end. Segments are numbered from 0.
type segment struct {
	// changes and bytes are those of the file.
	changes, bytes int64
	from, to       domain.Position
	// last and stored are the position and the time of the last change of the log until the segment's end. latest is the greatest time
	// of any of these changes, and asOf that of the last frame. Times are in ticks.
	last                 domain.Position
	stored, latest, asOf int64
}

// beginning stands for the segment before the first.
var beginning = segment{stored: noTime, latest: noTime, asOf: noTime}

// after is the next segment, without frames.
func (s segment) after() segment {
	return segment{from: s.to, to: s.to, last: s.last, stored: s.stored, latest: s.latest, asOf: s.asOf}
}

// grow adds a frame, and returns the keys that are retired in it.
func (s *segment) grow(h header, records []byte) (forgotten []domain.ProxyKey) {
	s.to, s.asOf = h.to, max(s.asOf, h.asOf)
	s.bytes += h.size() + int64(len(records))
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

// run names the file of a segment's sorted changes, snapshot that of all customers' points at its end.
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

// scanFrames visits the complete frames among the first size bytes of a segment's file, until visit returns false.
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
			return fmt.Errorf("%s, byte %d: %w", file.Name(), all.complete, err)
		case !visit(h, records):
			return nil
		}
	}
}

// collect folds a segment's changes as long as inside is true, and returns the number of these changes and the last of them.
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

// everything is the condition that is always true.
func everything(record) bool { return true }

// writeRun writes the run of a segment.
func (f files) writeRun(ctx context.Context, number int, s segment) error {
	entries, _, _, err := f.collect(ctx, number, s, everything)
	if err != nil {
		return err
	}
	w, err := createSorted(f.run(number), s)
	if err != nil {
		return err
	}
	var keys []domain.ProxyKey
	for i := range entries {
		if err := w.add(&entries[i]); err != nil {
			return errors.Join(err, w.abandon())
		}
		if entries[i].sum == forgotten {
			keys = append(keys, entries[i].key())
		}
	}
	return w.finish(keys)
}
