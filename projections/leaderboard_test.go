package projections_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

// crowd is a ledger of so many customers.
type crowd struct {
	ledger.Reader
	customers int
}

func (c crowd) Accounts(_ context.Context, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	return ledger.InPieces(yield, func(yield func(ledger.Account) error) (ledger.Snapshot, error) {
		for i := range c.customers {
			if err := yield(ledger.Account{Customer: domain.CustomerID(fmt.Sprintf("c-%d", i)), Points: domain.Points(i % 100)}); err != nil {
				return ledger.Snapshot{}, err
			}
		}
		return ledger.Snapshot{Checkpoint: domain.CheckpointAt(domain.Position{Commit: 7, Prepare: 7})}, nil
	})
}

func (crowd) Checkpoint(context.Context) (domain.Checkpoint, error) { return domain.Checkpoint{}, nil }

func TestALongLoadOfTheLeaderboardSaysHowFarItIs(t *testing.T) {
	var out bytes.Buffer
	clock := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	projection := projections.Leaderboard{
		Writer: memory.New(), Accounts: crowd{customers: 7000}, Proxies: testProxies(t),
		Logger: slog.New(slog.NewTextHandler(&out, nil)),
		Now:    func() time.Time { clock = clock.Add(time.Second); return clock },
	}
	if at, err := projection.Checkpoint(bounded(t)); err != nil || at.Position.Commit != 7 || at.Fold != projection.Fold() {
		t.Fatalf("the leaderboard stands at %s, %v; want the ledger's checkpoint", at, err)
	}
	said := out.String()
	for _, want := range []string{`customers=2000 took=2s`, `customers=6000 took=6s`, `in order" customers=7000 position=7 meanwhile=0 took=8s`, `is loaded" customers=7000 took=9s`} {
		if !strings.Contains(said, want) {
			t.Errorf("the log lacks %q:\n%s", want, said)
		}
	}
}

// asked counts how often all accounts are asked for.
type asked struct {
	crowd
	times atomic.Int64
}

func (a *asked) Accounts(ctx context.Context, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	a.times.Add(1)
	return a.crowd.Accounts(ctx, yield)
}

// early is a leaderboard that was empty when it was first asked.
type early struct {
	leaderboard.Writer
	once sync.Once
}

func (e *early) Checkpoint(ctx context.Context) (at domain.Checkpoint, err error) {
	first := false
	e.once.Do(func() { first = true })
	if first {
		return at, domain.ErrNotCaughtUp
	}
	return e.Writer.Checkpoint(ctx)
}

// Given several processes that all find the leaderboard in Redis empty
// Then one of them asks the ledger for all accounts, and the others wait for it, also those that looked before and come after it.
func TestOneOfSeveralProcessesAsksTheLedgerForALeaderboard(t *testing.T) {
	board, of := openBoard(t), season.Season{ID: "shared", From: time.Unix(0, 0), Until: time.Unix(1<<32, 0)}
	t.Cleanup(func() {
		if err := board.Season(of).Remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	ledger, proxies := &asked{crowd: crowd{customers: 5000}}, testProxies(t)
	var processes sync.WaitGroup
	for range 4 {
		processes.Go(func() {
			p := projections.Leaderboard{Writer: &early{Writer: board.Season(of)}, Accounts: ledger, Proxies: proxies}
			for ctx := bounded(t); ; {
				at, err := p.Checkpoint(ctx)
				if err == nil && at.Position.Commit == 7 {
					return
				}
				if !errors.Is(err, domain.ErrUnavailable) {
					t.Errorf("the leaderboard stands at %s, %v", at, err)
					return
				}
			}
		})
	}
	processes.Wait()
	if n := ledger.times.Load(); n != 1 {
		t.Errorf("the ledger was asked %d times", n)
	}
}
