package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// Leaderboard is the projection that ranks customers by the changes of their points, until they are forgotten.
type Leaderboard struct {
	Writer leaderboard.Writer
	// Accounts is the ledger that a leaderboard without a state of its own starts from.
	Accounts ledger.Reader
	// Proxies makes the keys under which customers are ranked.
	Proxies domain.Proxies
	// Logger hears how a load from the ledger gets on, by the clock Now. Without one nobody does.
	Logger *slog.Logger
	Now    func() time.Time
}

const (
	// loadLook is after how many customers a load looks at the clock, and loadSay how often it says how far it is.
	loadLook = 1 << 14
	loadSay  = 2 * time.Second
)

// Name is "leaderboard".
func (Leaderboard) Name() string { return "leaderboard" }

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
			return yield(leaderboard.Standing{Key: l.Proxies.Key(a.Customer), Points: a.Points, Minute: leaderboard.Minute(a.ReachedAt)})
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
		changes[i] = leaderboard.Change{
			Key: l.Proxies.Key(event.Event.Customer()), Points: pointsOf(event.Event), Minute: leaderboard.Minute(event.Event.Occurred()),
			Retires: event.Event.EventType() == account.TypeCustomerForgotten,
		}
	}
	return l.Writer.Apply(ctx, leaderboard.Batch{From: b.From, To: b.To, AsOf: b.AsOf, Changes: changes})
}
