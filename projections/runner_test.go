package projections_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/reading"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
)

// patience bounds every wait in these tests; none takes nearly as long.
const patience = 30 * time.Second

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// adjust appends an event that gives a customer points, after n others of theirs.
func adjust(t testing.TB, store *eventstore.Store, customer domain.CustomerID, n int, points domain.Points) domain.Position {
	t.Helper()
	at, err := store.Append(bounded(t), "account-"+string(customer), int64(n)-1, uuid.New(), eventstore.Metadata{Actor: "s-1"}, account.PointsAdjusted{
		About:     domain.About{CustomerID: customer, OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Minute)},
		LoyaltyID: domain.LoyaltyID(fmt.Sprintf("l-%d", n)), Points: points, Reason: "goodwill", Actor: "s-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// list is a projection whose read model is a list of points and a checkpoint, and which can be told to fail.
type list struct {
	mu     sync.Mutex
	at     domain.Checkpoint
	asOf   time.Time
	points []domain.Points
	// fail is asked before each batch with events.
	fail func(batches int) error
	// batches counts those with events, failed or not.
	batches int
	// forget makes the batch be committed, and then reports an error, as a connection lost during the commit does.
	forget func(batches int) error
}

func (*list) Name() string    { return "list" }
func (*list) Fold() int       { return 1 }
func (*list) Names() string   { return "" }
func (*list) Types() []string { return []string{account.TypePointsAdjusted} }

func (l *list) Checkpoint(context.Context) (domain.Checkpoint, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, nil
}

func (l *list) Apply(_ context.Context, b projections.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(b.Events) > 0 {
		l.batches++
		if l.fail != nil {
			if err := l.fail(l.batches); err != nil {
				return err
			}
		}
	}
	if b.From != l.at {
		return domain.ErrCheckpointMoved
	}
	l.at = b.To
	if b.AsOf.After(l.asOf) {
		l.asOf = b.AsOf
	}
	for _, event := range b.Events {
		l.points = append(l.points, event.Event.(account.PointsAdjusted).Points)
	}
	if l.forget != nil && len(b.Events) > 0 {
		return l.forget(l.batches)
	}
	return nil
}

func (l *list) state() (domain.Position, time.Time, []domain.Points) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at.Position, l.asOf, append([]domain.Points(nil), l.points...)
}

// run starts a runner, and returns it with a function that stops it and gives what Run returned.
func run(t testing.TB, p projections.Projection, store *eventstore.Store, o projections.Options) (*projections.Runner, func() error) {
	t.Helper()
	o.Backoff = func(int) time.Duration { return time.Millisecond }
	runner := projections.NewRunner(p, store, o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return runner, stop
}

// beating is the log with a heartbeat for tests.
func beating(store *eventstore.Store, heartbeat time.Duration) *reading.Shared {
	return reading.NewShared(store, reading.Options{Heartbeat: heartbeat})
}

func numbers(n int) []domain.Points {
	var all []domain.Points
	for i := range n {
		all = append(all, domain.Points(i+1))
	}
	return all
}

func TestARunnerAppliesThePastAndThenThePresentInOrder(t *testing.T) {
	store := storetest.Open(t)
	const past, present = 25, 5
	for i := range past {
		adjust(t, store, "alice", i, domain.Points(i+1))
	}
	l := &list{}
	runner, _ := run(t, l, store, projections.Options{BatchSize: 10})
	storetest.WaitFor(t, "the past is applied", func() bool { return runner.Status().Live && runner.Status().Applied == past })
	var last domain.Position
	for i := past; i < past+present; i++ {
		last = adjust(t, store, "alice", i, domain.Points(i+1))
	}
	storetest.WaitFor(t, "the present is applied", func() bool { return runner.Status().Applied == past+present })
	at, _, points := l.state()
	if diff := cmp.Diff(numbers(past+present), points); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if at != last {
		t.Errorf("the checkpoint is %s, the last event stands at %s", at, last)
	}
	if behind, err := runner.Behind(bounded(t), 100); err != nil || behind != 0 {
		t.Errorf("it is %d events behind, %v; want none", behind, err)
	}
	if end := runner.Status().End; end.Before(last) {
		t.Errorf("it says that the log ends at %s, before the last event at %s", end, last)
	}
}

func TestARunnerStartsWhereItsReadModelIs(t *testing.T) {
	store := storetest.Open(t)
	for i := range 10 {
		adjust(t, store, "alice", i, domain.Points(i+1))
	}
	l := &list{}
	for range 3 {
		runner, stop := run(t, l, store, projections.Options{BatchSize: 4})
		storetest.WaitFor(t, "caught up", func() bool { return runner.Status().Live })
		if err := stop(); err != nil {
			t.Errorf("a runner that was told to stop returned %v", err)
		}
	}
	storetest.WaitFor(t, "all", func() bool { _, _, points := l.state(); return len(points) == 10 })
	if _, _, points := l.state(); cmp.Diff(numbers(10), points) != "" {
		t.Errorf("got %v", points)
	}
}

func TestABatchThatFailsIsAppliedAgain(t *testing.T) {
	lost := errors.New("the connection is lost")
	everySecond := func(batches int) error {
		if batches%2 == 1 {
			return lost
		}
		return nil
	}
	for name, l := range map[string]*list{
		"before the commit": {fail: everySecond},
		"during the commit": {forget: everySecond},
	} {
		t.Run(name, func(t *testing.T) {
			store := storetest.Open(t)
			for i := range 30 {
				adjust(t, store, "alice", i, domain.Points(i+1))
			}
			run(t, l, store, projections.Options{BatchSize: 7})
			storetest.WaitFor(t, "all events", func() bool { _, _, points := l.state(); return len(points) >= 30 })
			if _, _, points := l.state(); cmp.Diff(numbers(30), points) != "" {
				t.Errorf("got %v", points)
			}
		})
	}
}

func TestTwoRunnersOfOneReadModelApplyEachEventOnce(t *testing.T) {
	store := storetest.Open(t)
	l := &list{}
	for range 2 {
		run(t, l, store, projections.Options{BatchSize: 5})
	}
	for i := range 100 {
		adjust(t, store, "alice", i, domain.Points(i+1))
	}
	storetest.WaitFor(t, "all events", func() bool { _, _, points := l.state(); return len(points) >= 100 })
	if _, _, points := l.state(); cmp.Diff(numbers(100), points) != "" {
		t.Errorf("got %v", points)
	}
}

func TestAnIdleRunnerKeepsProvingThatItIsComplete(t *testing.T) {
	store := storetest.Open(t)
	storetest.Begin(t, store)
	at := adjust(t, store, "alice", 0, 1)
	l := &list{}
	runner, _ := run(t, l, store, projections.Options{Reading: beating(store, 5*time.Millisecond)})
	storetest.WaitFor(t, "caught up", func() bool { return runner.Status().Live })
	if _, asOf, _ := l.state(); asOf.IsZero() {
		t.Error("it says that it is live, and has not proved it")
	}
	for range 3 {
		began := time.Now()
		storetest.WaitFor(t, "a newer proof", func() bool { _, asOf, _ := l.state(); return asOf.After(began) })
	}
	if got, _, _ := l.state(); got != at {
		t.Errorf("the checkpoint moved from %s to %s with no event", at, got)
	}
}

func TestAnEventThatCannotBeDecodedStopsTheRunnerWithItsPosition(t *testing.T) {
	_, target := storetest.Start(t)
	store := storetest.Connect(t, target)
	adjust(t, store, "alice", 0, 1)
	client, err := esdb.NewClient(&esdb.Configuration{Address: target, DisableTLS: true, MaxDiscoverAttempts: 1, GossipTimeout: 5, Logger: esdb.NoopLogging()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	bad, err := client.AppendToStream(bounded(t), "account-b", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, esdb.EventData{
		EventType: account.TypePointsAdjusted, ContentType: esdb.ContentTypeJson, Data: []byte(`{"points":"many"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	adjust(t, store, "alice", 1, 2)
	l := &list{}
	runner, stop := run(t, l, store, projections.Options{})
	storetest.WaitFor(t, "it stops", func() bool { return runner.Status().Stopped != nil })
	err = stop()
	if !errors.Is(err, domain.ErrUndecodable) || !strings.Contains(err.Error(), fmt.Sprint("position ", bad.CommitPosition)) {
		t.Errorf("got %v; want domain.ErrUndecodable and position %d", err, bad.CommitPosition)
	}
	if _, _, points := l.state(); cmp.Diff(numbers(1), points) != "" {
		t.Errorf("applied %v; want what came before the bad event, and nothing after", points)
	}
	if runner.Status().Live {
		t.Error("a stopped projection must not be called live")
	}
}

func TestAProjectionIsCompleteHoweverManyEventsOfOthersCameAfterItsOwn(t *testing.T) {
	store := storetest.Open(t)
	adjust(t, store, "alice", 0, 1)
	others := make([]domain.Event, 600) // fewer than make the server say how far it has looked
	for i := range others {
		others[i] = storetest.Placed("alice")
	}
	storetest.Add(t, store, "order-o-1", others...)
	began := time.Now()
	l := &list{}
	_, _ = run(t, l, store, projections.Options{Reading: beating(store, time.Millisecond)})
	storetest.WaitFor(t, "the projection is complete as of now", func() bool { _, asOf, _ := l.state(); return asOf.After(began) })
}

// Given a projection that has caught up
// When an event is appended that is none of its types, and then one that is
// Then its checkpoint gets there both times, without the first being applied.
func TestAnIdleProjectionReachesTheEventsOfOthers(t *testing.T) {
	store := storetest.Open(t)
	adjust(t, store, "alice", 0, 1)
	l := &list{}
	runner, _ := run(t, l, store, projections.Options{Reading: beating(store, 5*time.Millisecond)})
	storetest.WaitFor(t, "caught up", func() bool { return runner.Status().Live })
	for round := range 3 {
		others := storetest.Add(t, store, fmt.Sprintf("order-o-%d", round), storetest.Placed("alice"))
		storetest.WaitFor(t, "the event of others", func() bool { at, _, _ := l.state(); return at == others })
		own := adjust(t, store, "alice", round+1, domain.Points(round+2))
		storetest.WaitFor(t, "an event of its own", func() bool { at, _, _ := l.state(); return at == own })
	}
	if _, _, points := l.state(); !slices.Equal(points, []domain.Points{1, 2, 3, 4}) {
		t.Errorf("applied were %v", points)
	}
}
