package memory

import (
	"context"
	"errors"
	"fmt"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// load makes a ranking of all standings. If yield has returned an error, load fails even if the function standings ignores it.
func load(ctx context.Context, standings func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error)) (*ranking, leaderboard.Snapshot, error) {
	entries, retired, beyond := arena[entry]{shift: 18}, map[domain.ProxyKey]struct{}{}, map[domain.ProxyKey]domain.Points{}
	defer entries.release()
	var yielded error
	loaded, err := standings(func(s leaderboard.Standing) error {
		if yielded == nil {
			yielded = loadStanding(ctx, &entries, retired, beyond, s)
		}
		return yielded
	})
	if err = errors.Join(yielded, err, ctx.Err()); err != nil {
		return nil, loaded, err
	}
	r := newRanking(int(entries.used), sorted(&entries))
	r.beyond = beyond
	entries.release() // before the index allocates
	if err = r.makeIndex(); err == nil {
		err = r.setRetired(retired)
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

// change makes changes of a ranking that nobody reads yet.
func (r *ranking) change(changes []leaderboard.Change) error {
	results, err := new(fold).run(r, changes)
	if err == nil {
		r.store(results)
	}
	return err
}

func loadStanding(ctx context.Context, entries *arena[entry], retired map[domain.ProxyKey]struct{}, beyond map[domain.ProxyKey]domain.Points, s leaderboard.Standing) error {
	if s.Retired {
		if _, known := retired[s.Key]; known {
			return errDuplicate(s.Key)
		}
		retired[s.Key] = struct{}{}
		return ctx.Err()
	}
	if err := errors.Join(ctx.Err(), s.Check(), checkRoom(int(entries.used), 1)); err != nil {
		return err
	}
	if s.Points != s.Points.Ranked() {
		beyond[s.Key] = s.Points
	}
	*entries.at(entries.add()) = newEntry(s)
	return nil
}

func errDuplicate(key domain.ProxyKey) error {
	return fmt.Errorf("customer %s is there twice: %w", key, domain.ErrInvalid)
}
