package eventstore_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
)

// patience bounds every wait in these tests; none takes nearly as long.
const patience = 30 * time.Second

// server is an embedded event store that a test can stop and start again on the same folder.
type server struct {
	t      *testing.T
	dir    string
	target string
	now    *embedded.Server
}

func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir()}
	var err error
	if s.target, err = embedded.SocketTarget(s.dir); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) start() {
	s.t.Helper()
	running, err := embedded.Open(s.t.Context(), embedded.Options{Dir: s.dir})
	if err != nil {
		s.t.Fatal(err)
	}
	s.now = running
}

func (s *server) stop() {
	s.t.Helper()
	if s.now == nil {
		return
	}
	// The clients' subscriptions do not end by themselves: a moment is all they get.
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := s.now.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		s.t.Error(err)
	}
	s.now = nil
}

func (s *server) open() *eventstore.Store {
	s.t.Helper()
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := eventstore.Open(s.t.Context(), s.target, registry, eventstore.Options{
		Backoff: func(int) time.Duration { return 5 * time.Millisecond },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return store
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func adjusted(customer domain.CustomerID, points domain.Points) account.PointsAdjusted {
	return account.PointsAdjusted{
		About:     domain.About{CustomerID: customer, OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		LoyaltyID: "l-1", Points: points, Reason: "goodwill", Actor: "s-1",
	}
}

func placed(customer domain.CustomerID) order.Placed {
	return order.Placed{About: adjusted(customer, 0).About, OrderID: "o-1", Items: []string{"sku"}, Paid: domain.Money{Minor: 100, Currency: domain.GBP}}
}

// add appends one event after the others of its stream.
func add(t *testing.T, store *eventstore.Store, stream string, events ...domain.Event) domain.Position {
	t.Helper()
	ctx := bounded(t)
	past, err := store.Load(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	at, err := store.Append(ctx, stream, int64(len(past))-1, uuid.New(), eventstore.Metadata{}, events...)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWhatIsAppendedIsLoaded(t *testing.T) {
	store := startServer(t).open()
	command := uuid.New()
	metadata := eventstore.Metadata{Correlation: "req-1", Causation: command.String(), Actor: "till-7", Channel: domain.Store}
	at, err := store.Append(bounded(t), "order-o-1", eventstore.NoStream, command, metadata, placed("alice"), adjusted("alice", 5))
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.Load(bounded(t), "order-o-1")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Fatalf("loaded %d events, want 2", len(got))
	}
	for i, want := range []domain.Event{placed("alice"), adjusted("alice", 5)} {
		if diff := cmp.Diff(want, got[i].Event); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
		if got[i].Metadata != metadata || got[i].ID != eventstore.EventID(command, i) || got[i].Revision != uint64(i) || got[i].Stream != "order-o-1" {
			t.Errorf("event %d came back as %+v", i, got[i])
		}
	}
	if got[1].Position != at {
		t.Errorf("the append answered position %s, the event stands at %s", at, got[1].Position)
	}
}

func TestAStreamThatDoesNotExistHasNoEvents(t *testing.T) {
	store := startServer(t).open()
	if got, err := store.Load(bounded(t), "order-none"); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAnAppendThatExpectsAnotherRevisionIsRefused(t *testing.T) {
	store := startServer(t).open()
	add(t, store, "account-a", adjusted("a", 1))
	for _, expected := range []int64{eventstore.NoStream, 1, 7} {
		if _, err := store.Append(bounded(t), "account-a", expected, uuid.New(), eventstore.Metadata{}, adjusted("a", 2)); !errors.Is(err, domain.ErrWrongRevision) {
			t.Errorf("expecting %d: got %v, want domain.ErrWrongRevision", expected, err)
		}
	}
	if got, _ := store.Load(bounded(t), "account-a"); len(got) != 1 {
		t.Errorf("%d events are stored, want 1", len(got))
	}
}

func TestAnAppendRepeatedIsStoredOnceAndAnsweredAlike(t *testing.T) {
	s := startServer(t)
	store := s.open()
	command := uuid.New()
	first, err := store.Append(bounded(t), "account-a", eventstore.NoStream, command, eventstore.Metadata{}, adjusted("a", 1), adjusted("a", 2))
	if err != nil {
		t.Fatal(err)
	}
	add(t, store, "account-a", adjusted("a", 3))
	s.stop()
	s.start()
	again, err := store.Append(bounded(t), "account-a", eventstore.NoStream, command, eventstore.Metadata{}, adjusted("a", 1), adjusted("a", 2))
	if err != nil || again != first {
		t.Errorf("got %s, %v; want %s as the first time", again, err, first)
	}
	if got, _ := store.Load(bounded(t), "account-a"); len(got) != 3 {
		t.Errorf("%d events are stored, want 3", len(got))
	}
}

func TestThePositionOfAnEventIsFoundEvenIfItsServerDoesNotSay(t *testing.T) {
	store := startServer(t).open()
	want := add(t, store, "account-a", adjusted("a", 1))
	add(t, store, "account-a", adjusted("a", 2))
	events, err := store.Load(bounded(t), "account-a")
	if err != nil {
		t.Fatal(err)
	}
	unsaid := events[0]
	unsaid.Position = domain.Position{Commit: math.MaxUint64, Prepare: math.MaxUint64}
	for _, event := range []eventstore.Recorded{events[0], unsaid} {
		if got, err := store.PositionOf(bounded(t), event); err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
	if events, _ = store.Load(bounded(t), "account-a"); len(events) != 2 {
		t.Errorf("%d events are stored, want 2", len(events))
	}
}

func TestTheEndOfTheLogIsTheLastEventOfTheTypesAskedFor(t *testing.T) {
	store := startServer(t).open()
	if end, err := store.End(bounded(t)); err != nil || end != (domain.Position{}) {
		t.Errorf("an empty log ends at %s, %v", end, err)
	}
	points := add(t, store, "account-a", adjusted("a", 1))
	other := add(t, store, "order-o", placed("a"))
	for _, c := range []struct {
		types []string
		want  domain.Position
	}{{nil, other}, {[]string{account.TypePointsAdjusted}, points}, {[]string{order.TypePlaced}, other}} {
		if end, err := store.End(bounded(t), c.types...); err != nil || end != c.want {
			t.Errorf("of %v the log ends at %s, %v; want %s", c.types, end, err, c.want)
		}
	}
	if _, err := store.End(bounded(t), "unheard-of.v1"); err == nil {
		t.Error("a type that is not registered must be refused")
	}
}

func TestEventsAfterAPositionAreCountedUpToALimit(t *testing.T) {
	store := startServer(t).open()
	first := add(t, store, "account-a", adjusted("a", 1))
	add(t, store, "order-o", placed("a"))
	for range 4 {
		add(t, store, "account-a", adjusted("a", 1))
	}
	for _, c := range []struct {
		after domain.Position
		limit int
		want  int
	}{{domain.Position{}, 100, 5}, {first, 100, 4}, {first, 3, 3}} {
		if got, err := store.CountAfter(bounded(t), c.after, []string{account.TypePointsAdjusted}, c.limit); err != nil || got != c.want {
			t.Errorf("after %s, at most %d: got %d, %v; want %d", c.after, c.limit, got, err, c.want)
		}
	}
}

func TestCallersDoNotHangWhileTheStoreIsDownAndGoOnWhenItIsBack(t *testing.T) {
	s := startServer(t)
	store := s.open()
	add(t, store, "account-a", adjusted("a", 1))
	before := runtime.NumGoroutine()
	for range 5 {
		s.stop()
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				if _, err := store.Load(bounded(t), "account-a"); !errors.Is(err, domain.ErrUnavailable) {
					t.Errorf("got %v, want domain.ErrUnavailable", err)
				}
			})
		}
		all.Wait()
		s.start()
		for range 32 {
			all.Go(func() {
				if got, err := store.Load(bounded(t), "account-a"); err != nil || len(got) != 1 {
					t.Errorf("got %d events, %v", len(got), err)
				}
			})
		}
		all.Wait()
	}
	waitFor(t, "no connection is leaked", func() bool { return runtime.NumGoroutine() <= before+10 })
}

func TestCallsUnderWayWhenTheStoreDiesEndAndAreCarriedOutOnce(t *testing.T) {
	s := startServer(t)
	store := s.open()
	ctx, cancel := context.WithCancel(bounded(t))
	var all sync.WaitGroup
	acknowledged := make([]int, 16)
	for i := range acknowledged {
		all.Go(func() {
			stream := "account-" + string(rune('a'+i))
			for ctx.Err() == nil {
				_, err := store.Append(ctx, stream, int64(acknowledged[i])-1, uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(i), byte(acknowledged[i] >> 8), byte(acknowledged[i])}), eventstore.Metadata{}, adjusted("a", 1))
				if err == nil {
					acknowledged[i]++
				} else if !errors.Is(err, domain.ErrUnavailable) && ctx.Err() == nil {
					t.Errorf("got %v, want domain.ErrUnavailable", err)
				}
			}
		})
	}
	for range 5 {
		waitFor(t, "some appends", func() bool { end, err := store.End(ctx); return err == nil && end.Commit > 0 })
		s.stop()
		s.start()
	}
	cancel()
	all.Wait()
	for i, want := range acknowledged {
		events, err := store.Load(bounded(t), "account-"+string(rune('a'+i)))
		if err != nil || (len(events) != want && len(events) != want+1) {
			t.Errorf("stream %d holds %d events, %v; %d were acknowledged and at most one was under way", i, len(events), err, want)
		}
	}
}

func TestAWrongAddressIsReportedWhenOpening(t *testing.T) {
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventstore.Open(bounded(t), "unix://"+t.TempDir()+"/none", registry, eventstore.Options{}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("nobody listens: got %v, want domain.ErrUnavailable", err)
	}
	if _, err := eventstore.Open(bounded(t), "http://user:secret@host", registry, eventstore.Options{}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("no connection string: got %v, want domain.ErrInvalid", err)
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	store := startServer(t).open()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(bounded(t), "account-a"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v, want domain.ErrUnavailable", err)
	}
}

// waitFor waits until the condition holds, and fails the test if it does not in time.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx := bounded(t)
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// follow gathers what a Follow delivers.
type following struct {
	mu     sync.Mutex
	items  []eventstore.Item
	cancel context.CancelFunc
	ended  chan error
}

func follow(t *testing.T, store *eventstore.Store, from domain.Position, types ...string) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &following{cancel: cancel, ended: make(chan error, 1)}
	go func() {
		f.ended <- store.Follow(ctx, from, types, func(item eventstore.Item) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.items = append(f.items, item)
			return nil
		})
	}()
	t.Cleanup(func() { cancel(); f.ended <- <-f.ended })
	return f
}

func (f *following) points() []domain.Points {
	f.mu.Lock()
	defer f.mu.Unlock()
	var points []domain.Points
	for _, item := range f.items {
		if item.Event != nil {
			points = append(points, item.Event.Event.(account.PointsAdjusted).Points)
		}
	}
	return points
}

func (f *following) has(want func(eventstore.Item) bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.items, want)
}

func TestFollowDeliversThePastThenSaysSoThenThePresent(t *testing.T) {
	store := startServer(t).open()
	add(t, store, "account-a", adjusted("a", 1))
	second := add(t, store, "account-a", adjusted("a", 2))
	add(t, store, "order-o", placed("a"))
	add(t, store, "account-a", adjusted("a", 3))

	fromStart := follow(t, store, domain.Position{}, account.TypePointsAdjusted)
	fromSecond := follow(t, store, second, account.TypePointsAdjusted)
	for _, f := range []*following{fromStart, fromSecond} {
		waitFor(t, "caught up", func() bool { return f.has(func(i eventstore.Item) bool { return i.CaughtUp }) })
	}
	add(t, store, "account-a", adjusted("a", 4))
	for f, want := range map[*following][]domain.Points{fromStart: {1, 2, 3, 4}, fromSecond: {3, 4}} {
		waitFor(t, "the new event", func() bool { return len(f.points()) == len(want) })
		if diff := cmp.Diff(want, f.points()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestFollowGoesOnWhereItWasWhenTheStoreIsBack(t *testing.T) {
	s := startServer(t)
	store := s.open()
	f := follow(t, store, domain.Position{}, account.TypePointsAdjusted)
	var want []domain.Points
	for round := range 4 {
		for i := range 10 {
			points := domain.Points(round*10 + i + 1)
			add(t, store, "account-a", adjusted("a", points))
			want = append(want, points)
		}
		s.stop()
		s.start()
	}
	waitFor(t, "all events", func() bool { return len(f.points()) >= len(want) })
	if diff := cmp.Diff(want, f.points()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !f.has(func(i eventstore.Item) bool { return i.Lost != nil }) {
		t.Error("it never told that the connection was lost")
	}
}

func TestFollowSaysHowFarItLookedPastOtherEvents(t *testing.T) {
	store := startServer(t).open()
	var last domain.Position
	for range 3 {
		last = add(t, store, "order-o", placed("a"))
	}
	f := follow(t, store, domain.Position{}, account.TypePointsAdjusted)
	waitFor(t, "a checkpoint at the end", func() bool {
		return f.has(func(i eventstore.Item) bool { return i.Checkpoint != nil && *i.Checkpoint == last })
	})
}
