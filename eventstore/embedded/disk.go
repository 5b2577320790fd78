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
	// retryPause is the time between two attempts of a failing write.
	retryPause = 200 * time.Millisecond
	// reserveBytes is the free space that appends leave on the disk: compactions of what was appended need space, and opening a store
	// writes before it reads. On a small disk it is 1/reserveShare of the whole.
	reserveBytes = 64 << 20
	reserveShare = 8
)

// disk is Pebble's file system, on which a write never fails but may block. Pebble ends the process when it can't write its log or its
// manifest, so a failing write (no space, no permission) is retried until it succeeds. Meanwhile the disk is blocked: failure says why, so
// that nobody has to wait, and reads go on.
//
// A sync that fails is not retried: the kernel may have dropped the data it couldn't write, and would report success the next time (that
// is how fsync works on Linux). The disk then stays blocked until the store is opened again.
//
// It is safe for concurrent use.
type disk struct {
	vfs.FS
	dir     string
	log     *slog.Logger
	changes sync.RWMutex // held for reading while a file is changed; freeze locks it for good

	mu              sync.Mutex
	lock            io.Closer
	verified        bool     // the store is known to be complete
	pendingRemovals []string // files to remove once it is verified
	waiting         int
	reason          error         // the last error of a blocked write, nil if none is blocked
	blockedChan     chan struct{} // closed while a write is blocked
}

func newDisk(fs vfs.FS, dir string, log *slog.Logger) *disk {
	return &disk{FS: fs, dir: dir, log: log, blockedChan: make(chan struct{})}
}

// failure is why the disk is blocked, nil if it is not. The error wraps errUnwritable.
func (d *disk) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reason == nil {
		return nil
	}
	return unwritable(d.reason)
}

// blocked returns a channel that is closed when the disk blocks.
func (d *disk) blocked() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.blockedChan
}

// room is nil if the disk has space for appends, with the reserve. The error wraps errUnwritable. A file system that doesn't tell its free
// space counts as having enough.
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

// freeze blocks all further changes of files for ever. It returns once none is under way.
func (d *disk) freeze() { d.changes.Lock() }

// Lock takes the database's lock, which only unlock releases: Pebble may close the returned closer while it still has a write to do.
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

// owns reports whether a file is the store's, and not, for example, a backup's.
func (d *disk) owns(name string) bool {
	return name == d.dir || strings.HasPrefix(name, d.dir+string(filepath.Separator))
}

// apply makes a change to a file, unless the disk is frozen.
func (d *disk) apply(change func() error) error {
	d.changes.RLock()
	defer d.changes.RUnlock()
	return change()
}

// retry makes a change to the file name, and retries it until it succeeds or fails with a permanent error.
func (d *disk) retry(name string, change func() error) error {
	if !d.owns(name) {
		return change()
	}
	err := d.apply(change)
	if err == nil || permanent(err) {
		return err
	}
	d.block(err)
	defer d.unblock()
	for err != nil && !permanent(err) {
		time.Sleep(retryPause)
		err = d.apply(change)
	}
	return err
}

// permanent reports whether an error stays the same however often a change is retried.
func permanent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrClosed) || errors.Is(err, errors.ErrUnsupported)
}

// attemptOnce makes a change that can't be retried. If it fails, its outcome stays unknown: the disk blocks for good.
func (d *disk) attemptOnce(name string, change func() error) error {
	if !d.owns(name) {
		return change()
	}
	err := d.apply(change)
	if err == nil || permanent(err) {
		return err
	}
	d.block(fmt.Errorf("what was written may not be on disk; start again to find out: %w", err))
	select {}
}

// block marks the disk as blocked by a failing write, until as many calls of unblock.
func (d *disk) block(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reason = err
	if d.waiting++; d.waiting == 1 {
		close(d.blockedChan)
		d.log.Error("the event store can't write; it waits until it can", "dir", d.dir, "error", err)
	}
}

func (d *disk) unblock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting--; d.waiting == 0 {
		d.reason, d.blockedChan = nil, make(chan struct{})
		d.log.Info("the event store can write again", "dir", d.dir)
	}
}

// Create is vfs.FS's.
func (d *disk) Create(name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = d.retry(name, func() error { f, err = d.FS.Create(name, category); return err })
	return d.file(name, f), err
}

// MkdirAll is vfs.FS's.
func (d *disk) MkdirAll(name string, mode os.FileMode) error {
	return d.retry(name, func() error { return d.FS.MkdirAll(name, mode) })
}

// OpenReadWrite is vfs.FS's.
func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (f vfs.File, err error) {
	err = d.retry(name, func() error { f, err = d.FS.OpenReadWrite(name, category, options...); return err })
	return d.file(name, f), err
}

// ReuseForWrite is vfs.FS's. Its two steps are retried separately, because the first succeeds only once.
func (d *disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return d.OpenReadWrite(newname, category)
}

// OpenDir is vfs.FS's.
func (d *disk) OpenDir(name string) (f vfs.File, err error) {
	err = d.retry(name, func() error { f, err = d.FS.OpenDir(name); return err })
	return d.file(name, f), err
}

// Link is vfs.FS's.
func (d *disk) Link(oldname, newname string) error {
	return d.retry(newname, func() error { return d.FS.Link(oldname, newname) })
}

// Rename is vfs.FS's.
func (d *disk) Rename(oldname, newname string) error {
	return d.retry(newname, func() error { return d.FS.Rename(oldname, newname) })
}

// Remove is vfs.FS's. Pebble can do without it, so it may fail. Before setVerified it is deferred.
func (d *disk) Remove(name string) error {
	if !d.owns(name) {
		return d.FS.Remove(name)
	}
	d.mu.Lock()
	if !d.verified {
		d.pendingRemovals = append(d.pendingRemovals, name)
		d.mu.Unlock()
		return nil
	}
	d.mu.Unlock()
	return d.apply(func() error { return d.FS.Remove(name) })
}

// setVerified records that the store is complete, and removes the files that Pebble found obsolete when it opened. Of a damaged store,
// nothing is removed: such a file may be what is missing.
func (d *disk) setVerified() {
	d.mu.Lock()
	d.verified = true
	pendingRemovals := d.pendingRemovals
	d.pendingRemovals = nil
	d.mu.Unlock()
	for _, name := range pendingRemovals {
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

// Write writes all of p. After a failure in the middle, it goes on from there.
func (f *diskFile) Write(p []byte) (written int, err error) {
	err = f.disk.retry(f.name, func() error {
		n, err := f.File.Write(p[written:])
		written += n
		return err
	})
	return written, err
}

// WriteAt is vfs.File's.
func (f *diskFile) WriteAt(p []byte, offset int64) (written int, err error) {
	err = f.disk.retry(f.name, func() error {
		n, err := f.File.WriteAt(p[written:], offset+int64(written))
		written += n
		return err
	})
	return written, err
}

// Sync is vfs.File's.
func (f *diskFile) Sync() error { return f.disk.attemptOnce(f.name, f.File.Sync) }

// SyncData is vfs.File's.
func (f *diskFile) SyncData() error { return f.disk.attemptOnce(f.name, f.File.SyncData) }

// SyncTo is vfs.File's.
func (f *diskFile) SyncTo(length int64) (full bool, err error) {
	err = f.disk.attemptOnce(f.name, func() error { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Close is vfs.File's.
func (f *diskFile) Close() error { return f.disk.attemptOnce(f.name, f.File.Close) }

// unwritable is an error with advice about what keeps the store from writing. It wraps errUnwritable and err.
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

// explainUnwritable makes an error about a folder that can't be written to one of unwritable.
func explainUnwritable(err error) error {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, fs.ErrPermission} {
		if errors.Is(err, cause) {
			return unwritable(err)
		}
	}
	return err
}
