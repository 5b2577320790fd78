package projections

import (
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

// Leaderboard is the projection that ranks customers by the changes of their points, of all time or of one season, until they
// are forgotten.
type Leaderboard struct {
	Writer leaderboard.Writer
	// Season is the one whose points count; of the zero Season all do.
	Season season.Season
	// Accounts is what a leaderboard without a state of its own starts from: a ledger, or a ledger.Season of one.
	Accounts Accounts
	// Proxies makes the keys under which customers are ranked.
	Proxies domain.Proxies
	// Logger hears how a load from the ledger gets on, by the clock Now. Without one nobody does.
	Logger *slog.Logger
	Now    func() time.Time
}

// Accounts hands out what every customer has, as ledger.Reader's does.
type Accounts interface {
	Accounts(ctx context.Context, yield func(ledger.Account) error) (ledger.State, error)
}

const (
	// loadLook is after how many customers a load looks at the clock, and loadSay how often it says how far it is.
	loadLook = 1 << 14
	loadSay  = 2 * time.Second
)

// Name is "leaderboard", and a season's has its id behind it: "leaderboard-2026-11".
func (l Leaderboard) Name() string {
	if l.Season.ID == "" {
		return "leaderboard"
	}
	return "leaderboard-" + l.Season.ID
}

// Types are the events that change points, and the one that ends it.
func (Leaderboard) Types() []string { return rankingTypes() }

// Checkpoint is the leaderboard's. A leaderboard that has none is loaded from the ledger first: every account, and the
// ledger's checkpoint, in one consistent read.
func (l Leaderboard) Checkpoint(ctx context.Context) (domain.Position, error) {
	at, err := l.Writer.Checkpoint(ctx)
	if !errors.Is(err, domain.ErrNotCaughtUp) {
		return at, err
	}
	if err := l.load(ctx); err != nil {
		return at, fmt.Errorf("load the leaderboard from the ledger: %w", err)
	}
	return l.Writer.Checkpoint(ctx)
}

func (l Leaderboard) load(ctx context.Context) error {
	if l.Logger == nil {
		l.Logger, l.Now = slog.New(slog.DiscardHandler), time.Now
	}
	began := l.Now()
	said, customers := began, 0
	err := l.Writer.Load(ctx, func(yield func(leaderboard.Standing) error) (leaderboard.State, error) {
		state, err := l.Accounts.Accounts(ctx, func(a ledger.Account) error {
			if customers++; customers%loadLook == 0 {
				if now := l.Now(); now.Sub(said) >= loadSay {
					said = now
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
			l.Logger.Info("the leaderboard is being put in order", "customers", customers, "position", state.Position)
		}
		return leaderboard.State{Position: state.Position, AsOf: state.AsOf}, err
	})
	if err == nil {
		l.Logger.Info("the leaderboard is loaded", "customers", customers, "took", l.Now().Sub(began))
	}
	return err
}

// Apply moves each customer by the points of their events, and retires the keys of those who were forgotten.
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
