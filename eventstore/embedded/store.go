package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// layoutVersion is the version of what doc.go describes. A folder of a later version is refused.
const layoutVersion = 1

const (
	blockCacheBytes = 32 << 20 // two memtables are counted in
	memTableBytes   = 8 << 20
	tableBytes      = 64 << 20
)

// store is the log and its indexes. Its reading methods are safe for concurrent use and take the position they may read up
// to, which end answers; one goroutine at a time may commit.
type store struct {
	db   *pebble.DB
	disk *disk
	mark *mark
	last atomic.Uint64
	// described is set once there is metadata of any stream. Most stores never have any, and need not look for it.
	described atomic.Bool
	broken    atomic.Bool // a write failed
	frozen    bool        // its files are left as they are, see unlessStuck

	mu      sync.Mutex
	changed chan struct{}
}

// openStore opens or creates the database in dir on fs. The caller holds the folder's lock. The error is ErrDamaged when
// what lies there is not what was written, errUnwritable when it can't be written to.
func openStore(fs vfs.FS, dir string, logger *slog.Logger) (*store, error) {
	s := &store{disk: newDisk(fs, dir, logger), changed: make(chan struct{})}
	if err := s.unlessStuck(func() error { return s.open(dir, logger) }); err != nil {
		return nil, fmt.Errorf("open the event log in %s: %w", dir, errors.Join(clearer(damaged(err)), s.release()))
	}
	return s, nil
}

func (s *store) open(dir string, logger *slog.Logger) (err error) {
	if s.db, err = openDatabase(dir, s.disk, logger); err != nil {
		return err
	}
	var marked uint64
	if s.mark, marked, err = openMark(s.disk, dir); err != nil {
		return err
	}
	if err := s.checkLayout(); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return err
	}
	if s.end() < marked {
		return lost(s.end(), marked)
	}
	if err := s.checkEnd(); err != nil {
		return err
	}
	s.disk.trust()
	return s.mark.set(s.end())
}

// unlessStuck does some work on the database, and gives up on it as soon as nothing can be written: then the files stay as
// they are, and what still waits for the disk, the work among it, never gets to it.
func (s *store) unlessStuck(work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-s.disk.alarmed():
		err := s.disk.trouble()
		s.disk.freeze()
		s.frozen = true
		return err
	}
}

// openDatabase opens Pebble.
func openDatabase(dir string, fs vfs.FS, logger *slog.Logger) (_ *pebble.DB, err error) {
	defer func() { err = recovered(recover(), err) }()
	cache := pebble.NewCache(blockCacheBytes)
	defer cache.Unref()
	options := &pebble.Options{
		FS:                 fs,
		Cache:              cache,
		MemTableSize:       memTableBytes,
		FormatMajorVersion: pebble.FormatNewest, // its WAL tells a torn tail from damage in the middle
		Logger:             pebbleLogger{logger},
		EventListener: &pebble.EventListener{
			// Pebble's default ends the process. The read that meets the damage reports it; the rest stays readable.
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				logger.Error("damaged file", "file", info.Path, "error", info.Details)
			},
		},
	}
	for level := range options.Levels {
		options.TargetFileSizes[level] = tableBytes // each table costs memory as long as it is there
		options.Levels[level].BlockSize = 16 << 10
		options.Levels[level].FilterPolicy = bloom.FilterPolicy(10) // most appends ask for a stream that isn't there yet
	}
	// Files that hold only the log never overlap each other, so a compaction moves them instead of writing them again.
	options.Experimental.SpanPolicyFunc = pebble.MakeStaticSpanPolicyFunc(pebble.DefaultComparer.Compare,
		pebble.KeyRange{Start: []byte{logKind}, End: []byte{logKind + 1}}, pebble.SpanPolicy{PreferFastCompression: true})
	return pebble.Open(dir, options)
}

// recovered turns a panic with a fatalError, which is how pebbleLogger stops Pebble, into an error.
func recovered(p any, err error) error {
	if p == nil {
		return err
	}
	fatal, ok := p.(fatalError)
	if !ok {
		panic(p)
	}
	return fatal
}

func (s *store) checkLayout() error {
	key := []byte{formatKind}
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return s.db.Set(key, []byte{layoutVersion}, pebble.Sync)
	}
	if err != nil {
		return damaged(err)
	}
	defer closer.Close()
	if len(value) != 1 || value[0] != layoutVersion {
		return fmt.Errorf("layout version %v; this program reads version %d", value, layoutVersion)
	}
	return nil
}

// load finds the end of the log, and whether any stream has metadata.
func (s *store) load() error {
	iter, err := s.db.NewIter(&pebble.IterOptions{UpperBound: []byte{streamKind}})
	if err != nil {
		return damaged(err)
	}
	if iter.SeekLT([]byte{logKind + 1}) {
		position, ok := logKeyPosition(iter.Key())
		if !ok {
			err = fmt.Errorf("key %x: %w", iter.Key(), ErrDamaged)
		}
		s.last.Store(position)
	}
	first := headKey(nil, metaStreamPrefix)
	s.described.Store(iter.SeekGE(first) && bytes.HasPrefix(iter.Key(), first))
	return errors.Join(err, damaged(iter.Close()))
}

// checkEnd looks for a hole in the last events of the log. A manifest that is cut short opens as an older one: without the
// tables that were flushed last, before the events that are still in the write-ahead log. Those fill the memtables at most.
func (s *store) checkEnd() error {
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{logKind}, UpperBound: []byte{logKind + 1}})
	if err != nil {
		return damaged(err)
	}
	defer iter.Close()
	position, size := s.end(), 0
	for ok := iter.Last(); position > 0 && size < 4*memTableBytes; ok = iter.Prev() {
		if err := iter.Error(); err != nil {
			return damaged(err)
		}
		if at, found := logKeyPosition(iter.Key()); !ok || !found || at != position {
			return missing(position)
		}
		size += len(iter.Key()) + len(iter.Value())
		position--
	}
	return nil
}

// close closes the database; quiet returns when nobody uses it any more. What was written since the last flush goes to
// table files first, so that opening it again is quick. While nothing can be written, the files are left as they are:
// everything acknowledged is in the log on disk, where the next open finds it.
func (s *store) close(quiet func()) error {
	err := s.unlessStuck(func() error {
		quiet()
		if s.broken.Load() {
			return nil
		}
		return s.db.Flush()
	})
	return errors.Join(err, s.release())
}

// release gives back what open took, as far as it got.
func (s *store) release() (err error) {
	if !s.frozen && s.db != nil {
		err = s.unlessStuck(s.db.Close)
	}
	if !s.frozen && s.mark != nil {
		err = errors.Join(err, s.unlessStuck(s.mark.close))
	}
	return errors.Join(err, s.disk.unlock())
}

// end is the position of the last event that is on disk, 0 when there is none.
func (s *store) end() uint64 { return s.last.Load() }

// wait returns a channel that is closed when end moves. Take it before reading end, or a move in between is missed.
func (s *store) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// writable is nil when there is room for appends and nothing that keeps them from the disk. The error wraps errUnwritable.
func (s *store) writable() error {
	if s.broken.Load() {
		return errUnwritable
	}
	if err := s.disk.trouble(); err != nil {
		return err
	}
	return s.disk.room()
}

// apply writes batch: reads see it from then on, but it is on disk only once synced says so. An error means that nobody
// knows how much of it is on disk, and that this database takes no further writes.
func (s *store) apply(batch *pebble.Batch) (err error) {
	defer func() {
		if err = recovered(recover(), err); err != nil {
			s.broken.Store(true)
		}
	}()
	return s.db.ApplyNoSyncWait(batch, pebble.Sync)
}

// synced waits until an applied batch is on disk, and moves the end of the log to last. The error is as in apply.
func (s *store) synced(batch *pebble.Batch, last uint64) error {
	err := batch.SyncWait()
	if err == nil {
		err = s.mark.set(last)
	}
	if err != nil {
		s.broken.Store(true)
		return err
	}
	s.advance(last)
	return batch.Close()
}

// advance moves the end of the log, up to which everything is on disk, to last, and wakes whoever waits for that.
func (s *store) advance(last uint64) {
	s.last.Store(last)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// read reads the event at a position of the log.
func (s *store) read(position uint64) (message []byte, r record, err error) {
	value, closer, err := s.db.Get(logKey(nil, position))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, r, missing(position)
	}
	if err != nil {
		return nil, r, damaged(err)
	}
	defer closer.Close()
	return openRecord(append([]byte(nil), value...), position)
}

// belongs checks that an event the stream index led to is that event.
func belongs(r record, stream string, revision int64) error {
	if string(r.stream) != stream || r.revision != revision {
		return fmt.Errorf("the index says position %d is event %d of %q, the log says event %d of %q: %w",
			r.position, revision, stream, r.revision, r.stream, ErrDamaged)
	}
	return nil
}

func missing(position uint64) error {
	return fmt.Errorf("event at position %d is missing: %w", position, ErrDamaged)
}

// damaged makes what Pebble calls corruption an ErrDamaged.
func damaged(err error) error {
	if err != nil && pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// pebbleLogger writes Pebble's messages to slog. What Pebble can't go on after is a panic with a fatalError.
type pebbleLogger struct{ log *slog.Logger }

type fatalError struct{ text string }

func (e fatalError) Error() string { return e.text }

func (l pebbleLogger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug(fmt.Sprintf(format, args...))
	}
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error(fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.log.Error(text)
	panic(fatalError{text})
}
