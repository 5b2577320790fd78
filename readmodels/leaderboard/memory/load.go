package memory

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// load makes a ranking of all standings. If yield has returned an error, load fails even if the function standings ignores it.
func load(ctx context.Context, standings func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error)) (*ranking, leaderboard.Snapshot, error) {
	l := newLoading(ctx)
	defer l.release()
	loaded, err := standings(func(s leaderboard.Standing) error {
		if l.err == nil {
			l.err = l.add(s)
		}
		return l.err
	})
	if err = errors.Join(l.err, err, ctx.Err()); err != nil {
		return nil, loaded, err
	}
	r := newRanking(partsOf(l.runs())...)
	r.beyond = l.beyond
	l.release() // before the index allocates
	if err = r.makeIndex(); err == nil {
		err = r.setRetired(l.retired)
	}
	if err == nil {
		err = r.change(loaded.Lacking)
	}
	loaded.Lacking = nil
	if err != nil {
		r.release()
		return nil, loaded, err
	}
	return r, loaded, nil
}

// loading is what a load has been given so far. Each chunk of entries is sorted in the background as soon as it is full.
type loading struct {
	ctx     context.Context
	entries arena[entry]
	retired map[domain.ProxyKey]struct{}
	beyond  map[domain.ProxyKey]domain.Points
	sorting sync.WaitGroup
	cores   chan struct{} // one for each sort at work
	err     error
}

func newLoading(ctx context.Context) *loading {
	return &loading{
		ctx: ctx, entries: arena[entry]{shift: 18}, retired: map[domain.ProxyKey]struct{}{}, beyond: map[domain.ProxyKey]domain.Points{},
		cores: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

// checkEvery is how many customers are added between two looks at the context.
const checkEvery = 1 << 10

func (l *loading) add(s leaderboard.Standing) error {
	if s.Retired {
		if _, known := l.retired[s.Key]; known {
			return errDuplicate(s.Key)
		}
		l.retired[s.Key] = struct{}{}
		return l.ctx.Err()
	}
	if l.entries.used%checkEvery == 0 {
		if err := l.ctx.Err(); err != nil {
			return err
		}
	}
	if err := s.Check(); err != nil {
		return err
	}
	if err := checkRoom(int(l.entries.used), 1); err != nil {
		return err
	}
	if s.Points != s.Points.Ranked() {
		l.beyond[s.Key] = s.Points
	}
	*l.entries.at(l.entries.add()) = newEntry(s)
	if l.entries.used%(1<<l.entries.shift) == 0 {
		full := l.entries.chunks[len(l.entries.chunks)-1]
		l.sorting.Go(func() {
			l.cores <- struct{}{}
			sortRun(full)
			<-l.cores
		})
	}
	return nil
}

// runs are the entries in sorted runs.
func (l *loading) runs() (runs [][]entry) {
	size := uint32(1) << l.entries.shift
	for i, chunk := range l.entries.chunks {
		runs = append(runs, chunk[:min(l.entries.used-uint32(i)*size, size)])
	}
	if l.entries.used%size != 0 {
		sortRun(runs[len(runs)-1])
	}
	l.sorting.Wait()
	return runs
}

// release frees the memory of the entries. A second release does nothing.
func (l *loading) release() {
	l.sorting.Wait()
	l.entries.release()
}

// change makes changes of a ranking that nobody reads yet.
func (r *ranking) change(changes []leaderboard.Change) error {
	results, err := new(fold).run(r, changes)
	if err == nil {
		r.store(results)
	}
	return err
}

func errDuplicate(key domain.ProxyKey) error {
	return fmt.Errorf("customer %s is there twice: %w", key, domain.ErrInvalid)
}
