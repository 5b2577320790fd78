package storetest

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

// timeout bounds every wait of the contract. None takes nearly as long.
const timeout = 30 * time.Second

// Run tests the contract that an event store must keep for this project. It writes to new streams only, so that it can run on a shared
// cluster, as long as nobody else appends events of these types at the same time.
func Run(t *testing.T, open func(testing.TB) *eventstore.Store) {
	for name, clause := range map[string]func(*testing.T, *eventstore.Store){
		"what is appended is loaded whole and in order":                     appendedIsLoaded,
		"a stream that does not exist has no events":                        missingStreamIsEmpty,
		"an append that expects another revision fails":                     otherRevisionFails,
		"an append repeated is stored once and answered alike":              repeatedAppend,
		"of appends at one revision at once exactly one is stored":          raceForARevision,
		"positions follow the order of the appends":                         positionsFollowOrder,
		"the position of an event is found even if the server does not say": positionIsFound,
		"the end of the log is the last event of the types asked for":       endOfTheLog,
		"events after a position are counted up to a limit":                 countAfter,
		"follow delivers the past, then says so, then the present":          followPastAndPresent,
		"subscriptions deliver the same events in the same order":           subscriptionsAgree,
		"who has caught up knows of everything up to the end before":        caughtUpToTheEnd,
		"a checkpoint names the log and the last event":                     checkpointsNameTheLog,
		"a subscription resumes behind the last event of its own":           resumesBehindOwnEvents,
		"a checkpoint without a log is adopted":                             oldCheckpointIsAdopted,
		"a checkpoint of another log, or beyond the end, is refused":        wrongLogIsRefused,
	} {
		t.Run(name, func(t *testing.T) { clause(t, open(t)) })
	}
}

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return ctx
}

// WaitFor polls until the condition holds. It fails the test if that takes too long.
func WaitFor(t testing.TB, what string, condition func() bool) {
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

// ownStream is the name of a new stream.
func ownStream() string { return "storetest-" + uuid.NewString() }

var occurred = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Adjusted is an event that gives a customer points.
func Adjusted(customer domain.CustomerID, points domain.Points) account.PointsAdjusted {
	return account.PointsAdjusted{
		About:     domain.About{CustomerID: customer, OccurredAt: occurred},
		LoyaltyID: "l-1", Points: points, Reason: "goodwill", Actor: "s-1",
	}
}

// Placed is an event of another type.
func Placed(customer domain.CustomerID) order.Placed {
	return order.Placed{
		About:   domain.About{CustomerID: customer, OccurredAt: occurred},
		OrderID: "o-1", Items: []string{"sku"}, Paid: domain.Money{Minor: 100, Currency: domain.GBP},
	}
}

// Add appends events at the end of a stream.
func Add(t testing.TB, store *eventstore.Store, stream string, events ...domain.Event) domain.Position {
	t.Helper()
	ctx := bounded(t)
	_, revision, err := store.Load(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	at, err := store.Append(ctx, stream, revision, uuid.New(), eventstore.Metadata{}, events...)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Begin gives the log its id, so that no reader adds that to it.
func Begin(t testing.TB, store *eventstore.Store) eventstore.Log {
	t.Helper()
	log, err := store.BeginLog(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func load(t testing.TB, store *eventstore.Store, stream string) []eventstore.Recorded {
	t.Helper()
	events, _, err := store.Load(bounded(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func appendedIsLoaded(t *testing.T, store *eventstore.Store) {
	stream, command := ownStream(), uuid.New()
	metadata := eventstore.Metadata{Correlation: "req-1", Causation: command.String(), Actor: "till-7", Channel: domain.Store}
	at, err := store.Append(bounded(t), stream, eventstore.NoStream, command, metadata, Placed("alice"), Adjusted("alice", 5))
	if err != nil {
		t.Fatal(err)
	}
	got := load(t, store, stream)
	if len(got) != 2 {
		t.Fatalf("loaded %d events, want 2", len(got))
	}
	for i, want := range []domain.Event{Placed("alice"), Adjusted("alice", 5)} {
		if diff := cmp.Diff(want, got[i].Event); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
		if got[i].Metadata != metadata || got[i].ID != eventstore.EventID(command, i) || got[i].Revision != uint64(i) || got[i].Stream != stream {
			t.Errorf("event %d came back as %+v", i, got[i])
		}
	}
	if found, err := store.PositionOf(bounded(t), got[1]); err != nil || found != at {
		t.Errorf("the append answered position %s, the event stands at %s, %v", at, found, err)
	}
}

func missingStreamIsEmpty(t *testing.T, store *eventstore.Store) {
	if got := load(t, store, ownStream()); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func otherRevisionFails(t *testing.T, store *eventstore.Store) {
	stream := ownStream()
	Add(t, store, stream, Adjusted("a", 1))
	for _, expected := range []int64{eventstore.NoStream, 1, 7} {
		if _, err := store.Append(bounded(t), stream, expected, uuid.New(), eventstore.Metadata{}, Adjusted("a", 2)); !errors.Is(err, domain.ErrWrongRevision) {
			t.Errorf("expecting %d: got %v, want domain.ErrWrongRevision", expected, err)
		}
	}
	if got := load(t, store, stream); len(got) != 1 {
		t.Errorf("%d events are stored, want 1", len(got))
	}
}

func repeatedAppend(t *testing.T, store *eventstore.Store) {
	stream := ownStream()
	for _, expected := range []int64{eventstore.NoStream, 1, 3} {
		command := uuid.New()
		again := func() (domain.Position, error) {
			return store.Append(bounded(t), stream, expected, command, eventstore.Metadata{}, Adjusted("a", 1), Adjusted("a", 2))
		}
		first, err := again()
		if err != nil {
			t.Fatal(err)
		}
		if at, err := again(); err != nil || at != first {
			t.Errorf("expecting %d: got %s, %v; want %s as the first time", expected, at, err, first)
		}
		if expected != 3 {
			continue
		}
		Add(t, store, stream, Adjusted("a", 3))
		if at, err := again(); err != nil || at != first {
			t.Errorf("with an event after it: got %s, %v; want %s as the first time", at, err, first)
		}
	}
	if got := load(t, store, stream); len(got) != 7 {
		t.Errorf("%d events are stored, want 7", len(got))
	}
}

func raceForARevision(t *testing.T, store *eventstore.Store) {
	stream := ownStream()
	Add(t, store, stream, Adjusted("a", 1))
	var mu sync.Mutex
	var won, lost int
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			_, err := store.Append(bounded(t), stream, 0, uuid.New(), eventstore.Metadata{}, Adjusted("a", 2), Adjusted("a", 3))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case errors.Is(err, domain.ErrWrongRevision):
				lost++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := load(t, store, stream); won != 1 || lost != 15 || len(got) != 3 {
		t.Errorf("%d won and %d lost, and %d events are stored; want 1, 15 and 3", won, lost, len(got))
	}
}

func positionsFollowOrder(t *testing.T, store *eventstore.Store) {
	var last domain.Position
	for range 10 {
		at := Add(t, store, ownStream(), Adjusted("a", 1), Adjusted("a", 2))
		if !last.Before(at) {
			t.Fatalf("position %s was answered after %s", at, last)
		}
		last = at
	}
}

func positionIsFound(t *testing.T, store *eventstore.Store) {
	stream := ownStream()
	want := Add(t, store, stream, Adjusted("a", 1))
	Add(t, store, stream, Adjusted("a", 2))
	event := load(t, store, stream)[0]
	unknown := event
	unknown.Position = domain.Position{Commit: math.MaxUint64, Prepare: math.MaxUint64}
	for _, event := range []eventstore.Recorded{event, unknown} {
		if got, err := store.PositionOf(bounded(t), event); err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
	if got := load(t, store, stream); len(got) != 2 {
		t.Errorf("%d events are stored, want 2", len(got))
	}
}

func endOfTheLog(t *testing.T, store *eventstore.Store) {
	points := Add(t, store, ownStream(), Adjusted("a", 1))
	other := Add(t, store, ownStream(), Placed("a"))
	for _, c := range []struct {
		types []string
		want  domain.Position
	}{{[]string{account.TypePointsAdjusted}, points}, {[]string{order.TypePlaced}, other}, {[]string{account.TypePointsAdjusted, order.TypePlaced}, other}} {
		if end, err := store.End(bounded(t), c.types...); err != nil || end != c.want {
			t.Errorf("of %v the log ends at %s, %v; want %s", c.types, end, err, c.want)
		}
	}
	if end, err := store.End(bounded(t)); err != nil || end.Before(other) {
		t.Errorf("the log ends at %s, %v, before its last event at %s", end, err, other)
	}
	if _, err := store.End(bounded(t), "unheard-of.v1"); err == nil {
		t.Error("a type that is not registered must be an error")
	}
}

func countAfter(t *testing.T, store *eventstore.Store) {
	first := Add(t, store, ownStream(), Adjusted("a", 1))
	Add(t, store, ownStream(), Placed("a"))
	for range 4 {
		Add(t, store, ownStream(), Adjusted("a", 1))
	}
	for limit, want := range map[int]int{100: 4, 3: 3} {
		if got, err := store.CountAfter(bounded(t), domain.CheckpointAt(first), []string{account.TypePointsAdjusted}, limit); err != nil || got != want {
			t.Errorf("at most %d: got %d, %v; want %d", limit, got, err, want)
		}
	}
}
