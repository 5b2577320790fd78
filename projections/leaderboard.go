package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/season"
	"loyalty/eventstore"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// Leaderboard is the projection into a leaderboard, of all time or of one season.
type Leaderboard struct {
	Writer leaderboard.Writer
	// Season is the season whose points count. With the zero Season all points count.
	Season season.Season
	// Accounts is what a leaderboard without a checkpoint is loaded from: a ledger, or a ledger.Season of one.
	Accounts Accounts
	// Log is the log that the ledger follows, for what happens while it is read. It may be nil for a ledger that is read from one snapshot.
	Log *eventstore.Store
	// Saved is where the leaderboard was kept, which is tried before the ledger; nil for nowhere.
	Saved Saved
	// Proxies makes the customers' keys.
	Proxies domain.Proxies
	// Logger logs the progress of a load, with the clock Now; nil logs nothing.
	Logger *slog.Logger
	Now    func() time.Time
}

// Accounts streams all accounts; see ledger.Reader.
type Accounts interface {
	Checkpoint(ctx context.Context) (domain.Checkpoint, error)
	Accounts(ctx context.Context, yield func(ledger.Piece) error) (ledger.Snapshot, error)
}

const (
	// A load logs its progress every loadReportInterval.
	loadReportInterval = 2 * time.Second
)

// Name is "leaderboard", or with a season's id "leaderboard-2026-11".
func (l Leaderboard) Name() string {
	if l.Season.ID == "" {
		return "leaderboard"
	}
	return "leaderboard-" + l.Season.ID
}

// Fold is 2: that of version 1 knows no checkpoint with Names.
func (Leaderboard) Fold() int { return 2 }

// Names are those of Proxies.
func (l Leaderboard) Names() string { return l.Proxies.Fingerprint() }

// Types are the events that change points or forget a customer.
func (Leaderboard) Types() []string { return rankingTypes() }

// Checkpoint is the leaderboard's checkpoint. A leaderboard without one is first loaded from the ledger: all accounts, and from the log what
// these lack of the last position at which some of them were read. The ledger is not asked if another process has loaded the leaderboard meanwhile.
func (l Leaderboard) Checkpoint(ctx context.Context) (domain.Checkpoint, error) {
	at, err := l.Writer.Checkpoint(ctx)
	if !errors.Is(err, domain.ErrNotCaughtUp) {
		return at, err
	}
	l = l.logging()
	if l.restore(ctx) {
		return l.Writer.Checkpoint(ctx)
	}
	err = l.load(ctx, func() error {
		if _, err := l.Writer.Checkpoint(ctx); !errors.Is(err, domain.ErrNotCaughtUp) {
			return cmp.Or(err, errLoadedMeanwhile)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errLoadedMeanwhile) {
		return at, err
	}
	return l.Writer.Checkpoint(ctx)
}

var errLoadedMeanwhile = errors.New("another process has loaded the leaderboard")

// Source is the ledger's checkpoint.
func (l Leaderboard) Source(ctx context.Context) (domain.Checkpoint, error) {
	return l.Accounts.Checkpoint(ctx)
}

// Load loads the leaderboard from the ledger.
func (l Leaderboard) Load(ctx context.Context) error { return l.load(ctx, func() error { return nil }) }

// logging is the projection with a logger, which may discard all.
func (l Leaderboard) logging() Leaderboard {
	if l.Logger == nil {
		l.Logger, l.Now = slog.New(slog.DiscardHandler), time.Now
	}
	return l
}

// load loads the leaderboard if wanted returns nil, once no other process can load it.
func (l Leaderboard) load(ctx context.Context, wanted func() error) error {
	l = l.logging()
	began := l.Now()
	customers := 0
	err := l.Writer.Load(ctx, func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		if err := wanted(); err != nil {
			return leaderboard.Snapshot{}, err
		}
		var mu sync.Mutex
		reported, ahead := began, ahead{}
		read, err := l.Accounts.Accounts(ctx, func(p ledger.Piece) error {
			standings := make([]leaderboard.Standing, len(p.Accounts))
			for i, a := range p.Accounts { // several pieces at once: the keys take as long as all else
				standings[i] = leaderboard.Standing{Key: l.Proxies.Key(a.Customer), Points: a.Points, Minute: leaderboard.Minute(a.ReachedAt), Retired: a.Forgotten}
			}
			mu.Lock()
			defer mu.Unlock()
			ahead.remember(p)
			customers += len(standings)
			if now := l.Now(); now.Sub(reported) >= loadReportInterval {
				reported = now
				l.Logger.Info("the leaderboard is being loaded from the ledger", "customers", customers, "took", now.Sub(began))
			}
			for _, s := range standings {
				if err := yield(s); err != nil {
					return err
				}
			}
			return nil
		})
		loaded := leaderboard.Snapshot{Checkpoint: read.Checkpoint, AsOf: read.AsOf}
		if err == nil {
			err = read.CheckNames(l.Names()) // the ledger is of another secret, so this process has the wrong one
		}
		if err == nil {
			loaded.Checkpoint, loaded.Lacking, err = l.lacking(ctx, read.Checkpoint, ahead)
		}
		if err == nil {
			l.Logger.Info("the leaderboard is being put in order", "customers", customers, "position", loaded.Position, "meanwhile", len(loaded.Lacking), "took", l.Now().Sub(began))
		}
		loaded.Fold, loaded.Names = l.Fold(), l.Names()
		return loaded, err
	})
	if err == nil {
		l.Logger.Info("the leaderboard is loaded", "customers", customers, "took", l.Now().Sub(began))
		return nil
	}
	return fmt.Errorf("load the leaderboard from the ledger: %w", err)
}

// lacking reads from the log what accounts that were read from a checkpoint on lack of the last position at which one of them was read, and
// returns the checkpoint there.
func (l Leaderboard) lacking(ctx context.Context, from domain.Checkpoint, ahead ahead) (reached domain.Checkpoint, changes []leaderboard.Change, err error) {
	if len(ahead) == 0 {
		return from, nil, nil
	}
	reached, err = l.Log.Between(ctx, from, ahead.last(), l.Types(), func(r eventstore.Recorded) error {
		if ahead.lacks(r) {
			changes = append(changes, l.change(r.Event))
		}
		return nil
	})
	reached.Log = from.Log
	return reached, changes, err
}

func (l Leaderboard) change(event domain.Event) leaderboard.Change {
	occurred := event.Occurred()
	change := leaderboard.Change{
		Key: l.Proxies.Key(event.Customer()), Minute: leaderboard.Minute(occurred), Retires: event.EventType() == account.TypeCustomerForgotten,
	}
	if l.Season.ID == "" || l.Season.Contains(occurred) {
		change.Points = pointsOf(event)
	}
	return change
}

// Apply adds the points of each event, and retires the keys of forgotten customers.
func (l Leaderboard) Apply(ctx context.Context, b Batch) error {
	changes := make([]leaderboard.Change, len(b.Events))
	for i, event := range b.Events {
		changes[i] = l.change(event.Event)
	}
	return l.Writer.Apply(ctx, leaderboard.Batch{From: b.From, To: b.To, AsOf: b.AsOf, Changes: changes})
}
