package projections_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/eventstore/embedded/embeddedtest"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// kept is a read model of some adapter, with the projection into it.
type kept struct {
	projection projections.Projection
	// points are a customer's.
	points func(domain.CustomerID) (domain.Points, error)
	// anew is what an operator does to have it folded from nothing; nil if nothing needs to be done.
	anew func(*eventstore.Store) error
}

// allKept are read models of every adapter. Of two ledgers, the leaderboards are loaded from the one in SQLite.
func allKept(t *testing.T) map[string]*kept {
	t.Helper()
	proxies := testProxies(t)
	ofLedger := func(l interface {
		projections.RebuildableLedger
		ledger.Writer
	}) *kept {
		return &kept{
			projection: projections.Ledger{Writer: l, Proxies: proxies},
			points: func(c domain.CustomerID) (domain.Points, error) {
				a, _, err := l.Account(bounded(t), c)
				return a.Points, err
			},
			anew: func(store *eventstore.Store) error {
				_, err := projections.RebuildLedger(bounded(t), store, l, proxies, projections.CompareOptions{FromNothing: true})
				return err
			},
		}
	}
	lite := openLedger(t)
	server := openPostgres(t, postgrestest.Start(t).URL())
	ofBoard := func(b interface {
		leaderboard.Reader
		leaderboard.Writer
	}) *kept {
		return &kept{
			projection: projections.Leaderboard{Writer: b, Accounts: lite, Proxies: proxies},
			points: func(c domain.CustomerID) (domain.Points, error) {
				s, _, _, err := b.Standing(bounded(t), proxies.Key(c))
				return s.Points, err
			},
		}
	}
	board, err := redis.Open(t.Context(), redistest.Start(t).URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = board.Close() })
	dir := filepath.Join(t.TempDir(), "history")
	past := openHistory(t, dir)
	ofHistory := &kept{projection: projections.History{Writer: past, Proxies: proxies}}
	ofHistory.points = func(c domain.CustomerID) (domain.Points, error) {
		var d leaderboard.Dashboard
		at, err := past.Checkpoint(bounded(t))
		if err == nil {
			err = past.AsOf(bounded(t), "asOf", history.Moment{Position: at.Position}, proxies.Key(c), 1, 0, &d)
		}
		return d.You.Points, err
	}
	ofHistory.anew = func(*eventstore.Store) error {
		if err := errors.Join(past.Close(), history.Empty(dir)); err != nil {
			return err
		}
		past = openHistory(t, dir)
		ofHistory.projection = projections.History{Writer: past, Proxies: proxies}
		return nil
	}
	return map[string]*kept{
		"the ledger in SQLite": ofLedger(lite), "the ledger in Postgres": ofLedger(server), "the leaderboard in memory": ofBoard(memory.New()),
		"the leaderboard in Redis": ofBoard(board), "the history": ofHistory,
	}
}

// keep keeps all read models until the function that it returns is called.
func keep(t *testing.T, all map[string]*kept, store *eventstore.Store) (runners map[string]*projections.Runner, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	runners = map[string]*projections.Runner{}
	shared := beating(store, 2*time.Millisecond)
	for name, k := range all {
		runner := projections.NewRunner(k.projection, store, projections.Options{
			Reading: shared, Recheck: 5 * time.Millisecond, Backoff: func(int) time.Duration { return time.Millisecond },
		})
		runners[name] = runner
		running.Go(func() { runner.Keep(ctx) })
	}
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return runners, stop
}

func awaitPoints(t *testing.T, all map[string]*kept, customer domain.CustomerID, want domain.Points) {
	t.Helper()
	for name, k := range all {
		storetest.WaitFor(t, name+" has the points", func() bool { got, err := k.points(customer); return err == nil && got == want })
	}
}

// Given read models whose checkpoint is at events of another application, on a server that resumes as EventStoreDB 23.10 does
// When these events are scavenged, and points were given meanwhile
// Then every read model has all the points, once.
func TestNothingIsSkippedAfterAScavenge(t *testing.T) {
	server := embeddedtest.Imitate(t, "23.10.8")
	store := storetest.Connect(t, server.Target)
	all := allKept(t)
	storetest.Begin(t, store)
	adjust(t, store, "zoe", 0, 1)
	others := server.Others(t, 5)
	runners, stop := keep(t, all, store)
	awaitPoints(t, all, "zoe", 1)
	for name, runner := range runners {
		storetest.WaitFor(t, name+" has passed the others' events", func() bool { return runner.Status().Position.Commit >= others[4] })
	}
	stop()
	adjust(t, store, "zoe", 1, 25)
	adjust(t, store, "zoe", 2, 300)
	server.Scavenge(others...)
	_, _ = keep(t, all, store)
	awaitPoints(t, all, "zoe", 326)
}

// restored starts a second server over a copy of an event store, as after a restore.
func restored(t *testing.T, dir string) *eventstore.Store {
	t.Helper()
	server, err := embedded.Open(t.Context(), embedded.Options{Dir: dir, Version: storetest.Version()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(context.WithoutCancel(t.Context())) })
	target, err := embedded.SocketTarget(dir)
	if err != nil {
		t.Fatal(err)
	}
	return storetest.Connect(t, target)
}

// Given read models of every adapter, and a copy of the log from before some of its events
// When the copy takes the log's place: at once, or after it has grown beyond where the read models stand
// Then each stops and says so, and once it is folded from nothing it has what the log has.
func TestAReadModelDoesNotFollowARestoredLog(t *testing.T) {
	for name, grown := range map[string]bool{"that is shorter": false, "that has grown longer": true} {
		t.Run(name, func(t *testing.T) {
			dir, target := storetest.Start(t)
			store := storetest.Connect(t, target)
			all := allKept(t)
			adjust(t, store, "ann", 0, 1)
			_, stop := keep(t, all, store)
			awaitPoints(t, all, "ann", 1)
			older := filepath.Join(t.TempDir(), "older")
			if _, err := embedded.Backup(bounded(t), dir, older, nil); err != nil {
				t.Fatal(err)
			}
			for n := range 3 {
				adjust(t, store, "ann", n+1, 10)
			}
			awaitPoints(t, all, "ann", 31)
			stop()

			log := restored(t, older)
			want := domain.Points(1)
			if grown {
				for n := range 5 {
					adjust(t, log, "ann", n+1, 100)
				}
				want = 501
			}
			runners, stop := keep(t, all, log)
			for name, runner := range runners {
				storetest.WaitFor(t, name+" stops", func() bool { return errors.Is(runner.Status().Stopped, domain.ErrWrongLog) })
			}
			stop()
			for name, k := range all {
				if got, err := k.points("ann"); err != nil || got != 31 {
					t.Errorf("%s shows %d points, %v; want 31 for as long as nobody decides", name, got, err)
				}
				if k.anew != nil {
					if err := k.anew(log); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
			runners, _ = keep(t, all, log)
			awaitPoints(t, all, "ann", want)
			for name, runner := range runners {
				storetest.WaitFor(t, name+" goes on", func() bool { s := runner.Status(); return s.Stopped == nil && s.Live })
			}
		})
	}
}

func TestAReadModelDoesNotFollowAnotherLog(t *testing.T) {
	all := allKept(t)
	store := storetest.Open(t)
	adjust(t, store, "ann", 0, 1)
	_, stop := keep(t, all, store)
	awaitPoints(t, all, "ann", 1)
	stop()
	other := storetest.Open(t)
	for n := range 9 {
		adjust(t, other, "ann", n, 1)
	}
	runners, _ := keep(t, all, other)
	for name, runner := range runners {
		storetest.WaitFor(t, name+" stops", func() bool { return errors.Is(runner.Status().Stopped, domain.ErrWrongLog) })
	}
}

// adjustedV2 is an event of a version that this program does not know.
type adjustedV2 struct {
	domain.About
	Points domain.Points `json:"points"`
	Why    string        `json:"why"`
}

func (adjustedV2) EventType() string { return "points-adjusted.v2" }

// newerStore is the event store as a newer version of the program opens it.
func newerStore(t *testing.T, target string) *eventstore.Store {
	t.Helper()
	about := domain.About{CustomerID: "c-1", OccurredAt: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)}
	registry, err := eventstore.NewRegistry([]eventstore.Type{eventstore.TypeOf(adjustedV2{About: about, Points: 5, Why: "x"})}, []eventstore.Upcaster{{
		From: account.TypePointsAdjusted, To: "points-adjusted.v2", Up: func(old json.RawMessage) (json.RawMessage, error) { return old, nil },
	}})
	if err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.Open(t.Context(), target, registry, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// newerList is the projection into a list as a newer version of the program has it.
type newerList struct{ *list }

func (newerList) Types() []string { return []string{"points-adjusted.v2"} }

func (l newerList) Apply(ctx context.Context, b projections.Batch) error {
	for i := range b.Events {
		b.Events[i].Event = account.PointsAdjusted{Points: b.Events[i].Event.(adjustedV2).Points}
	}
	return l.list.Apply(ctx, b)
}

// Given a process of this version of the program and one of a newer version, over one log and one read model
// When the newer one appends an event of a version that the older doesn't know
// Then the older stops at it, saying that it must be upgraded, and the newer goes on from there: no points are lost.
func TestAnUpgradeWhileOlderProcessesRunLosesNothing(t *testing.T) {
	_, target := storetest.Start(t)
	older, newer := storetest.Connect(t, target), newerStore(t, target)
	l := &list{}
	runner, stop := run(t, l, older, projections.Options{Reading: beating(older, time.Millisecond)})
	adjust(t, older, "ann", 0, 1)
	about := domain.About{CustomerID: "ann", OccurredAt: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)}
	if _, err := newer.Append(bounded(t), "account-ann", 0, uuid.New(), eventstore.Metadata{}, adjustedV2{About: about, Points: 20, Why: "new"}); err != nil {
		t.Fatal(err)
	}
	if _, err := older.Append(bounded(t), "account-ben", eventstore.NoStream, uuid.New(), eventstore.Metadata{}, storetest.Adjusted("ben", 300)); err != nil {
		t.Fatal(err)
	}
	storetest.WaitFor(t, "it stops", func() bool { return errors.Is(runner.Status().Stopped, domain.ErrNewerEvent) })
	if err := stop(); !errors.Is(err, domain.ErrNewerEvent) {
		t.Errorf("it ended with %v", err)
	}
	_, _ = run(t, newerList{l}, newer, projections.Options{})
	storetest.WaitFor(t, "all points", func() bool { _, _, points := l.state(); return slices.Equal(points, []domain.Points{1, 20, 300}) })
}

func TestAnOlderFoldLeavesTheReadModelOfANewerOneAlone(t *testing.T) {
	store := storetest.Open(t)
	adjust(t, store, "ann", 0, 1)
	l := &list{at: domain.Checkpoint{Fold: 2}}
	runner, stop := run(t, l, store, projections.Options{})
	storetest.WaitFor(t, "it stops", func() bool { return errors.Is(runner.Status().Stopped, domain.ErrNewerFold) })
	if err := stop(); !errors.Is(err, domain.ErrNewerFold) {
		t.Errorf("it ended with %v", err)
	}
	if _, _, points := l.state(); len(points) != 0 {
		t.Errorf("it applied %v", points)
	}
}

// loser is a projection in a process that is always slower than another.
type loser struct{ *list }

func (loser) Apply(context.Context, projections.Batch) error { return domain.ErrCheckpointMoved }

// Given two runners of one read model under steady load
// When one always loses the checkpoint to the other
// Then it has caught up all the same.
func TestARunnerThatAlwaysLosesHasCaughtUp(t *testing.T) {
	store := storetest.Open(t)
	l := &list{}
	_, _ = run(t, l, store, projections.Options{Reading: beating(store, time.Millisecond)})
	second, _ := run(t, loser{l}, store, projections.Options{})
	n := 0
	storetest.WaitFor(t, "the second has caught up", func() bool {
		adjust(t, store, "ann", n, 1)
		n++
		return second.Status().CaughtUp
	})
	if status := second.Status(); status.AsOf.IsZero() || status.Stopped != nil {
		t.Errorf("its status is %+v", status)
	}
}
