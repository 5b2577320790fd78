package projections_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

func forgotten(customer domain.CustomerID) domain.Event {
	return account.CustomerForgotten{About: domain.About{CustomerID: customer, OccurredAt: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)}, Reason: "asked for it", Actor: "s-1"}
}

// happen appends events as they come, in a stream of their own.
func happen(t testing.TB, store *eventstore.Store, events ...domain.Event) domain.Position {
	t.Helper()
	at, err := store.Append(bounded(t), "story-"+uuid.NewString(), eventstore.NoStream, uuid.New(), eventstore.Metadata{Actor: "s-1"}, events...)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// unwritten is a ledger that a leaderboard finds empty, so that it follows the log from the start.
type unwritten struct{ ledger.Reader }

func (unwritten) Accounts(context.Context, func(ledger.Piece) error) (ledger.Snapshot, error) {
	return ledger.Snapshot{}, nil
}

func (unwritten) Checkpoint(context.Context) (domain.Checkpoint, error) {
	return domain.Checkpoint{}, nil
}

func TestSomebodyForgottenLeavesTheLeaderboardForEver(t *testing.T) {
	store, board, proxies := storetest.Open(t), memory.New(), testProxies(t)
	run(t, projections.Leaderboard{Writer: board, Accounts: unwritten{}, Proxies: proxies}, store, projections.Options{})
	// Given three customers, when the best is forgotten and gets points all the same
	last := happen(t, store, storetest.Adjusted("alice", 30), storetest.Adjusted("bob", 20), storetest.Adjusted("carol", 10), forgotten("alice"), storetest.Adjusted("alice", 99))
	if err := board.Wait(bounded(t), last); err != nil {
		t.Fatal(err)
	}
	// Then the others are ranked without them, and the dashboard of that key is a stranger's
	var d leaderboard.Dashboard
	if err := board.Dashboard(bounded(t), proxies.Key("carol"), 10, 2, &d); err != nil || d.Customers != 2 || d.You.Rank != 2 || d.Top[0].Key != proxies.Key("bob") {
		t.Errorf("carol sees %+v, %v", d, err)
	}
	if err := board.Dashboard(bounded(t), proxies.Key("alice"), 10, 2, &d); err != nil || d.Ranked || len(d.Around) > 0 {
		t.Errorf("alice's key sees %+v, %v", d, err)
	}
	if s, ranked, _, err := board.Standing(bounded(t), proxies.Key("alice")); err != nil || ranked || !s.Retired {
		t.Errorf("alice's key stands at %+v, %v, %v", s, ranked, err)
	}
}

// story is a random one: who gets points, loses some or is forgotten, before their first points or after the last.
type story struct {
	random *rand.Rand
	model  *leaderboardtest.Model
	gone   map[domain.CustomerID]bool
}

const people = 60

func (h *story) next(proxies domain.Proxies, n int) (events []domain.Event) {
	for range n {
		customer := domain.CustomerID(fmt.Sprintf("c-%02d", h.random.IntN(people)))
		event, change := domain.Event(forgotten(customer)), leaderboard.Change{Key: proxies.Key(customer), Retires: true}
		if h.random.IntN(25) > 0 {
			points := domain.Points(h.random.IntN(9) - 3)
			adjusted := storetest.Adjusted(customer, points)
			event, change = adjusted, leaderboard.Change{Key: change.Key, Points: points, Minute: leaderboard.Minute(adjusted.OccurredAt)}
		} else {
			h.gone[customer] = true
		}
		if err := h.model.Apply(change); err != nil {
			panic(err) // by so few points
		}
		events = append(events, event)
	}
	return events
}

// agrees says that everybody, forgotten or not, sees what they should.
func (h *story) agrees(t *testing.T, board leaderboard.Reader, proxies domain.Proxies) {
	t.Helper()
	ranking := h.model.Ranking()
	for i := range people {
		key, top, around := proxies.Key(domain.CustomerID(fmt.Sprintf("c-%02d", i))), 5, 3
		if i == 0 {
			top, around = leaderboard.MaxTop, leaderboard.MaxAround // which is everybody
		}
		var got leaderboard.Dashboard
		if err := board.Dashboard(bounded(t), key, top, around, &got); err != nil {
			t.Fatal(err)
		}
		want := ranking.Dashboard(key, top, around)
		if want.Ranked != got.Ranked || want.You != got.You || want.Customers != got.Customers || !slices.Equal(want.Top, got.Top) || !slices.Equal(want.Around, got.Around) {
			t.Fatalf("customer %d: got %+v, want %+v", i, got, want)
		}
	}
}

func TestWheneverSomebodyIsForgottenReadModelsAndRebuildsAgreeWithTheLog(t *testing.T) {
	store, l, proxies := storetest.Open(t), openLedger(t), testProxies(t)
	inMemory, inRedis := memory.New(), openBoard(t)
	run(t, projections.Ledger{Writer: l}, store, projections.Options{})
	run(t, projections.Leaderboard{Writer: inMemory, Accounts: unwritten{}, Proxies: proxies}, store, projections.Options{})
	run(t, projections.Leaderboard{Writer: inRedis, Accounts: unwritten{}, Proxies: proxies}, store, projections.Options{BatchSize: 7})
	h := story{rand.New(rand.NewPCG(7, 8)), leaderboardtest.NewModel(), map[domain.CustomerID]bool{}}
	fold := projections.NewFold(store)
	for round := range 12 {
		last := happen(t, store, h.next(proxies, 40)...)
		if err := errors.Join(inMemory.Wait(bounded(t), last), inRedis.Wait(bounded(t), last)); err != nil {
			t.Fatal(err)
		}
		h.agrees(t, inMemory, proxies)
		h.agrees(t, inRedis, proxies)
		for name, board := range map[string]projections.ComparableLeaderboard{"memory": inMemory, "Redis": inRedis} {
			found, err := fold.VerifyLeaderboard(bounded(t), board, proxies, projections.CompareOptions{})
			if err != nil || found.Drifted != 0 || found.Customers != int64(len(h.model.Ranking())) || found.Digest != fold.LeaderboardDigest(proxies) {
				t.Fatalf("round %d, %s: %+v, %v", round, name, found, err)
			}
		}
		if found, err := fold.VerifyLedger(bounded(t), l, projections.CompareOptions{}); err != nil || found.Drifted != 0 || found.Digest != fold.LedgerDigest() {
			t.Fatalf("round %d, the ledger: %+v, %v", round, found, err)
		}
		rebuilt, err := projections.RebuildLeaderboard(bounded(t), store, inRedis, proxies, projections.CompareOptions{})
		if err != nil || rebuilt.Differs || rebuilt.NotCompared != "" || rebuilt.Customers != int64(len(h.model.Ranking())) || rebuilt.Digest != fold.LeaderboardDigest(proxies) {
			t.Fatalf("round %d: rebuilt %+v, %v", round, rebuilt, err)
		}
		h.agrees(t, inRedis, proxies)
	}
	if len(h.gone) < 10 || len(h.gone) > people-10 {
		t.Errorf("%d of %d were forgotten, which tests little", len(h.gone), people)
	}
}

func TestALogThatEndsWithSomebodyForgottenIsVerifiedAtOnce(t *testing.T) {
	s := openShop(t)
	if err := s.board.Wait(bounded(t), happen(t, s.store, forgotten("c-03"), forgotten("never-seen"))); err != nil {
		t.Fatal(err)
	}
	fold, audit := projections.NewFold(s.store), projections.CompareOptions{Timeout: 5 * time.Second}
	board, err := fold.VerifyLeaderboard(bounded(t), s.board, testProxies(t), audit)
	if err != nil || board.Drifted != 0 || board.Customers != shoppers-1 {
		t.Errorf("the leaderboard: %+v, %v", board, err)
	}
	if found, err := fold.VerifyLedger(bounded(t), s.ledger, audit); err != nil || found.Drifted != 0 || found.Customers != shoppers+1 {
		t.Errorf("the ledger: %+v, %v", found, err)
	}
}

func TestDriftOfSomebodyForgottenIsFound(t *testing.T) {
	s, proxies := openShop(t), testProxies(t)
	if err := s.board.Wait(bounded(t), happen(t, s.store, forgotten("c-03"), forgotten("never-seen"))); err != nil {
		t.Fatal(err)
	}
	// told tells another standing of one customer than there is.
	told := func(customer domain.CustomerID, standing leaderboard.Standing, found bool) projections.ComparableLeaderboard {
		return askedBoard{s.board, func(keys []domain.ProxyKey, s *leaderboard.Standings) {
			for i, key := range keys {
				if key == proxies.Key(customer) {
					s.Standings[i], s.Found[i] = standing, found
				}
			}
		}}
	}
	still := leaderboard.Standing{Key: proxies.Key("c-03"), Points: 9, Minute: 60}
	for name, c := range map[string]struct {
		board projections.ComparableLeaderboard
		want  projections.Drift
	}{
		"somebody forgotten is still there": {told("c-03", still, true), projections.Drift{
			Customer: "c-03", Log: &projections.DriftTotal{Forgotten: true}, ReadModel: &projections.DriftTotal{Points: 9, ReachedAt: time.Unix(3600, 0).UTC()},
		}},
		"somebody forgotten may come back": {told("c-03", leaderboard.Standing{}, false), projections.Drift{
			Customer: "c-03", Log: &projections.DriftTotal{Forgotten: true},
		}},
		"somebody forgotten before their first points may come": {told("never-seen", leaderboard.Standing{}, false), projections.Drift{
			Customer: "never-seen", Log: &projections.DriftTotal{Forgotten: true},
		}},
		"somebody is retired whom nobody has forgotten": {told("c-04", leaderboard.Standing{Key: proxies.Key("c-04"), Retired: true}, false), projections.Drift{
			Customer: "c-04", Log: &projections.DriftTotal{Points: 9, ReachedAt: time.Date(2026, 3, 4, 6, 6, 0, 0, time.UTC)}, ReadModel: &projections.DriftTotal{Forgotten: true},
		}},
	} {
		found, err := projections.NewFold(s.store).VerifyLeaderboard(bounded(t), c.board, proxies, projections.CompareOptions{})
		if diff := cmp.Diff([]projections.Drift{c.want}, found.Drifts); err != nil || found.Drifted != 1 || diff != "" {
			t.Errorf("%s: counted %d, %v (-want +got):\n%s", name, found.Drifted, err, diff)
		}
	}
}

// askedBoard tells other standings than there are, knowing whose.
type askedBoard struct {
	*memory.Board
	tell func([]domain.ProxyKey, *leaderboard.Standings)
}

func (b askedBoard) Standings(ctx context.Context, keys []domain.ProxyKey) (leaderboard.Standings, error) {
	s, err := b.Board.Standings(ctx, keys)
	b.tell(keys, &s)
	return s, err
}

func TestALeaderboardThatMissedThatSomebodyWasForgottenIsPutRightByARebuild(t *testing.T) {
	s, proxies, board := openShop(t), testProxies(t), openBoard(t)
	// Given a leaderboard that has applied everything, but not that two customers were forgotten
	last := happen(t, s.store, forgotten("c-01"), forgotten("c-02"), storetest.Adjusted("c-01", 5))
	if err := s.ledger.Wait(bounded(t), last); err != nil {
		t.Fatal(err)
	}
	missed := projections.Leaderboard{Writer: board, Accounts: unwritten{}, Proxies: proxies}
	if err := board.Load(bounded(t), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		state, err := s.ledger.Accounts(bounded(t), ledger.InTurn(func(a ledger.Account, _ domain.Position) error {
			return yield(leaderboard.Standing{Key: proxies.Key(a.Customer), Points: a.Points, Minute: leaderboard.Minute(a.ReachedAt)})
		}))
		state.Fold = missed.Fold()
		return leaderboard.Snapshot{Checkpoint: state.Checkpoint}, err
	}); err != nil {
		t.Fatal(err)
	}
	run(t, missed, s.store, projections.Options{})
	fold := projections.NewFold(s.store)
	if found, err := fold.VerifyLeaderboard(bounded(t), board, proxies, projections.CompareOptions{}); err != nil || found.Drifted != 2 || found.Customers != shoppers-2 {
		t.Fatalf("before: %+v, %v", found, err)
	}

	// When it is rebuilt, while others are forgotten
	s.busy(t)
	keepReading(t, func(ctx context.Context) error {
		var d leaderboard.Dashboard
		return board.Dashboard(ctx, proxies.Key("c-01"), 10, 2, &d)
	})
	happen(t, s.store, forgotten("c-05"))
	rebuilt, err := projections.RebuildLeaderboard(bounded(t), s.store, board, proxies, projections.CompareOptions{})
	if err != nil || !rebuilt.Differs || rebuilt.NotCompared != "" {
		t.Fatalf("got %+v, %v", rebuilt, err)
	}

	// Then they are gone, and stay so whatever comes
	last = happen(t, s.store, storetest.Adjusted("c-01", 7), storetest.Adjusted("c-05", 7))
	if err := board.Wait(bounded(t), last); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if found, err := fold.VerifyLeaderboard(bounded(t), board, proxies, projections.CompareOptions{}); err != nil || found.Drifted != 0 {
			t.Fatalf("after: %+v, %v", found, err)
		}
	}
	for _, customer := range []domain.CustomerID{"c-01", "c-02", "c-05"} {
		if s, ranked, _, err := board.Standing(bounded(t), proxies.Key(customer)); err != nil || ranked || !s.Retired {
			t.Errorf("%s: %+v, %v, %v", customer, s, ranked, err)
		}
	}
}
