package export

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"loyalty/domain"
)

const (
	dayPrefix  = "day="
	partPrefix = "part-"
	// writeBuffer is how many bytes are written to a file at once.
	writeBuffer = 1 << 20
)

// place is the place of a file in the export: its day, and its number in the day.
type place struct {
	day    time.Time
	number int
}

func (p place) folder() string { return dayPrefix + p.day.Format(time.DateOnly) }

func (p place) file(format Format) string {
	return fmt.Sprintf("%s%05d.%s", partPrefix, p.number, format)
}

// part is a file that is being written, under a temporary name.
type part struct {
	target  *target
	made    File
	partial string
	file    *os.File
	hash    hash.Hash
	buffer  *bufio.Writer
	encoder encoder
}

// newPart begins a file. The caller calls finish or drop.
func newPart(t *target, at place, format Format) (*part, error) {
	folder := filepath.Join(t.dir, at.folder())
	if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	p := &part{target: t, hash: sha256.New(), partial: filepath.Join(folder, "."+at.file(format)+partialEnding)}
	p.made.Name = at.folder() + "/" + at.file(format)
	var err error
	if p.file, err = os.Create(p.partial); err != nil {
		return nil, err
	}
	p.buffer = bufio.NewWriterSize(p, writeBuffer)
	if p.encoder, err = newEncoder(format, p.buffer); err != nil {
		return nil, errors.Join(err, p.drop())
	}
	return p, nil
}

// Write is for the part's own buffer.
func (p *part) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.made.Bytes += int64(n)
	p.hash.Write(b[:n])
	return n, err
}

func (p *part) add(rows []row) error {
	if p.made.Events == 0 {
		p.made.First = rows[0].position()
	}
	p.made.Events += len(rows)
	p.made.Last = rows[len(rows)-1].position()
	return p.encoder.write(rows)
}

func (r *row) position() domain.Position {
	return domain.Position{Commit: uint64(r.Commit), Prepare: uint64(r.Prepare)}
}

// finish syncs the file to disk and gives it its final name. If that fails the part is dropped.
func (p *part) finish() (File, error) {
	err := p.encoder.close()
	if err == nil {
		err = p.buffer.Flush()
	}
	if err == nil {
		err = p.file.Sync()
	}
	if err != nil {
		return File{}, errors.Join(err, p.drop())
	}
	if err := p.file.Close(); err != nil {
		return File{}, errors.Join(err, os.Remove(p.partial))
	}
	p.made.SHA256 = hex.EncodeToString(p.hash.Sum(nil))
	if err := Publish(p.partial, filepath.Join(p.target.dir, p.made.Name)); err != nil {
		return File{}, err
	}
	return p.made, syncFolder(p.target.dir)
}

// drop removes the file, and its folder if that is empty then.
func (p *part) drop() error {
	err := errors.Join(p.file.Close(), os.Remove(p.partial))
	_ = os.Remove(filepath.Dir(p.partial)) // fails if it isn't empty
	return err
}
