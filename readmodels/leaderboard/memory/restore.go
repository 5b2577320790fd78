package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Restore loads the board from the file, if that is of the same points and check accepts what it says of itself: its checkpoint, and its number of customers. An error,
// such as os.ErrNotExist, or domain.ErrInvalid for a damaged file, leaves the board as it was.
func (f *File) Restore(ctx context.Context, check func(at domain.Checkpoint, customers int) error) error {
	file, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	d, err := describe(file, info.Size())
	if err != nil {
		return err
	}
	saved, err := d.snapshot()
	if err != nil {
		return damaged("%v", err)
	}
	if d.Of != f.Of {
		return fmt.Errorf("%w: the file is of the points of %q and not of %q", domain.ErrInvalid, d.Of, f.Of)
	}
	if err := check(saved.Checkpoint, d.Customers); err != nil {
		return err
	}
	if err := f.Board.restore(ctx, file, d, saved); err != nil {
		return err
	}
	f.note(saved.Checkpoint)
	return nil
}

func (b *Board) restore(ctx context.Context, file io.ReaderAt, d description, saved leaderboard.Snapshot) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	defer b.end()
	fresh, err := restored(ctx, file, d)
	if err != nil {
		return err
	}
	b.become(fresh, saved)
	return nil
}

// restored makes a ranking of what is in a file.
func restored(ctx context.Context, file io.ReaderAt, d description) (_ *ranking, err error) {
	var changed []entry
	replaced, retired, beyond := map[domain.ProxyKey]struct{}{}, map[domain.ProxyKey]struct{}{}, map[domain.ProxyKey]domain.Points{}
	if err := errors.Join(readEach(file, d.Changed, entrySize, func(data []byte) error {
		e, err := decodeEntry(data)
		changed, replaced[e.key()] = append(changed, e), struct{}{}
		return err
	}), readEach(file, d.Retired, keySize, func(data []byte) error {
		retired[domain.ProxyKey(data)], replaced[domain.ProxyKey(data)] = struct{}{}, struct{}{}
		return nil
	}), readEach(file, d.Beyond, totalSize, func(data []byte) error {
		s, err := decodeTotal(data)
		beyond[s.Key] = s.Points
		return err
	})); err != nil {
		return nil, err
	}
	entries := allocate[entry](max(count(d.Entries), 1), true)
	free := sync.OnceFunc(func() { release(entries) })
	defer free()
	parts, err := readEntries(ctx, file, d.Entries, entries, replaced)
	if err != nil {
		return nil, err
	}
	r := newRanking(parts...)
	free() // before the index allocates
	defer func() {
		if err != nil {
			r.release()
		}
	}()
	if err := r.makeIndex(); err != nil {
		return nil, err
	}
	for _, e := range changed {
		key := e.key()
		if _, found := r.index.find(&key); found {
			return nil, errDuplicate(key)
		}
		r.enter(e)
	}
	for key, total := range beyond {
		if at, found := r.index.find(&key); !found || r.tree.entry(at).points() != total.Ranked() {
			return nil, damaged("%d points are of nobody", total)
		}
	}
	r.beyond = beyond
	if err := r.setRetired(retired); err != nil {
		return nil, err
	}
	if r.tree.count != d.Customers {
		return nil, damaged("it has %d customers and says %d", r.tree.count, d.Customers)
	}
	return r, nil
}

// readEntries reads blocks of entries on all cores, without those of some keys, and divides them into parts.
func readEntries(ctx context.Context, file io.ReaderAt, blocks []block, into []entry, without map[domain.ProxyKey]struct{}) ([]part, error) {
	runs, errs := make([][]entry, len(blocks)), make([]error, len(blocks))
	begin := make([]int, len(blocks)+1)
	for i, b := range blocks {
		begin[i+1] = begin[i] + b.Count
	}
	buffers := sync.Pool{New: func() any { return new([]byte) }}
	together(len(blocks), func(i int) {
		buffer := buffers.Get().(*[]byte)
		defer buffers.Put(buffer)
		if errs[i] = ctx.Err(); errs[i] != nil {
			return
		}
		data, err := blocks[i].read(file, entrySize, buffer)
		run := into[begin[i]:begin[i+1]]
		if err == nil {
			err = decodeEntries(data, run)
		}
		errs[i], runs[i] = err, kept(run, without)
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// Each block is a part, together with the next where it has become too short for a leaf.
	var parts []part
	var some [][]entry
	n, left := 0, 0
	for _, run := range runs {
		left += len(run)
	}
	var last entry
	for i, run := range runs {
		if len(run) > 0 {
			if i > 0 && !last.before(run[0]) {
				return nil, damaged("its blocks are not in order")
			}
			last = run[len(run)-1]
		}
		some, n, left = append(some, run), n+len(run), left-len(run)
		if n >= leafSize && left >= leafSize {
			parts = append(parts, part{n, merged(some)})
			some, n = nil, 0
		}
	}
	return append(parts, part{n, merged(some)}), nil
}

// kept removes the entries of some keys.
func kept(run []entry, without map[domain.ProxyKey]struct{}) []entry {
	if len(without) == 0 {
		return run
	}
	n := 0
	for _, e := range run {
		if _, replaced := without[e.key()]; !replaced {
			run[n] = e
			n++
		}
	}
	return run[:n]
}
