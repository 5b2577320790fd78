package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/season"
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
	// Proxies makes the customers' keys.
	Proxies domain.Proxies
	// Logger logs the progress of a load, with the clock Now; nil logs nothing.
	Logger *slog.Logger
	Now    func() time.Time
}

// Accounts streams all accounts; see ledger.Reader.
type Accounts interface {
	Checkpoint(ctx context.Context) (domain.Checkpoint, error)
	Accounts(ctx context.Context, yield func(ledger.Account) error) (ledger.Snapshot, error)
}

const (
	// A load reads the clock after every loadCheckEvery customers, and logs its progress every loadReportInterval.
	loadCheckEvery     = 1 << 14
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

// Checkpoint is the leaderboard's checkpoint. A leaderboard without one is first loaded from the ledger: all accounts and the ledger's
// checkpoint, from one snapshot. The ledger is not asked if another process has loaded the leaderboard meanwhile.
func (l Leaderboard) Checkpoint(ctx context.Context) (domain.Checkpoint, error) {
	at, err := l.Writer.Checkpoint(ctx)
	if !errors.Is(err, domain.ErrNotCaughtUp) {
		return at, err
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

// load loads the leaderboard if wanted returns nil, once no other process can load it.
func (l Leaderboard) load(ctx context.Context, wanted func() error) error {
	if l.Logger == nil {
		l.Logger, l.Now = slog.New(slog.DiscardHandler), time.Now
	}
	began := l.Now()
	reported, customers := began, 0
	err := l.Writer.Load(ctx, func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		if err := wanted(); err != nil {
			return leaderboard.Snapshot{}, err
		}
		loaded, err := l.Accounts.Accounts(ctx, func(a ledger.Account) error {
			if customers++; customers%loadCheckEvery == 0 {
				if now := l.Now(); now.Sub(reported) >= loadReportInterval {
					reported = now
					l.Logger.Info("the leaderboard is being loaded from the ledger", "customers", customers, "took", now.Sub(began))
				}
			}
			key := l.Proxies.Key(a.Customer)
			if a.Forgotten {
				return yield(leaderboard.Standing{Key: key, Retired: true})
			}
			return yield(leaderboard.Standing{Key: key, Points: a.Points, Minute: leaderboard.Minute(a.ReachedAt)})
		})
		if err == nil {
			err = loaded.CheckNames(l.Names()) // the ledger is of another secret, so this process has the wrong one
		}
		if err == nil {
			l.Logger.Info("the leaderboard is being put in order", "customers", customers, "position", loaded.Position)
		}
		loaded.Fold, loaded.Names = l.Fold(), l.Names()
		return leaderboard.Snapshot{Checkpoint: loaded.Checkpoint, AsOf: loaded.AsOf}, err
	})
	if err == nil {
		l.Logger.Info("the leaderboard is loaded", "customers", customers, "took", l.Now().Sub(began))
		return nil
	}
	return fmt.Errorf("load the leaderboard from the ledger: %w", err)
}

// Apply adds the points of each event, and retires the keys of forgotten customers.
func (l Leaderboard) Apply(ctx context.Context, b Batch) error {
	changes := make([]leaderboard.Change, len(b.Events))
	for i, event := range b.Events {
		occurred := event.Event.Occurred()
		changes[i] = leaderboard.Change{
			Key: l.Proxies.Key(event.Event.Customer()), Minute: leaderboard.Minute(occurred),
			Retires: event.Event.EventType() == account.TypeCustomerForgotten,
		}
		if l.Season.ID == "" || l.Season.Contains(occurred) {
			changes[i].Points = pointsOf(event.Event)
		}
	}
	return l.Writer.Apply(ctx, leaderboard.Batch{From: b.From, To: b.To, AsOf: b.AsOf, Changes: changes})
}
