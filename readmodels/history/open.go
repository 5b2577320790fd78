package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"loyalty/domain"
)

// Options tune a History. The zero value of each field means its default.
type Options struct {
	// SnapshotEvery is the number of changes in a segment (default 262,144). A query folds fewer than so many changes in memory.
	SnapshotEvery int64
	// Logger logs damaged files and failed writes (default: none).
	Logger *slog.Logger
}

// DefaultSnapshotEvery is the default of Options.SnapshotEvery.
const DefaultSnapshotEvery = 1 << 18

// ErrInUse is the error of Open if another process, or another History of this one, holds the folder.
var ErrInUse = errors.New("the history's folder is in use")

// History is a Reader and Writer in a folder. Make it with Open. It is safe for concurrent use.
//
// Its log is divided into segments. When a segment is full, its changes are sorted into a file, its run. When enough has changed, all runs
// since the last snapshot are merged with that into a new snapshot. A moment is then a snapshot, the runs after it, and the beginning of a
// segment. Runs and snapshots are derived from the log: if one is damaged or missing, queries are slower, but right.
type History struct {
	files
	options Options
	lock    *os.File

	// writing is held by the writer of the log. It guards file, the last segment's, and frame, a buffer.
	writing sync.Mutex
	file    *os.File
	frame   []byte

	mu      sync.RWMutex
	view    view
	retired map[domain.ProxyKey]struct{}
	changed chan struct{} // closed, and replaced, when view changes
	closed  bool

	// background waits for the goroutine that makes a snapshot, which ends with ctx. At most one runs: busy is true while it does.
	background sync.WaitGroup
	ctx        context.Context
	cancel     context.CancelFunc
	busy       bool // guarded by mu
}

// view is the state that a query reads. Its contents are never modified, only replaced.
type view struct {
	sealed []segment
	// active is the segment after those, which grows. Its file may hold more than active.bytes, which then doesn't count.
	active    segment
	snapshots []snapshot
	// origin is that of the checkpoint, see domain.Checkpoint.
	origin string
	// asOf is when the log ended at the checkpoint, in ticks.
	asOf int64
}

// snapshot is every customer's points at the end of a segment.
type snapshot struct {
	number int
	// customers includes those who were forgotten.
	customers int64
}

// segment is the segment with a number, sealed or active.
func (v *view) segment(number int) segment {
	if number == len(v.sealed) {
		return v.active
	}
	return v.sealed[number]
}

// Open opens the history in a folder, which it creates if there is none, and locks it until Close. A locked folder is ErrInUse. An
// incomplete frame at the end of the log, of a process that crashed, is truncated. If Open finds damage in the log, it removes everything
// from there on, and the projection folds it again. Damage in segments that have a valid run is found later.
func Open(dir string, o Options) (*History, error) {
	if o.SnapshotEvery <= 0 {
		o.SnapshotEvery = DefaultSnapshotEvery
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	h := &History{
		files: files{dir}, options: o, lock: lock, retired: map[domain.ProxyKey]struct{}{}, changed: make(chan struct{}),
		view: view{active: beginning, asOf: noTime},
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	if err := h.recover(); err != nil {
		h.cancel()
		return nil, errors.Join(fmt.Errorf("history: %w", err), lock.Close())
	}
	h.startSnapshot()
	return h, nil
}

// Empty removes everything from the folder of a history, so that it is folded anew. A folder that is in use is ErrInUse, and one that does not
// exist is an error.
func Empty(dir string) (err error) {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	for _, kind := range []string{"*.log", "*.run", "*.snapshot", "*" + temporary} {
		paths, err := filepath.Glob(filepath.Join(dir, kind))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("history: %w", err)
			}
		}
	}
	return syncFolder(dir)
}

// lockFolder locks the folder. The system releases the lock when the process ends.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrInUse, dir), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

// Close ends work in the background and unlocks the folder. Every method then returns domain.ErrUnavailable.
func (h *History) Close() error {
	h.writing.Lock()
	defer h.writing.Unlock()
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.closed = true
		close(h.changed)
	}
	h.mu.Unlock()
	if closed {
		return nil
	}
	h.cancel()
	h.background.Wait()
	return errors.Join(h.file.Close(), h.lock.Close())
}

// recover reads the state of the folder, and removes incomplete and stray files.
func (h *History) recover() error {
	logs, err := h.removeUnfinished()
	if err != nil {
		return err
	}
	v := &h.view
	for number := range logs {
		last, torn := number == logs-1, false
		s, ok := h.segmentFromRun(number, last)
		if !ok {
			var forgotten []domain.ProxyKey
			if s, forgotten, torn, err = h.rescan(number); err != nil {
				return err
			}
			h.retire(forgotten)
			if !last && !torn && s.changes > 0 {
				if err := h.writeRun(h.ctx, number, s); err != nil {
					h.options.Logger.Warn("the history can't sort changes; it goes on without", "error", err)
				}
			}
		}
		if last || torn || s.changes == 0 {
			v.active = s
			break
		}
		v.sealed = append(v.sealed, s)
	}
	if len(v.sealed) == logs {
		if logs > 0 {
			v.active = v.sealed[logs-1]
		}
		v.active = v.active.after()
	}
	v.asOf = v.active.asOf
	if n := len(v.sealed); v.active.bytes == 0 && n > 0 {
		err := h.scanFrames(h.ctx, n-1, v.sealed[n-1].bytes, func(f header, _ []byte) bool { v.origin = f.origin; return true })
		if err != nil {
			v.origin = "" // whoever goes on from here finds out what the position belongs to
			h.options.Logger.Warn("the history can't read what its last checkpoint says beside its position", "error", err)
		}
	}
	return h.removeStrays()
}

// removeUnfinished removes temporary files, and counts the consecutive log files.
func (h *History) removeUnfinished() (logs int, err error) {
	unfinished, err := filepath.Glob(filepath.Join(h.dir, "*"+temporary))
	if err != nil {
		return 0, err
	}
	for _, path := range unfinished {
		if err := os.Remove(path); err != nil {
			return 0, err
		}
	}
	for {
		if _, err := os.Stat(h.log(logs)); errors.Is(err, fs.ErrNotExist) {
			return logs, nil
		} else if err != nil {
			return 0, err
		}
		logs++
	}
}

// segmentFromRun reads a segment from its run, if the run fits its log file and the segment before.
func (h *History) segmentFromRun(number int, last bool) (s segment, ok bool) {
	if last {
		return s, false
	}
	run, err := openSorted(h.run(number))
	if err != nil {
		return s, false
	}
	defer run.close()
	info, err := os.Stat(h.log(number))
	if err != nil || info.Size() != run.footer.bytes || run.footer.from != h.before(number).to {
		return s, false
	}
	h.retire(run.forgotten)
	return run.footer.segment, true
}

// before is the segment before one.
func (h *History) before(number int) segment {
	if number == 0 {
		return beginning
	}
	return h.view.sealed[number-1]
}

// rescan reads a segment from its log file. It is torn if the file has bytes after its last complete frame that follows the one before.
func (h *History) rescan(number int) (s segment, forgotten []domain.ProxyKey, torn bool, err error) {
	info, err := os.Stat(h.log(number))
	if err != nil {
		return s, nil, false, err
	}
	s = h.before(number).after()
	err = h.scanFrames(h.ctx, number, info.Size(), func(f header, records []byte) bool {
		if f.from != s.to {
			return false
		}
		forgotten = append(forgotten, s.grow(f, records)...)
		h.view.origin = f.origin
		return true
	})
	if errors.Is(err, errIncomplete) {
		err = nil
	}
	return s, forgotten, s.bytes != info.Size(), err
}

func (h *History) retire(keys []domain.ProxyKey) {
	for _, key := range keys {
		h.retired[key] = struct{}{}
	}
}

// removeStrays removes files that are not part of the view, and opens the active segment.
func (h *History) removeStrays() error {
	v := &h.view
	active := len(v.sealed)
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return err
	}
	for _, file := range entries {
		name, kind, _ := strings.Cut(file.Name(), ".")
		number, err := strconv.Atoi(name)
		if err != nil || h.keeps(number, kind) {
			continue
		}
		if kind == "log" {
			h.options.Logger.Warn("the history's log is damaged; it is folded again from there", "position", v.active.to, "removed", file.Name())
		}
		if err := os.Remove(filepath.Join(h.dir, file.Name())); err != nil {
			return err
		}
	}
	slices.SortFunc(v.snapshots, func(a, b snapshot) int { return a.number - b.number })
	if h.file, err = os.OpenFile(h.log(active), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	// A complete frame of a crashed process may not be synced yet.
	return errors.Join(h.file.Truncate(v.active.bytes), h.file.Sync(), syncFolder(h.dir))
}

// keeps reports whether a file is part of the view, and adds a valid snapshot to the view.
func (h *History) keeps(number int, kind string) bool {
	v := &h.view
	switch {
	case kind == "log":
		return number <= len(v.sealed)
	case number >= len(v.sealed):
		return false
	case kind != "snapshot":
		return true
	}
	s, err := openOf(h.snapshot(number), v.sealed[number])
	if err != nil {
		return false
	}
	defer s.close()
	v.snapshots = append(v.snapshots, snapshot{number, s.footer.entries})
	return true
}
