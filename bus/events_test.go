package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"loyalty/bus"
	"loyalty/bus/bustest"
	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/consumer"
	"loyalty/eventstore/reading"
	"loyalty/projections"
)

// publishing starts a runner of integration events. It returns a function that ends it without saving, as a crash does.
func publishing(t testing.TB, o bus.EventsOptions) (*projections.Runner, *bus.Events, func()) {
	t.Helper()
	events := bus.NewEvents(o)
	runner := projections.NewRunner(events, o.Store, projections.Options{
		BatchSize: 7, Reading: reading.NewShared(o.Store, reading.Options{Heartbeat: 10 * time.Millisecond}), Backoff: func(int) time.Duration { return time.Millisecond },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := runner.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	crash := sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(crash)
	return runner, events, crash
}

func live(t testing.TB, r *projections.Runner) {
	t.Helper()
	bustest.WaitFor(t, "the publisher to have caught up", func() bool { return r.Status().CaughtUp })
}

// place places an order directly.
func place(t testing.TB, s *bustest.System, id, customer string) domain.Position {
	t.Helper()
	placed, err := s.Commands.PlaceOrder(bustest.Bounded(t), bustest.Mug(id, customer))
	if err != nil {
		t.Fatal(err)
	}
	return placed.Position
}

func TestEveryChangeOfPointsIsToldWithoutInternals(t *testing.T) {
	s := bustest.NewSystem(t, goChannel(t))
	told := s.Watch(s.Topics.Events)
	runner, _, _ := publishing(t, bus.EventsOptions{Store: s.Store, Publisher: s.Publisher, Topic: s.Topics.Events})
	live(t, runner)
	at := place(t, s, "o-1", "alice")
	told.Wait(1)
	if _, err := s.Commands.ReturnItems(bustest.Bounded(t), bustest.Back("o-1", "r-1")); err != nil {
		t.Fatal(err)
	}
	told.Wait(2)
	if _, err := s.Commands.AdjustPoints(bustest.Bounded(t), bustest.Goodwill("alice", "l-1", -3)); err != nil {
		t.Fatal(err)
	}
	got := told.Events(3)
	for i, want := range []bus.IntegrationEvent{
		{Type: bus.NamePointsAwarded, CustomerID: "alice", OrderID: "store.o-1", Points: 13, Channel: domain.Store, CorrelationID: "req-1", Position: at.String()},
		{Type: bus.NamePointsReversed, CustomerID: "alice", OrderID: "store.o-1", ReturnID: "store.r-1", Points: 4, Channel: domain.Store, CorrelationID: "req-1"},
		{Type: bus.NamePointsAdjusted, CustomerID: "alice", LoyaltyID: "staff.l-1", Points: -3, CorrelationID: "req-2"},
	} {
		m := told.All()[i]
		if m.UUID != got[i].EventID || m.Metadata.Get(bus.MetadataName) != want.Type || m.Metadata.Get(bus.MetadataPartitionKey) != "alice" ||
			m.Metadata.Get(bus.MetadataCorrelation) != want.CorrelationID {
			t.Errorf("the message of %+v is %s %+v", got[i], m.UUID, m.Metadata)
		}
		for _, internal := range []string{"policy", "order-store.o-1", "account-", "agent-1", "till-7", "parcel", "stream", "revision", "paid"} {
			if strings.Contains(string(m.Payload), internal) {
				t.Errorf("%s tells of %q", m.Payload, internal)
			}
		}
		if got[i].EventID == "" || got[i].OccurredAt.IsZero() || got[i].Position == "" {
			t.Errorf("got %+v", got[i])
		}
		want.EventID, want.OccurredAt = got[i].EventID, got[i].OccurredAt
		if want.Position == "" {
			want.Position = got[i].Position
		}
		if got[i] != want {
			t.Errorf("got\n%+v, want\n%+v", got[i], want)
		}
	}
}

func TestTheFirstStartTellsOfWhatComesOrOfAllThereIs(t *testing.T) {
	for _, fromStart := range []bool{false, true} {
		s := bustest.NewSystem(t, goChannel(t))
		place(t, s, "o-1", "alice")
		told := s.Watch(s.Topics.Events)
		runner, _, _ := publishing(t, bus.EventsOptions{Store: s.Store, Publisher: s.Publisher, Topic: s.Topics.Events, FromStart: fromStart})
		live(t, runner)
		place(t, s, "o-2", "alice")
		want := map[bool]domain.OrderID{false: "store.o-2", true: "store.o-1"}[fromStart]
		if got := told.Events(1)[0].OrderID; got != want {
			t.Errorf("from start %t: it begins with %s, want %s", fromStart, got, want)
		}
	}
}

func TestNothingIsLostBetweenTheFirstStartAndTheFirstEvent(t *testing.T) {
	s := bustest.NewSystem(t, goChannel(t))
	o := bus.EventsOptions{Store: s.Store, Publisher: s.Publisher, Topic: s.Topics.Events}
	runner, _, crash := publishing(t, o)
	live(t, runner)
	crash()
	place(t, s, "o-1", "alice")
	told := s.Watch(s.Topics.Events)
	publishing(t, o)
	told.Events(1)
}

// history has the events of the log that are to be published, in order.
func history(t testing.TB, s *bustest.System) []string {
	t.Helper()
	end, err := s.Store.End(bustest.Bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	if _, err := s.Store.Between(bustest.Bounded(t), domain.Checkpoint{}, end, []string{order.TypePointsAwarded}, func(r eventstore.Recorded) error {
		ids = append(ids, r.ID.String())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// distinct are the events without repeats.
func distinct(events []bus.IntegrationEvent) (ids []string) {
	seen := make(map[string]bool)
	for _, e := range events {
		if !seen[e.EventID] {
			seen[e.EventID] = true
			ids = append(ids, e.EventID)
		}
	}
	return ids
}

// recorder is a broker that keeps messages in the order in which they are published.
type recorder struct {
	mu   sync.Mutex
	told []bus.IntegrationEvent
}

func (r *recorder) Publish(_ string, messages ...*message.Message) error {
	for _, m := range messages {
		e, err := bus.DecodeEvent(m)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.told = append(r.told, e)
		r.mu.Unlock()
	}
	return nil
}

func (*recorder) Close() error { return nil }

func (r *recorder) all() []bus.IntegrationEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told)
}

// unreliable is a publisher that sometimes fails after it has published a part.
type unreliable struct {
	message.Publisher
	calls atomic.Int64
}

func (u *unreliable) Publish(topic string, messages ...*message.Message) error {
	if u.calls.Add(1)%3 == 0 {
		part := messages[:len(messages)/2]
		if err := u.Publisher.Publish(topic, part...); err != nil {
			return err
		}
		return errors.New("the broker has gone away")
	}
	return u.Publisher.Publish(topic, messages...)
}

func TestCrashesRepeatEventsAndLoseNoneAndTheOrderStaysOnceRepeatsAreDropped(t *testing.T) {
	s := bustest.NewSystem(t, goChannel(t))
	told := new(recorder)
	const orders = 200
	var placing sync.WaitGroup
	placing.Go(func() {
		for i := range orders {
			place(t, s, fmt.Sprintf("o-%d", i), fmt.Sprintf("c-%d", i%5))
		}
	})
	// Two processes publish at once, and both crash again and again before most checkpoints are saved.
	o := bus.EventsOptions{Store: s.Store, Publisher: &unreliable{Publisher: told}, Topic: s.Topics.Events, FromStart: true, SaveEvery: 3 * time.Millisecond}
	var crashing sync.WaitGroup
	for range 2 {
		crashing.Go(func() {
			for round := range 8 {
				runner, _, crash := publishing(t, o)
				bustest.WaitFor(t, "some events", func() bool { return len(told.all()) > round*20 && runner.Status().Position != (domain.Position{}) })
				crash()
			}
		})
	}
	crashing.Wait()
	placing.Wait()
	publishing(t, o)
	want := history(t, s)
	bustest.WaitFor(t, "all events", func() bool { return len(distinct(told.all())) == orders })
	if got := distinct(told.all()); !slices.Equal(got, want) {
		t.Errorf("the order is not that of the log, in %d events of %d messages", len(got), len(told.all()))
	}
	t.Logf("%d messages for %d events", len(told.all()), orders)
}

func TestACheckpointIsSavedNowAndThenAndAtTheEnd(t *testing.T) {
	s := bustest.NewSystem(t, goChannel(t))
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	events := bus.NewEvents(bus.EventsOptions{
		Store: s.Store, Publisher: s.Publisher, Topic: s.Topics.Events, FromStart: true, Now: func() time.Time { return now },
	})
	ctx := bustest.Bounded(t)
	at, err := events.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	saved := func() domain.Position {
		t.Helper()
		c, err := consumer.Load(ctx, s.Store, "integration-events")
		if err != nil {
			t.Fatal(err)
		}
		return c.Position
	}
	apply := func(id string) domain.Position {
		t.Helper()
		to := place(t, s, id, "alice")
		recorded, _, err := s.Store.Load(ctx, "order-store."+id)
		if err != nil {
			t.Fatal(err)
		}
		if err := events.Apply(ctx, projections.Batch{From: at, To: domain.CheckpointAt(to), Events: recorded[1:]}); err != nil {
			t.Fatal(err)
		}
		at = domain.CheckpointAt(to)
		return to
	}
	first := apply("o-1")
	if saved() != first {
		t.Errorf("after the first batch it is %s, want %s", saved(), first)
	}
	now = now.Add(999 * time.Millisecond)
	second := apply("o-2")
	if saved() != first {
		t.Errorf("within the second it is %s, want %s", saved(), first)
	}
	now = now.Add(time.Millisecond)
	idle := projections.Batch{From: at, To: at, AsOf: now}
	if err := events.Apply(ctx, idle); err != nil || saved() != second {
		t.Errorf("once idle it is %s, want %s (%v)", saved(), second, err)
	}
	end, err := s.Store.End(ctx)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if err := errors.Join(events.Apply(ctx, idle), events.Save(ctx)); err != nil {
		t.Fatal(err)
	}
	if again, err := s.Store.End(ctx); err != nil || again != end {
		t.Errorf("an idle publisher adds to the log: %s, was %s (%v)", again, end, err)
	}
	third := apply("o-3")
	now = now.Add(time.Millisecond)
	fourth := apply("o-4")
	if err := errors.Join(events.Save(ctx)); err != nil || saved() != fourth || third == fourth {
		t.Errorf("at the end it is %s, want %s (%v)", saved(), fourth, err)
	}
}

func TestAPublisherThatWasOvertakenSaysSo(t *testing.T) {
	s := bustest.NewSystem(t, goChannel(t))
	ctx := bustest.Bounded(t)
	o := bus.EventsOptions{Store: s.Store, Publisher: s.Publisher, Topic: s.Topics.Events, FromStart: true}
	slow, fast := bus.NewEvents(o), bus.NewEvents(o)
	for _, e := range []*bus.Events{slow, fast} {
		if _, err := e.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
	}
	first, second := place(t, s, "o-1", "alice"), place(t, s, "o-2", "alice")
	recorded, _, err := s.Store.Load(ctx, "order-store.o-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := fast.Apply(ctx, projections.Batch{To: domain.CheckpointAt(second), Events: recorded[1:]}); err != nil {
		t.Fatal(err)
	}
	if err := slow.Apply(ctx, projections.Batch{To: domain.CheckpointAt(first), Events: recorded[1:]}); !errors.Is(err, domain.ErrCheckpointMoved) {
		t.Errorf("got %v", err)
	}
	if at, err := slow.Checkpoint(ctx); err != nil || at.Position != second {
		t.Errorf("it goes on from %s, %v, want %s", at, err, second)
	}
}

func FuzzAnIntegrationEventIsReadOrInvalid(f *testing.F) {
	f.Add([]byte(`{"eventId":"e","type":"loyalty.points-awarded.v1","customerId":"c","points":1,"occurredAt":"2026-11-22T12:00:00Z","position":"1"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := bus.DecodeEvent(message.NewMessage(uuid.NewString(), payload))
		if err == nil && (e.EventID == "" || e.CustomerID == "") {
			t.Errorf("read %+v", e)
		}
	})
}
