package replay_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/analytics/replay"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger/sqlite"
)

const today = "id: 2026-01\nspendPerPoint: {GBP: 1000, EUR: 1150}\n"

// follow runs a projection until the test ends.
func follow(t *testing.T, p projections.Projection, store *eventstore.Store) {
	t.Helper()
	runner := projections.NewRunner(p, store, projections.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAReplayUnderTodaysPolicyEqualsTheLiveReadModelsToTheDigest(t *testing.T) {
	// Given a shop, and the ledger and the leaderboard that follow it
	s := openShop(t)
	s.busy(600)
	ledger, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ledger.Close(); err != nil {
			t.Error(err)
		}
	})
	board := memory.New()
	follow(t, projections.Ledger{Writer: ledger}, s.store)
	follow(t, projections.Leaderboard{Writer: board, Accounts: ledger, Proxies: proxies(t)}, s.store)
	if err := errors.Join(ledger.Wait(bounded(t), s.last), board.Wait(bounded(t), s.last)); err != nil {
		t.Fatal(err)
	}
	live := projections.NewFold(s.store)
	foundLedger, err := live.VerifyLedger(bounded(t), ledger, projections.CompareOptions{})
	if err != nil || foundLedger.Drifted != 0 {
		t.Fatalf("%+v, %v", foundLedger, err)
	}
	foundBoard, err := live.VerifyLeaderboard(bounded(t), board, proxies(t), projections.CompareOptions{})
	if err != nil || foundBoard.Drifted != 0 {
		t.Fatalf("%+v, %v", foundBoard, err)
	}
	want := replay.Digests{Ledger: foundLedger.Digest, Leaderboard: foundBoard.Digest}
	// When it is replayed, as it was and under today's policy from a file
	plain, filed := fold(t, s, replay.Options{}), fold(t, s, replay.Options{Policy: policy(t, today)})
	// Then all have the same digests, and the ranks are those of the leaderboard
	if got := plain.Digests(proxies(t)); got != want {
		t.Errorf("as it was: %v, want %v", got, want)
	}
	if got := filed.OtherDigests(proxies(t)); got != want {
		t.Errorf("under the policy: %v, want %v", got, want)
	}
	rows := filed.Board(proxies(t))
	var d leaderboard.Dashboard
	if err := board.Dashboard(bounded(t), domain.ProxyKey{}, 100, 0, &d); err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(d.Top) || len(rows) < 20 {
		t.Fatalf("%d customers are ranked, the leaderboard has %d", len(rows), len(d.Top))
	}
	for i, row := range rows {
		if want := d.Top[i]; row.Key != want.Key || row.Rank != want.Rank || row.OtherRank != want.Rank || row.Points != int64(want.Points) || row.OtherPoints != row.Points {
			t.Errorf("place %d: %+v, want %+v", i, row, want)
		}
	}
	r := report(t, filed, 5)
	if w := r.Policy; w.Difference != 0 || w.Up != 0 || w.Down != 0 || w.Same != r.Customers || w.Moves != (replay.Moves{Customers: r.Ranked}) || w.Totals != r.Totals {
		t.Errorf("today's policy differs from itself: %+v", w)
	}
	outstanding, err := ledger.Outstanding(bounded(t))
	if err != nil || r.Totals.Net != int64(outstanding) {
		t.Errorf("%d points are outstanding, the ledger says %d, %v", r.Totals.Net, outstanding, err)
	}
	if r.Forgotten == 0 || r.Totals.Returns == 0 || r.Totals.Adjustments == 0 {
		t.Errorf("the history is too simple: %+v", r)
	}
}

func TestTheStateAtAPositionIsThatOfTheLogUntilThere(t *testing.T) {
	s := openShop(t)
	s.busy(80)
	middle := s.last
	moment := time.UnixMicro(s.clock.Load()).UTC()
	want := fold(t, s, replay.Options{})
	s.clock.Add(1_000_000)
	s.busy(80)
	live := projections.NewFold(s.store)
	if err := live.Advance(bounded(t), middle, func(domain.Position) {}); err != nil {
		t.Fatal(err)
	}
	wanted := replay.Digests{Ledger: live.LedgerDigest(), Leaderboard: live.LeaderboardDigest(proxies(t))}
	for _, text := range []string{middle.String(), moment.Format(time.RFC3339Nano), moment.Add(time.Second - time.Microsecond).In(time.FixedZone("", 3600)).Format(time.RFC3339Nano)} {
		got := fold(t, s, replay.Options{Until: until(t, text)})
		if got.Digests(proxies(t)) != wanted {
			t.Errorf("until %s: other digests than the fold's", text)
		}
		if diff := cmp.Diff(report(t, want, 10).Totals, report(t, got, 10).Totals); diff != "" {
			t.Errorf("until %s (-want +got):\n%s", text, diff)
		}
	}
}

func TestADayIsAllOfIt(t *testing.T) {
	s := openShop(t)
	for _, at := range []string{"2026-10-01T00:00:00Z", "2026-10-01T23:59:59Z", "2026-10-02T00:00:00Z"} {
		s.turn(at)
		s.order("alice", 1000, domain.GBP, domain.Store)
	}
	for text, want := range map[string]int64{
		"2026-10-01": 2, "2026-10-02": 3, "": 3, "2026-10-01T00:00Z": 1, "2026-10-01T23:59:58Z": 1, "2026-10-02T01:00:00+01:00": 3,
	} {
		if got := report(t, fold(t, s, replay.Options{Until: until(t, text)}), 1).Totals.Orders; got != want {
			t.Errorf("until %s: %d orders, want %d", text, got, want)
		}
	}
}

func TestAMomentThatIsNotInTheHistoryIsRefused(t *testing.T) {
	s := openShop(t)
	refused := func(text string, says ...string) {
		t.Helper()
		_, err := replay.FromLog(bounded(t), s.store, replay.Options{Until: until(t, text)})
		if !errors.Is(err, domain.ErrInvalid) {
			t.Fatalf("until %s: %v, want domain.ErrInvalid", text, err)
		}
		for _, say := range append(says, "--until", text) {
			if !strings.Contains(err.Error(), say) {
				t.Errorf("until %s: %q does not say %s", text, err, say)
			}
		}
	}
	refused("2026-10-01", "no events yet")
	if _, err := replay.FromLog(bounded(t), s.store, replay.Options{}); err != nil {
		t.Errorf("an empty log: %v", err)
	}
	s.turn("2026-10-01T08:30:00Z")
	first := s.order("alice", 2000, domain.GBP, domain.Store)
	s.turn("2026-10-03T17:00:00Z")
	s.giveBack(first, 500, domain.Store) // positions 3 and 4
	refused("2026-09-30", "first event", "2026-10-01T08:30:00Z")
	refused("2026-10-01T08:29Z", "first event", "2026-10-01T08:30:00Z")
	refused("2026-10-04", "last event", "2026-10-03T17:00:00Z")
	refused("2026-10-03T17:00:01Z", "last event", "2026-10-03T17:00:00Z")
	refused("5", "last event", "position 4")
	refused("0", "first event")
	refused("1", "middle of an append", "position 2")
	refused("3", "middle of an append", "position 4")
	for _, text := range []string{"2", "4", "2026-10-01", "2026-10-02", "2026-10-03", "2026-10-03T17:00Z"} {
		if _, err := replay.FromLog(bounded(t), s.store, replay.Options{Until: until(t, text)}); err != nil {
			t.Errorf("until %s: %v", text, err)
		}
	}
	for _, text := range []string{"yesterday", "2026-13-01", "-1", "2026-10-01T09:30"} {
		if _, err := replay.ParseUntil("--until", text); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), "--until") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAReplayThatIsStoppedSaysHowFarItCame(t *testing.T) {
	s := openShop(t)
	s.busy(30)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := replay.FromLog(ctx, s.store, replay.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAnEventThatCanNotBeReadStopsAReplayWithItsPosition(t *testing.T) {
	s := openShop(t)
	s.adjust("alice", 5, "goodwill")
	about := domain.About{CustomerID: "not an id!", OccurredAt: time.UnixMicro(s.clock.Load())}
	at, err := s.store.Append(bounded(t), "account-x", eventstore.NoStream, eventstore.EventID([16]byte{}, 1), eventstore.Metadata{}, account.PointsAdjusted{About: about, LoyaltyID: "l-1", Points: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replay.FromLog(bounded(t), s.store, replay.Options{}); !errors.Is(err, domain.ErrUndecodable) || !strings.Contains(err.Error(), at.String()) {
		t.Errorf("got %v", err)
	}
}

func TestAnOrderThatWouldEarnTooMuchUnderThePolicyStopsAReplay(t *testing.T) {
	s := openShop(t)
	s.order("alice", 100_000_000, domain.GBP, domain.Store)
	_, err := replay.FromLog(bounded(t), s.store, replay.Options{Policy: policy(t, "id: too-good\nspendPerPoint: {GBP: 1, EUR: 1}\nmultipliers: [{factor: 2}]")})
	if !errors.Is(err, domain.ErrOrderPoints) || !strings.Contains(err.Error(), "too-good") {
		t.Errorf("got %v", err)
	}
}
