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

// layoutVersion is the version of the layout in doc.go. A folder of a later version does not open.
const layoutVersion = 1

const (
	blockCacheBytes = 32 << 20 // includes two memtables
	memTableBytes   = 8 << 20
	tableBytes      = 64 << 20
)

// store is the log and its indexes. Its reading methods are safe for concurrent use; many take the position up to which they read, which end
// returns. One goroutine at a time may write.
type store struct {
	db   *pebble.DB
	disk *disk
	mark *mark
	last atomic.Uint64
	// described is true once any stream has metadata. Most stores never have any, and need not look it up.
	described atomic.Bool
	broken    atomic.Bool // a write failed
	frozen    bool        // its files must not be changed any more, see unlessBlocked

	mu      sync.Mutex
	changed chan struct{}
}

// openStore opens or creates the database in dir on fs. The caller holds the folder's lock. The error is ErrDamaged if the store is damaged,
// errUnwritable if it can't be written to.
func openStore(fs vfs.FS, dir string, logger *slog.Logger) (*store, error) {
	s := &store{disk: newDisk(fs, dir, logger), changed: make(chan struct{})}
	if err := s.unlessBlocked(func() error { return s.open(dir, logger) }); err != nil {
		return nil, fmt.Errorf("open the event log in %s: %w", dir, errors.Join(explainUnwritable(damaged(err)), s.release()))
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
		return errLogTooShort(s.end(), marked)
	}
	if err := s.checkEnd(); err != nil {
		return err
	}
	s.disk.setVerified()
	return s.mark.set(s.end())
}

// unlessBlocked runs some work on the database, and abandons it as soon as the disk blocks: it freezes the disk, so that nothing changes the
// files any more, neither the work nor other writes.
func (s *store) unlessBlocked(work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-s.disk.blocked():
		err := s.disk.failure()
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
		FormatMajorVersion: pebble.FormatNewest, // its WAL distinguishes an incomplete tail from damage in the middle
		Logger:             pebbleLogger{logger},
		EventListener: &pebble.EventListener{
			// Pebble's default ends the process. Here the read of the damaged block reports it; the rest stays readable.
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				logger.Error("damaged file", "file", info.Path, "error", info.Details)
			},
		},
	}
	for level := range options.Levels {
		options.TargetFileSizes[level] = tableBytes // each table takes memory as long as it exists
		options.Levels[level].BlockSize = 16 << 10
		options.Levels[level].FilterPolicy = bloom.FilterPolicy(10) // most appends look up a stream that doesn't exist yet
	}
	// Files that hold only the log never overlap, so that a compaction moves them instead of rewriting them.
	options.Experimental.SpanPolicyFunc = pebble.MakeStaticSpanPolicyFunc(pebble.DefaultComparer.Compare,
		pebble.KeyRange{Start: []byte{logKind}, End: []byte{logKind + 1}}, pebble.SpanPolicy{PreferFastCompression: true})
	return pebble.Open(dir, options)
}

// recovered turns a panic with a fatalError, with which pebbleLogger stops Pebble, into an error.
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

// checkEnd looks for a gap in the last events of the log. A truncated manifest opens as an older one: without the tables that were flushed
// last, before the events that are still in the write-ahead log. Those fill the memtables at most.
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

// close closes the database; wait returns when nobody uses it any more. It first flushes the memtables to table files, so that opening it
// again is quick. If the disk is blocked, the files are left as they are: everything acknowledged is in the log on disk, where the next open
// finds it.
func (s *store) close(wait func()) error {
	err := s.unlessBlocked(func() error {
		wait()
		if s.broken.Load() {
			return nil
		}
		return s.db.Flush()
	})
	return errors.Join(err, s.release())
}

// release releases what open has acquired, as far as it got.
func (s *store) release() (err error) {
	if !s.frozen && s.db != nil {
		err = s.unlessBlocked(s.db.Close)
	}
	if !s.frozen && s.mark != nil {
		err = errors.Join(err, s.unlessBlocked(s.mark.close))
	}
	return errors.Join(err, s.disk.unlock())
}

// end is the position of the last synced event, 0 if there is none.
func (s *store) end() uint64 { return s.last.Load() }

// moved returns a channel that is closed when end, or what an Imitation shows of the log, moves. Get it before reading end, or a move in between is missed.
func (s *store) moved() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// writable is nil if appends can be written. The error wraps errUnwritable.
func (s *store) writable() error {
	if s.broken.Load() {
		return errUnwritable
	}
	if err := s.disk.failure(); err != nil {
		return err
	}
	return s.disk.room()
}

// apply writes a batch: reads see it from then on, but it is durable only after synced. After an error it is unknown how much of it is on
// disk, and this database takes no further writes.
func (s *store) apply(batch *pebble.Batch) (err error) {
	defer func() {
		if err = recovered(recover(), err); err != nil {
			s.broken.Store(true)
		}
	}()
	return s.db.ApplyNoSyncWait(batch, pebble.Sync)
}

// synced waits until an applied batch is synced, and moves the end of the log to last. For errors see apply.
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

// advance moves the end of the log, up to which everything is synced, to last, and wakes those who wait for it.
func (s *store) advance(last uint64) {
	s.last.Store(last)
	s.wake()
}

// wake closes the channel that moved returns.
func (s *store) wake() {
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

// checkIndexed makes sure that an event is the one that the stream's index says.
func checkIndexed(r record, stream string, revision int64) error {
	if string(r.stream) != stream || r.revision != revision {
		return fmt.Errorf("the index says position %d is event %d of %q, the log says event %d of %q: %w",
			r.position, revision, stream, r.revision, r.stream, ErrDamaged)
	}
	return nil
}

func missing(position uint64) error {
	return fmt.Errorf("event at position %d is missing: %w", position, ErrDamaged)
}

// damaged wraps Pebble's corruption errors as ErrDamaged.
func damaged(err error) error {
	if err != nil && pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// pebbleLogger writes Pebble's messages to slog. A fatal one becomes a panic with a fatalError.
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
