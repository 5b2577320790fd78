package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// retryPause is how long a write that was refused waits before it is tried again.
	retryPause = 200 * time.Millisecond
	// reserveBytes is the room that appends leave on the disk: what was appended must still be sorted into tables, and a
	// store that is opened again writes before it reads. On a small disk it is a reserveShare of the whole.
	reserveBytes = 64 << 20
	reserveShare = 8
)

// disk is the file system as Pebble sees it: a write never fails, it only takes long. Pebble ends the process when it can't
// write its log or its manifest, so a write that is refused, for want of room or of permission, is tried again until it
// succeeds. Meanwhile trouble says why, so that nobody need wait for it, and what is on disk can be read.
//
// A sync that fails is not repeated: the kernel may have dropped what it couldn't write and would report success the next
// time (that is how fsync works on Linux). It leaves the disk in trouble until the store is opened again.
//
// It is safe for concurrent use.
type disk struct {
	vfs.FS
	dir  string
	log  *slog.Logger
	gate sync.RWMutex // held for reading while a file is changed; freeze takes it for good

	mu      sync.Mutex
	lock    io.Closer
	trusted bool     // what lies there is known to be whole
	doomed  []string // files that were to be removed before that was known
	waiting int
	reason  error         // why the latest of those waiting waits, nil when none does
	alarm   chan struct{} // closed while somebody waits
}

func newDisk(fs vfs.FS, dir string, log *slog.Logger) *disk {
	return &disk{FS: fs, dir: dir, log: log, alarm: make(chan struct{})}
}

// trouble is why nothing can be written, nil when it can. The error wraps errUnwritable.
func (d *disk) trouble() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reason == nil {
		return nil
	}
	return unwritable(d.reason)
}

// alarmed answers a channel that is closed when nothing can be written.
func (d *disk) alarmed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.alarm
}

// room is nil while the disk has room for appends, and after them for what they entail. The error wraps errUnwritable. A
// file system that doesn't tell how much room it has is taken to have enough.
func (d *disk) room() error {
	usage, err := d.FS.GetDiskUsage(d.dir)
	if err != nil {
		return nil
	}
	if reserve := min(reserveBytes, usage.TotalBytes/reserveShare); usage.AvailBytes < reserve {
		return unwritable(fmt.Errorf("%s: %d MiB free, %d MiB are kept in reserve: %w", d.dir, usage.AvailBytes>>20, reserve>>20, syscall.ENOSPC))
	}
	return nil
}

// freeze has everything that would change a file from now on wait for ever. It returns once nothing is under way.
func (d *disk) freeze() { d.gate.Lock() }

// Lock takes the database's lock, which is let go of with unlock only: whoever closes the closer may be about to wait.
func (d *disk) Lock(name string) (io.Closer, error) {
	lock, err := d.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lock = lock
	return io.NopCloser(nil), nil
}

func (d *disk) unlock() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock == nil {
		return nil
	}
	return d.lock.Close()
}

// owns tells whether a file is the store's, and not, say, a backup's.
func (d *disk) owns(name string) bool {
	return name == d.dir || strings.HasPrefix(name, d.dir+string(filepath.Separator))
}

// once makes one change to a file.
func (d *disk) once(change func() error) error {
	d.gate.RLock()
	defer d.gate.RUnlock()
	return change()
}

// insist makes a change to the file name until it succeeds. It passes on what waiting wouldn't help against: that a file
// exists, or doesn't, or is closed.
func (d *disk) insist(name string, change func() error) error {
	if !d.owns(name) {
		return change()
	}
	err := d.once(change)
	if err == nil || hopeless(err) {
		return err
	}
	d.sound(err)
	defer d.allClear()
	for err != nil && !hopeless(err) {
		time.Sleep(retryPause)
		err = d.once(change)
	}
	return err
}

func hopeless(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrClosed) || errors.Is(err, errors.ErrUnsupported)
}

// final makes a change that can't be repeated. If it fails, nobody will ever know what came of it.
func (d *disk) final(name string, change func() error) error {
	if !d.owns(name) {
		return change()
	}
	err := d.once(change)
	if err == nil || hopeless(err) {
		return err
	}
	d.sound(fmt.Errorf("what was written may not be on disk; start again to find out: %w", err))
	select {}
}

func (d *disk) sound(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reason = err
	if d.waiting++; d.waiting == 1 {
		close(d.alarm)
		d.log.Error("the event store can't write; it waits until it can", "dir", d.dir, "error", err)
	}
}

func (d *disk) allClear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting--; d.waiting == 0 {
		d.reason, d.alarm = nil, make(chan struct{})
		d.log.Info("the event store can write again", "dir", d.dir)
	}
}

// Create is vfs.FS's.
func (d *disk) Create(name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = d.insist(name, func() error { f, err = d.FS.Create(name, category); return err })
	return d.file(name, f), err
}

// MkdirAll is vfs.FS's.
func (d *disk) MkdirAll(name string, mode os.FileMode) error {
	return d.insist(name, func() error { return d.FS.MkdirAll(name, mode) })
}

// OpenReadWrite is vfs.FS's.
func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (f vfs.File, err error) {
	err = d.insist(name, func() error { f, err = d.FS.OpenReadWrite(name, category, options...); return err })
	return d.file(name, f), err
}

// ReuseForWrite is vfs.FS's. Its two steps are repeated one by one: the first succeeds only once.
func (d *disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return d.OpenReadWrite(newname, category)
}

// OpenDir is vfs.FS's.
func (d *disk) OpenDir(name string) (f vfs.File, err error) {
	err = d.insist(name, func() error { f, err = d.FS.OpenDir(name); return err })
	return d.file(name, f), err
}

// Link is vfs.FS's.
func (d *disk) Link(oldname, newname string) error {
	return d.insist(newname, func() error { return d.FS.Link(oldname, newname) })
}

// Rename is vfs.FS's.
func (d *disk) Rename(oldname, newname string) error {
	return d.insist(newname, func() error { return d.FS.Rename(oldname, newname) })
}

// Remove is vfs.FS's. Pebble can do without it, so it may fail. Before trust it is put off.
func (d *disk) Remove(name string) error {
	if !d.owns(name) {
		return d.FS.Remove(name)
	}
	d.mu.Lock()
	if !d.trusted {
		d.doomed = append(d.doomed, name)
		d.mu.Unlock()
		return nil
	}
	d.mu.Unlock()
	return d.once(func() error { return d.FS.Remove(name) })
}

// trust says that the store is whole, so that what Pebble had no use for when it opened can go. Of a damaged store nothing
// does: what Pebble doesn't know of any more may be what is missing.
func (d *disk) trust() {
	d.mu.Lock()
	d.trusted = true
	doomed := d.doomed
	d.doomed = nil
	d.mu.Unlock()
	for _, name := range doomed {
		if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.log.Warn("a file that isn't needed any more stays", "error", err)
		}
	}
}

// Unwrap is vfs.FS's.
func (d *disk) Unwrap() vfs.FS { return d.FS }

func (d *disk) file(name string, f vfs.File) vfs.File {
	if f == nil {
		return nil
	}
	return &diskFile{File: f, name: name, disk: d}
}

// diskFile is an open file of a disk.
type diskFile struct {
	vfs.File
	name string
	disk *disk
}

// Write writes all of p. What is refused in the middle goes on there.
func (f *diskFile) Write(p []byte) (written int, err error) {
	err = f.disk.insist(f.name, func() error {
		n, err := f.File.Write(p[written:])
		written += n
		return err
	})
	return written, err
}

// WriteAt is vfs.File's.
func (f *diskFile) WriteAt(p []byte, offset int64) (written int, err error) {
	err = f.disk.insist(f.name, func() error {
		n, err := f.File.WriteAt(p[written:], offset+int64(written))
		written += n
		return err
	})
	return written, err
}

// Sync is vfs.File's.
func (f *diskFile) Sync() error { return f.disk.final(f.name, f.File.Sync) }

// SyncData is vfs.File's.
func (f *diskFile) SyncData() error { return f.disk.final(f.name, f.File.SyncData) }

// SyncTo is vfs.File's.
func (f *diskFile) SyncTo(length int64) (full bool, err error) {
	err = f.disk.final(f.name, func() error { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Close is vfs.File's.
func (f *diskFile) Close() error { return f.disk.final(f.name, f.File.Close) }

// unwritable says why nothing can be written and what can be done about it. The error wraps errUnwritable and err.
func unwritable(err error) error {
	advice := "reads go on, and appends as soon as it can"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		advice = "make room on the disk (or raise the quota)"
	case errors.Is(err, syscall.EFBIG):
		advice = "raise the limit on the size of files (ulimit -f)"
	case errors.Is(err, syscall.EROFS), errors.Is(err, os.ErrPermission):
		advice = "let this user write to the folder, or choose another one"
	}
	return fmt.Errorf("%w: %w; %s", errUnwritable, err, advice)
}

// clearer adds what can be done to an error that says that the folder can't be written to.
func clearer(err error) error {
	for _, refused := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, fs.ErrPermission} {
		if errors.Is(err, refused) {
			return unwritable(err)
		}
	}
	return err
}
