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

func followCheckpoints(t *testing.T, store *eventstore.Store) {
	from := end(t, store)
	var last domain.Position
	for range 3 {
		last = Add(t, store, ownStream(), Placed("a"))
	}
	f := Follow(t, store, from)
	WaitFor(t, "a checkpoint at or after the last event", func() bool {
		return f.Has(func(i eventstore.Item) bool { return i.Checkpoint != nil && !i.Checkpoint.Before(last) })
	})
}
