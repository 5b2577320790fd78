package embedded

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// checkCacheBytes is the size of a check's block cache. The passes are sequential, and locating reads adjacent keys.
const checkCacheBytes = 32 << 20

// readOnlyOptions open a database without writing to its folder. The blocks in bad are not read.
func readOnlyOptions(cache *pebble.Cache, bad *badBlocks) *pebble.Options {
	o := &pebble.Options{
		FS: readOnlyFS{vfs.Default, bad}, ReadOnly: true, Cache: cache, MemTableSize: memTableBytes,
		FormatMajorVersion: pebble.FormatNewest, Logger: pebbleLogger{slog.New(slog.DiscardHandler)},
		EventListener: &pebble.EventListener{
			DataCorruption: func(info pebble.DataCorruptionInfo) { bad.met(info.Path) },
		},
	}
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10) // otherwise filter blocks would be ignored
	return o
}

// badBlocks are the blocks known to be damaged, by file. Pebble takes long for each attempt to read one, because it searches for the flipped
// bit. So each is read only once.
type badBlocks struct {
	mu    sync.Mutex
	files map[string][]block.Handle
	last  string // the damaged file read last
	open  string // the file opened last
}

func (b *badBlocks) add(path string, h block.Handle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.files == nil {
		b.files = map[string][]block.Handle{}
	}
	b.files[path] = append(b.files[path], h)
}

func (b *badBlocks) met(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = filepath.Base(path)
}

func (b *badBlocks) opened(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = filepath.Base(path)
}

// lastOpened is the file that was being read when the database failed to open.
func (b *badBlocks) lastOpened() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// takeLast returns the name of the damaged file read last, and forgets it.
func (b *badBlocks) takeLast() (file string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	file, b.last = b.last, ""
	return file
}

func (b *badBlocks) hit(path string, from, to uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.files[path] {
		if from < h.Offset+h.Length && h.Offset < to {
			b.last = filepath.Base(path)
			return fmt.Errorf("the block at byte %d of %s is damaged", h.Offset, b.last)
		}
	}
	return nil
}

// readOnlyFS fails every change of a file. The folder's lock replaces Pebble's.
type readOnlyFS struct {
	vfs.FS
	bad *badBlocks
}

func errReadOnly(op, name string) error {
	return &os.PathError{Op: op, Path: name, Err: syscall.EROFS}
}

func (f readOnlyFS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, options...)
	if err != nil {
		return nil, err
	}
	f.bad.opened(name)
	return undamagedFile{file, name, f.bad}, nil
}

func (readOnlyFS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errReadOnly("create", name)
}

func (readOnlyFS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	return nil, errReadOnly("open for writing", name)
}

func (readOnlyFS) ReuseForWrite(_, name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errReadOnly("open for writing", name)
}

func (readOnlyFS) Link(_, name string) error                 { return errReadOnly("link", name) }
func (readOnlyFS) Remove(name string) error                  { return errReadOnly("remove", name) }
func (readOnlyFS) RemoveAll(name string) error               { return errReadOnly("remove", name) }
func (readOnlyFS) Rename(_, name string) error               { return errReadOnly("rename", name) }
func (readOnlyFS) MkdirAll(name string, _ os.FileMode) error { return errReadOnly("mkdir", name) }
func (readOnlyFS) Lock(string) (io.Closer, error)            { return io.NopCloser(nil), nil }

// undamagedFile is a file whose known bad blocks can't be read.
type undamagedFile struct {
	vfs.File
	path string
	bad  *badBlocks
}

func (f undamagedFile) ReadAt(p []byte, offset int64) (int, error) {
	if err := f.bad.hit(f.path, uint64(offset), uint64(offset)+uint64(len(p))); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, offset)
}
