package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markFile holds the position of the last acknowledged event.
const markFile = "acknowledged"

const markSize = 8 + checksumSize

// mark is the file with the position that the log must reach. The log alone can't tell where it ends: a last record that is incomplete or has
// a wrong checksum may be a write that a crash interrupted before it was acknowledged, or one that was acknowledged and damaged later. So
// after each sync, and before an acknowledgement, the position is written to the mark.
//
// It is written in place and not synced: that takes a microsecond and survives a crash of the process. After a failure of the machine it may
// be as old as the system's last write-back (some 30 s): too low, never too high.
type mark struct{ file vfs.File }

// openMark opens or creates the mark in dir and returns its position, 0 if it is new. The error is ErrDamaged if the file is damaged.
func openMark(fs vfs.FS, dir string) (*mark, uint64, error) {
	file, err := fs.OpenReadWrite(filepath.Join(dir, markFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, 0, err
	}
	position, err := parseMark(file)
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return &mark{file}, position, nil
}

// readMark reads the mark of a store that is not open, 0 if there is none.
func readMark(from vfs.FS, dir string) (uint64, error) {
	file, err := from.Open(filepath.Join(dir, markFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return parseMark(file)
}

func parseMark(file io.Reader) (uint64, error) {
	b, err := io.ReadAll(io.LimitReader(file, markSize+1))
	if err != nil || len(b) == 0 {
		return 0, err
	}
	if len(b) != markSize || binary.LittleEndian.Uint32(b[8:]) != crc32.Checksum(b[:8], castagnoli) {
		return 0, fmt.Errorf("the file %s is not what was written: %w", markFile, ErrDamaged)
	}
	return binary.LittleEndian.Uint64(b), nil
}

// set records that everything up to a position is synced. It is not safe for concurrent use.
func (m *mark) set(position uint64) error {
	var b [markSize]byte
	binary.LittleEndian.PutUint64(b[:], position)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli))
	_, err := m.file.WriteAt(b[:], 0)
	return err
}

func (m *mark) close() error { return errors.Join(m.file.SyncData(), m.file.Close()) }

// errLogTooShort is the error of a log that ends before the acknowledged position.
func errLogTooShort(end, marked uint64) error {
	return fmt.Errorf("the log ends at position %d, but positions up to %d were acknowledged: %w. "+
		"Restore a backup; or, to go on without them, remove the file %s", end, marked, ErrDamaged, filepath.Join(dataFolder, markFile))
}
