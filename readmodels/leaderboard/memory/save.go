package memory

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// File keeps a board between two runs of a process, so that it need not be loaded anew. It holds proxy keys, and no customer's id. Only one
// process may use a file at a time.
type File struct {
	Board *Board
	Path  string
	// Of says whose points count on the board: that of a file must be the same.
	Of string
	// Logger logs what becomes of the file.
	Logger *slog.Logger

	mu      sync.Mutex
	written domain.Checkpoint // of what is in the file
}

// has is what is in the file, as far as this process knows.
func (f *File) has() domain.Checkpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.written
}

func (f *File) note(at domain.Checkpoint) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written = at
}

// finalBound is for how long the file is still written after the end of Keep's context.
const finalBound = 20 * time.Second

// Keep writes the file at intervals, and once more when ctx ends, whenever the board has changed since.
func (f *File) Keep(ctx context.Context, interval time.Duration) {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			f.update(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalBound)
			defer cancel()
			f.update(last)
			return
		}
	}
}

func (f *File) update(ctx context.Context) {
	at, err := f.Board.Checkpoint(ctx)
	if err != nil || at == f.has() {
		return
	}
	began := time.Now()
	if err := f.Save(ctx); err != nil {
		if ctx.Err() == nil {
			f.Logger.Warn("the leaderboard can't be written to its file", "file", f.Path, "error", err)
		}
		return
	}
	f.Logger.Debug("the leaderboard is written to its file", "file", f.Path, "took", time.Since(began))
}

// Save writes the board to the file (mode 0600), which is the former one or the whole new one, also after a power cut. Readers are not held up. Batches are,
// for about a millisecond at a time, and while the customers who have changed meanwhile are copied. A board that is loaded meanwhile is
// domain.ErrCheckpointMoved.
func (f *File) Save(ctx context.Context) (err error) {
	staged := f.Path + ".new"
	file, err := os.OpenFile(staged, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(staged) // it is written anew the next time
		}
	}()
	at, err := f.Board.save(ctx, file, f.Of, perBlock)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(staged, f.Path); err != nil {
		return err
	}
	f.note(at)
	folder, err := os.Open(filepath.Dir(f.Path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Remove removes the file. It is no error if there is none.
func (f *File) Remove() error {
	if err := os.Remove(f.Path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// saving is what changes of a board while it is saved.
type saving struct {
	ranking *ranking
	changed map[domain.ProxyKey]struct{}
}

func (s *saving) note(results []result) {
	for i := range results {
		s.changed[results[i].standing.Key] = struct{}{}
	}
}

// save writes the board in pieces, between which batches may change it. Whoever has not changed from the first piece to the last is in just one of
// them, because their place stays the same; all who have are added at the end, as they are then.
func (b *Board) save(ctx context.Context, to io.Writer, of string, perPiece int) (at domain.Checkpoint, err error) {
	s, err := b.beginSaving(ctx)
	if err != nil {
		return at, err
	}
	defer b.endSaving(ctx)
	buffered := bufio.NewWriterSize(to, 1<<20)
	w := &writer{to: buffered}
	d := description{Version: fileVersion, Of: of}
	var next entry
	for more := true; more; {
		var piece []entry
		if err := b.hold(ctx, s, func() { piece, more = s.ranking.tree.from(next, perPiece) }); err != nil {
			return at, err
		}
		if len(piece) == 0 {
			break
		}
		next = piece[len(piece)-1].after()
		if d.Entries, err = writeAll(w, d.Entries, piece, entrySize, appendEntry); err != nil {
			return at, err
		}
	}
	var now leaderboard.Snapshot
	var changed []entry
	var retired []domain.ProxyKey
	var beyond []leaderboard.Standing
	if err := b.hold(ctx, s, func() {
		now, d.Customers = b.now, s.ranking.tree.count
		for key := range s.changed {
			if at, found := s.ranking.index.find(&key); found {
				changed = append(changed, s.ranking.tree.entry(at))
			}
		}
		for key := range s.ranking.retired {
			retired = append(retired, key)
		}
		for key, total := range s.ranking.beyond {
			beyond = append(beyond, leaderboard.Standing{Key: key, Points: total})
		}
	}); err != nil {
		return at, err
	}
	d.Position, d.Origin, d.AsOf = now.Position, now.Origin(), now.AsOf
	d.Changed, err = writeAll(w, nil, changed, entrySize, appendEntry)
	if err == nil {
		d.Retired, err = writeAll(w, nil, retired, keySize, func(data []byte, key domain.ProxyKey) []byte { return append(data, key[:]...) })
	}
	if err == nil {
		d.Beyond, err = writeAll(w, nil, beyond, totalSize, func(data []byte, s leaderboard.Standing) []byte { return appendTotal(data, s.Key, s.Points) })
	}
	if err == nil {
		err = w.end(d)
	}
	return now.Checkpoint, errors.Join(err, buffered.Flush())
}

func (b *Board) beginSaving(ctx context.Context) (*saving, error) {
	if err := b.begin(ctx); err != nil {
		return nil, err
	}
	defer b.end()
	switch {
	case b.ranking == nil:
		return nil, errNotLoaded
	case b.saving != nil:
		return nil, fmt.Errorf("%w: the leaderboard is being saved", domain.ErrUnavailable)
	}
	b.saving = &saving{ranking: b.ranking, changed: map[domain.ProxyKey]struct{}{}}
	return b.saving, nil
}

func (b *Board) endSaving(ctx context.Context) {
	if err := b.begin(context.WithoutCancel(ctx)); err == nil { // it waits for as long as a batch takes
		b.saving = nil
		b.end()
	}
}

// hold calls do while no batch changes the board.
func (b *Board) hold(ctx context.Context, s *saving, do func()) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	defer b.end()
	if b.ranking != s.ranking {
		return fmt.Errorf("the leaderboard was loaded while it was saved: %w", domain.ErrCheckpointMoved)
	}
	do()
	return nil
}

// writeAll writes elements in blocks, whose places it appends to others.
func writeAll[E any](w *writer, blocks []block, all []E, size int, encode func([]byte, E) []byte) ([]block, error) {
	data := make([]byte, 0, min(len(all), perBlock)*size)
	for piece := range slices.Chunk(all, perBlock) {
		data = data[:0]
		for _, e := range piece {
			data = encode(data, e)
		}
		b, err := w.block(data, size)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// from copies up to n entries that are not before one, and tells whether there are more.
func (t *tree) from(first entry, n int) (some []entry, more bool) {
	some = make([]entry, 0, min(n, t.count))
	id := t.leafFor(first)
	at := search(t.leaves.at(id).all(), first)
	for id != none {
		l := t.leaves.at(id)
		for _, e := range l.all()[at:] {
			if len(some) == n {
				return some, true
			}
			some = append(some, e)
		}
		id, at = l.next, 0
	}
	return some, false
}

// after is the least entry that comes after one. There is one: no key is the greatest.
func (e entry) after() entry {
	if e.tail++; e.tail == 0 {
		if e.head++; e.head == 0 {
			e.place++
		}
	}
	return e
}
