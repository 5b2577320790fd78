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
	// SnapshotEvery is after how many changes those are sorted, and the whole leaderboard kept if it isn't much larger than what
	// has changed (default 262,144). A question folds fewer than those, and they are what is held in memory.
	SnapshotEvery int64
	// Logger hears of what was found damaged and of what can't be written (default: nobody).
	Logger *slog.Logger
}

// DefaultSnapshotEvery is Options.SnapshotEvery's default.
const DefaultSnapshotEvery = 1 << 18

// ErrInUse says that another process, or another History of this one, holds the folder.
var ErrInUse = errors.New("the history's folder is in use")

// History is a Reader and Writer in a folder. Make it with Open. It may be used from many goroutines at once.
//
// Its log is cut into segments. When one is full, its changes are sorted into a file, its run; and when so much has changed that
// it is worth it, all runs since the last snapshot are merged with that into another. A past moment is then a snapshot, the
// runs after it, and the beginning of a segment. Runs and snapshots are made of the log: one that is damaged or missing makes
// questions slower, not wrong.
type History struct {
	files
	options Options
	lock    *os.File

	// writing is held by who writes to the log, and guards file, the last segment's, and frame, which is memory to make one in.
	writing sync.Mutex
	file    *os.File
	frame   []byte

	mu      sync.RWMutex
	view    view
	retired map[domain.ProxyKey]struct{}
	changed chan struct{} // closed at the next change of view
	closed  bool

	// making is the work on a snapshot, which ends with ctx; busy while there is some.
	making sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
	busy   bool // guarded by mu
}

// view is what a question is asked about. What it holds isn't changed any more, only replaced.
type view struct {
	sealed []segment
	// active is the segment after those, which grows. It is as long as it says, whatever the file holds beyond.
	active    segment
	snapshots []snapshot
	// asOf is when all up to the checkpoint was known, in ticks.
	asOf int64
}

// snapshot is everybody's points at the end of a segment.
type snapshot struct {
	number int
	// customers counts them, with those who were forgotten.
	customers int64
}

// segment is the one of a number, sealed or active.
func (v *view) segment(number int) segment {
	if number == len(v.sealed) {
		return v.active
	}
	return v.sealed[number]
}

// Open opens the history in a folder, which it makes if there is none, and holds it until Close. A folder that is held already is
// ErrInUse. What was being written when a process ended is cut off. From the first damage in the log on, as far as it
// shows here, all is removed: the projection folds it again.
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

// lockFolder takes the folder's lock, which the system lets go of when the process ends, however it ends.
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

// Close ends what is under way in the background, and lets go of the folder. After it every method returns
// domain.ErrUnavailable.
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
	h.making.Wait()
	return errors.Join(h.file.Close(), h.lock.Close())
}

// recover finds out what the folder holds, and removes what is not whole or doesn't belong to it.
func (h *History) recover() error {
	logs, err := h.tidy()
	if err != nil {
		return err
	}
	v := &h.view
	for number := range logs {
		last, torn := number == logs-1, false
		s, ok := h.known(number, last)
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
	return h.settle()
}

// tidy removes unfinished files, and counts the logs that follow one another.
func (h *History) tidy() (logs int, err error) {
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

// known takes a segment's word from its run, if that fits to its log and what comes before.
func (h *History) known(number int, last bool) (s segment, ok bool) {
	if last {
		return s, false
	}
	run, err := openSorted(h.run(number))
	if err != nil {
		return s, false
	}
	defer run.close()
	info, err := os.Stat(h.log(number))
	if err != nil || info.Size() != run.footer.bytes || run.footer.from != h.end(number).to {
		return s, false
	}
	h.retire(run.forgotten)
	return run.footer.segment, true
}

// end is how the log stands before a segment.
func (h *History) end(number int) segment {
	if number == 0 {
		return beginning
	}
	return h.view.sealed[number-1]
}

// rescan reads a segment's log. It is torn if it ends in anything else than a whole frame that follows from what comes before it.
func (h *History) rescan(number int) (s segment, forgotten []domain.ProxyKey, torn bool, err error) {
	info, err := os.Stat(h.log(number))
	if err != nil {
		return s, nil, false, err
	}
	s = h.end(number).after()
	err = h.scanFrames(h.ctx, number, info.Size(), func(f header, records []byte) bool {
		if f.from != s.to {
			return false
		}
		forgotten = append(forgotten, s.grow(f, records)...)
		return true
	})
	if errors.Is(err, errTorn) {
		err = nil
	}
	return s, forgotten, s.bytes != info.Size(), err
}

func (h *History) retire(keys []domain.ProxyKey) {
	for _, key := range keys {
		h.retired[key] = struct{}{}
	}
}

// settle makes the folder hold what the view says and nothing else.
func (h *History) settle() error {
	v := &h.view
	active := len(v.sealed)
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return err
	}
	for _, file := range entries {
		name, kind, _ := strings.Cut(file.Name(), ".")
		number, err := strconv.Atoi(name)
		if err != nil || h.belongs(number, kind) {
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
	// What a process wrote whole that then died may not be on disk yet.
	return errors.Join(h.file.Truncate(v.active.bytes), h.file.Sync(), syncFolder(h.dir))
}

// belongs tells whether a file is of what the view holds, and notes a snapshot that is.
func (h *History) belongs(number int, kind string) bool {
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
