package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
)

// Following collects the items of a subscription to adjustments.
type Following struct {
	mu    sync.Mutex
	items []eventstore.Item
}

// Follow subscribes to the adjustments after a position until the test ends.
func Follow(t testing.TB, store *eventstore.Store, from domain.Position) *Following {
	t.Helper()
	return FollowFrom(t, store, domain.CheckpointAt(from))
}

// FollowFrom subscribes to the adjustments after a checkpoint until the test ends.
func FollowFrom(t testing.TB, store *eventstore.Store, from domain.Checkpoint) *Following {
	t.Helper()
	f := &Following{}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		err := store.Follow(ctx, from, []string{account.TypePointsAdjusted}, func(item eventstore.Item) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.items = append(f.items, item)
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("following ended with %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return f
}

// Points are the points of the events delivered so far, in order.
func (f *Following) Points() []domain.Points {
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

// Has tells whether a wanted item was delivered.
func (f *Following) Has(wanted func(eventstore.Item) bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.items, wanted)
}

// end is the end of the log. After it, a clause finds only its own events.
func end(t testing.TB, store *eventstore.Store) domain.Position {
	t.Helper()
	at, err := store.End(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func followPastAndPresent(t *testing.T, store *eventstore.Store) {
	from, stream := end(t, store), ownStream()
	Add(t, store, stream, Adjusted("a", 1))
	second := Add(t, store, stream, Adjusted("a", 2))
	Add(t, store, ownStream(), Placed("a"))
	Add(t, store, stream, Adjusted("a", 3))
	fromStart, fromSecond := Follow(t, store, from), Follow(t, store, second)
	for _, f := range []*Following{fromStart, fromSecond} {
		WaitFor(t, "caught up", func() bool { return f.Has(func(i eventstore.Item) bool { return i.CaughtUp }) })
	}
	Add(t, store, stream, Adjusted("a", 4))
	for f, want := range map[*Following][]domain.Points{fromStart: {1, 2, 3, 4}, fromSecond: {3, 4}} {
		WaitFor(t, "the new event", func() bool { return len(f.Points()) >= len(want) })
		if diff := cmp.Diff(want, f.Points()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func subscriptionsAgree(t *testing.T, store *eventstore.Store) {
	const writers, each = 8, 20
	from := end(t, store)
	early := Follow(t, store, from)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			stream := ownStream()
			for i := range each {
				if _, err := store.Append(bounded(t), stream, int64(i)-1, uuid.New(), eventstore.Metadata{}, Adjusted("a", domain.Points(w*each+i+1))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	late := Follow(t, store, from)
	for _, f := range []*Following{early, late} {
		WaitFor(t, "all events", func() bool { return len(f.Points()) >= writers*each })
	}
	if diff := cmp.Diff(early.Points(), late.Points()); diff != "" {
		t.Errorf("(-early +late):\n%s", diff)
	}
	seen := slices.Sorted(slices.Values(early.Points()))
	if len(slices.Compact(seen)) != writers*each {
		t.Errorf("%d different events were delivered, want %d", len(slices.Compact(seen)), writers*each)
	}
}

func caughtUpToTheEnd(t *testing.T, store *eventstore.Store) {
	from := end(t, store)
	Add(t, store, ownStream(), Adjusted("a", 1))
	var last domain.Position
	for range 3 {
		last = Add(t, store, ownStream(), Placed("a"))
	}
	f := Follow(t, store, from)
	WaitFor(t, "caught up", func() bool {
		return f.Has(func(i eventstore.Item) bool { return i.CaughtUp && !i.At.Position.Before(last) })
	})
}

// last is the last item of a subscription that satisfies wanted.
func (f *Following) last(t testing.TB, what string, wanted func(eventstore.Item) bool) eventstore.Item {
	t.Helper()
	WaitFor(t, what, func() bool { return f.Has(wanted) })
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, item := range slices.Backward(f.items) {
		if wanted(item) {
			return item
		}
	}
	return eventstore.Item{}
}

func caughtUp(i eventstore.Item) bool { return i.CaughtUp }

func checkpointsNameTheLog(t *testing.T, store *eventstore.Store) {
	from := domain.CheckpointAt(end(t, store))
	from.Fold = 7
	Add(t, store, ownStream(), Adjusted("a", 1))
	last := load(t, store, func() string { s := ownStream(); Add(t, store, s, Adjusted("a", 2)); return s }())[0]
	Add(t, store, ownStream(), Placed("a"))
	log, err := store.BeginLog(bounded(t))
	if err != nil || log.ID == "" {
		t.Fatalf("the log is %+v, %v", log, err)
	}
	at, err := store.PositionOf(bounded(t), last)
	if err != nil {
		t.Fatal(err)
	}
	want := domain.Checkpoint{Log: log.ID, Last: domain.EventRef{Position: at, ID: last.ID.String()}, Fold: 7}
	got := FollowFrom(t, store, from).last(t, "caught up", caughtUp).At
	if got.Position.Before(at) {
		t.Errorf("caught up at %s, before the event at %s", got.Position, at)
	}
	if got.Position = (domain.Position{}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	between, err := store.Between(bounded(t), from, at, []string{account.TypePointsAdjusted}, func(eventstore.Recorded) error { return nil })
	if want.Position = at; err != nil || between != want {
		t.Errorf("between: got %+v, %v; want %+v", between, err, want)
	}
}

func resumesBehindOwnEvents(t *testing.T, store *eventstore.Store) {
	stream := ownStream()
	first := FollowFrom(t, store, domain.CheckpointAt(end(t, store)))
	Add(t, store, stream, Adjusted("a", 1))
	at := Add(t, store, ownStream(), Placed("a"))
	from := first.last(t, "the first event", func(i eventstore.Item) bool { return i.Event != nil }).At
	from.Position = at
	Add(t, store, stream, Adjusted("a", 2))
	again := FollowFrom(t, store, from)
	again.last(t, "caught up", caughtUp)
	if diff := cmp.Diff([]domain.Points{2}, again.Points()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func oldCheckpointIsAdopted(t *testing.T, store *eventstore.Store) {
	stream := ownStream()
	own := Add(t, store, stream, Adjusted("a", 1))
	other := Add(t, store, ownStream(), Placed("a"))
	for _, from := range []domain.Position{own, other} {
		got := Follow(t, store, from).last(t, "caught up", caughtUp).At
		if got.Log == "" || got.Last.Position != own {
			t.Errorf("from %s: got %+v, want the event at %s", from, got, own)
		}
	}
}

func wrongLogIsRefused(t *testing.T, store *eventstore.Store) {
	at := Add(t, store, ownStream(), Adjusted("a", 1))
	good := Follow(t, store, at).last(t, "caught up", caughtUp).At
	for what, spoil := range map[string]func(*domain.Checkpoint){
		"another log": func(c *domain.Checkpoint) { c.Log = uuid.NewString() },
		"beyond":      func(c *domain.Checkpoint) { c.Position.Commit += 1 << 40; c.Position.Prepare += 1 << 40 },
		"beyond, old": func(c *domain.Checkpoint) {
			*c = domain.CheckpointAt(domain.Position{Commit: at.Commit + 1<<40, Prepare: at.Prepare + 1<<40})
		},
		"another event": func(c *domain.Checkpoint) { c.Last.ID = uuid.NewString() },
	} {
		from := good
		spoil(&from)
		err := store.Follow(bounded(t), from, []string{account.TypePointsAdjusted}, func(eventstore.Item) error { return nil })
		if !errors.Is(err, domain.ErrWrongLog) {
			t.Errorf("%s: got %v, want domain.ErrWrongLog", what, err)
		}
	}
}
