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
	entries, retired := arena[entry]{shift: 18}, map[domain.ProxyKey]struct{}{}
	defer entries.release()
	var yielded error
	loaded, err := standings(func(s leaderboard.Standing) error {
		if yielded == nil {
			yielded = loadStanding(ctx, &entries, retired, s)
		}
		return yielded
	})
	if err = errors.Join(yielded, err, ctx.Err()); err != nil {
		return nil, loaded, err
	}
	r := newRanking(int(entries.used), sorted(&entries))
	entries.release() // before the index allocates
	if err = r.makeIndex(); err == nil {
		err = r.setRetired(retired)
	}
	if err != nil {
		r.release()
		return nil, loaded, err
	}
	return r, loaded, nil
}

func loadStanding(ctx context.Context, entries *arena[entry], retired map[domain.ProxyKey]struct{}, s leaderboard.Standing) error {
	if s.Retired {
		if _, known := retired[s.Key]; known {
			return errDuplicate(s.Key)
		}
		retired[s.Key] = struct{}{}
		return ctx.Err()
	}
	if _, err := domain.Points(0).Plus(s.Points); err != nil {
		return fmt.Errorf("customer %s: %w", s.Key, err)
	}
	if err := errors.Join(ctx.Err(), checkRoom(int(entries.used), 1)); err != nil {
		return err
	}
	*entries.at(entries.add()) = newEntry(s)
	return nil
}

func errDuplicate(key domain.ProxyKey) error {
	return fmt.Errorf("customer %s is there twice: %w", key, domain.ErrInvalid)
}
