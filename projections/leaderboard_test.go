package projections_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

// crowd is a ledger of so many customers.
type crowd struct {
	ledger.Reader
	customers int
}

func (c crowd) Accounts(_ context.Context, yield func(ledger.Account) error) (ledger.Snapshot, error) {
	for i := range c.customers {
		if err := yield(ledger.Account{Customer: domain.CustomerID(fmt.Sprintf("c-%d", i)), Points: domain.Points(i % 100)}); err != nil {
			return ledger.Snapshot{}, err
		}
	}
	return ledger.Snapshot{Checkpoint: domain.CheckpointAt(domain.Position{Commit: 7, Prepare: 7})}, nil
}

func (crowd) Checkpoint(context.Context) (domain.Checkpoint, error) { return domain.Checkpoint{}, nil }

func TestALongLoadOfTheLeaderboardSaysHowFarItIs(t *testing.T) {
	var out bytes.Buffer
	clock := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	projection := projections.Leaderboard{
		Writer: memory.New(), Accounts: crowd{customers: 70_000}, Proxies: testProxies(t),
		Logger: slog.New(slog.NewTextHandler(&out, nil)),
		Now:    func() time.Time { clock = clock.Add(time.Second); return clock },
	}
	if at, err := projection.Checkpoint(bounded(t)); err != nil || at.Position.Commit != 7 || at.Fold != projection.Fold() {
		t.Fatalf("the leaderboard stands at %s, %v; want the ledger's checkpoint", at, err)
	}
	said := out.String()
	for _, want := range []string{`customers=32768 took=2s`, `customers=65536 took=4s`, `in order" customers=70000 position=7`, `is loaded" customers=70000 took=5s`} {
		if !strings.Contains(said, want) {
			t.Errorf("the log lacks %q:\n%s", want, said)
		}
	}
}
