package projections_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
	"loyalty/readmodels/ledger"
)

func uuidOf(n, i int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(n >> 8), byte(n), byte(i)})
}

// keepReading keeps reading until the test ends; every read must succeed.
func keepReading(t *testing.T, read func(context.Context) error) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if err := read(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("a read during the rebuild: %v", err)
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
}

func TestARebuiltLedgerIsPutRightWhileEverythingGoesOn(t *testing.T) {
	s := openShop(t)
	// Given a ledger with an entry that no event stands for
	at, err := s.ledger.Checkpoint(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	made := ledger.Entry{EventID: uuid.NewString(), Customer: "c-01", Kind: ledger.Award, Points: 99, OccurredAt: time.Now(), Stream: "none", Position: domain.Position{Commit: at.Position.Commit + 1, Prepare: at.Position.Prepare + 1}}
	if err := s.ledger.Apply(bounded(t), ledger.Batch{From: at, To: domain.CheckpointAt(made.Position), Entries: []ledger.Entry{made}}); err != nil {
		t.Fatal(err)
	}
	appendOrder(t, s.store, "c-02", "o-more") // where the read model pretends to be, the log has an event without points
	s.busy(t)
	keepReading(t, func(ctx context.Context) error {
		_, err := s.ledger.Trail(ctx, "c-01", ledger.Filter{}, "", 10)
		return err
	})
	fold := projections.NewFold(s.store)
	if found, err := fold.VerifyLedger(bounded(t), s.ledger, projections.CompareOptions{}); err != nil || found.Drifted != 1 {
		t.Fatalf("before: %+v, %v", found, err)
	}

	// When it is rebuilt
	rebuilt, err := projections.RebuildLedger(bounded(t), s.store, s.ledger, testProxies(t), projections.CompareOptions{})

	// Then the difference is reported and gone, and the ledger goes on
	if err != nil || !rebuilt.Differs || rebuilt.NotCompared != "" || rebuilt.Customers < shoppers || rebuilt.Events < 3*shoppers {
		t.Fatalf("got %+v, %v", rebuilt, err)
	}
	for range 2 {
		if found, err := fold.VerifyLedger(bounded(t), s.ledger, projections.CompareOptions{}); err != nil || found.Drifted != 0 {
			t.Fatalf("after: %+v, %v", found, err)
		}
	}
	if rebuilt, err = projections.RebuildLedger(bounded(t), s.store, s.ledger, testProxies(t), projections.CompareOptions{}); err != nil || rebuilt.Differs || rebuilt.LiveDigest == nil || *rebuilt.LiveDigest != rebuilt.Digest {
		t.Errorf("a second time: %+v, %v", rebuilt, err)
	}
}

func TestAnInterruptedRebuildLeavesTheLedgerAsItWas(t *testing.T) {
	s := openShop(t)
	ctx, cancel := context.WithCancel(bounded(t))
	_, err := projections.RebuildLedger(ctx, s.store, s.ledger, testProxies(t), projections.CompareOptions{Progress: func(string, uint64, uint64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	fold := projections.NewFold(s.store)
	if found, err := fold.VerifyLedger(bounded(t), s.ledger, projections.CompareOptions{}); err != nil || found.Drifted != 0 {
		t.Fatalf("after: %+v, %v", found, err)
	}
	if rebuilt, err := projections.RebuildLedger(bounded(t), s.store, s.ledger, testProxies(t), projections.CompareOptions{}); err != nil || rebuilt.Differs {
		t.Errorf("the next one: %+v, %v", rebuilt, err)
	}
}

func TestALedgerThatIsBehindIsReplacedWithoutBeingCompared(t *testing.T) {
	s := openShop(t)
	l := openLedger(t)
	rebuilt, err := projections.RebuildLedger(bounded(t), s.store, l, testProxies(t), projections.CompareOptions{Timeout: time.Millisecond})
	if err != nil || rebuilt.NotCompared == "" || rebuilt.Differs {
		t.Fatalf("got %+v, %v", rebuilt, err)
	}
	if found, err := projections.NewFold(s.store).VerifyLedger(bounded(t), l, projections.CompareOptions{}); err != nil || found.Drifted != 0 {
		t.Errorf("after: %+v, %v", found, err)
	}
}

func openBoard(t *testing.T) *redis.Board {
	t.Helper()
	board, err := redis.Open(t.Context(), redistest.Start(t).URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := board.Close(); err != nil {
			t.Error(err)
		}
	})
	return board
}

func TestARebuiltLeaderboardIsPutRightWhileEverythingGoesOn(t *testing.T) {
	s := openShop(t)
	proxies, board := testProxies(t), openBoard(t)
	projection := projections.Leaderboard{Writer: board, Accounts: s.ledger, Proxies: proxies}
	// Given a leaderboard on which somebody has points that no event gave
	at, err := projection.Checkpoint(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	to := domain.Position{Commit: at.Position.Commit + 1, Prepare: at.Position.Prepare + 1}
	if err := board.Apply(bounded(t), leaderboard.Batch{From: at, To: domain.CheckpointAt(to), Changes: []leaderboard.Change{{Key: proxies.Key("c-01"), Points: 99, Minute: 1}}}); err != nil {
		t.Fatal(err)
	}
	appendOrder(t, s.store, "c-02", "o-more") // where the read model pretends to be, the log has an event without points
	run(t, projection, s.store, projections.Options{})
	s.busy(t)
	keepReading(t, func(ctx context.Context) error {
		var d leaderboard.Dashboard
		return board.Dashboard(ctx, proxies.Key("c-01"), 10, 2, &d)
	})
	fold := projections.NewFold(s.store)
	if found, err := fold.VerifyLeaderboard(bounded(t), board, proxies, projections.CompareOptions{}); err != nil || found.Drifted != 1 {
		t.Fatalf("before: %+v, %v", found, err)
	}

	// When it is rebuilt
	rebuilt, err := projections.RebuildLeaderboard(bounded(t), s.store, board, proxies, projections.CompareOptions{})

	// Then the difference is reported and gone, and the leaderboard goes on
	if err != nil || !rebuilt.Differs || rebuilt.NotCompared != "" || rebuilt.Customers < shoppers {
		t.Fatalf("got %+v, %v", rebuilt, err)
	}
	for range 2 {
		if found, err := fold.VerifyLeaderboard(bounded(t), board, proxies, projections.CompareOptions{}); err != nil || found.Drifted != 0 {
			t.Fatalf("after: %+v, %v", found, err)
		}
	}
}

func TestAnEmptyLeaderboardIsFoldedWithoutBeingCompared(t *testing.T) {
	s := openShop(t)
	proxies, board := testProxies(t), openBoard(t)
	rebuilt, err := projections.RebuildLeaderboard(bounded(t), s.store, board, proxies, projections.CompareOptions{Timeout: time.Millisecond})
	if err != nil || rebuilt.NotCompared == "" {
		t.Fatalf("got %+v, %v", rebuilt, err)
	}
	if found, err := projections.NewFold(s.store).VerifyLeaderboard(bounded(t), board, proxies, projections.CompareOptions{}); err != nil || found.Drifted != 0 {
		t.Errorf("after: %+v, %v", found, err)
	}
}

func TestAReadModelBeyondTheLogIsNeitherComparedNorReplaced(t *testing.T) {
	store, l := storetest.Open(t), openLedger(t)
	last := adjust(t, store, "alice", 0, 5)
	if err := l.Apply(bounded(t), ledger.Batch{To: domain.CheckpointAt(domain.Position{Commit: last.Commit + 9, Prepare: last.Prepare + 9})}); err != nil {
		t.Fatal(err)
	}
	_, verifying := projections.NewFold(store).VerifyLedger(bounded(t), l, projections.CompareOptions{})
	_, rebuilding := projections.RebuildLedger(bounded(t), store, l, testProxies(t), projections.CompareOptions{})
	for _, err := range []error{verifying, rebuilding} {
		if err == nil || !errors.Is(err, domain.ErrWrongLog) {
			t.Errorf("got %v", err)
		}
	}
}
