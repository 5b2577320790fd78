package reading_test

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
	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/reading"
	"loyalty/eventstore/storetest"
	"loyalty/internal/proxytest"
)

// patience bounds every wait in these tests; none takes nearly as long.
const patience = 30 * time.Second

// kinds are sets of types that projections have.
var kinds = [][]string{
	{account.TypePointsAdjusted}, {order.TypePlaced}, {account.TypePointsAdjusted, order.TypePlaced}, {account.TypeCustomerForgotten, account.TypePointsAdjusted},
}

// handed is an item and how many events came before it.
type handed struct {
	eventstore.Item
	events int
}

// following is one who follows the log, and can be slow.
type following struct {
	types []string
	from  domain.Checkpoint
	stop  func() error
	ended chan struct{} // closed when following has ended

	mu    sync.Mutex
	held  chan struct{} // closed when the follower may go on
	items []handed
	ids   []string
}

func follow(t testing.TB, log *reading.Shared, from domain.Checkpoint, types []string) *following {
	t.Helper()
	f := &following{types: types, from: from, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	go func() {
		defer close(f.ended)
		err = log.Follow(ctx, from, types, func(item eventstore.Item) error {
			f.mu.Lock()
			held := f.held
			f.items = append(f.items, handed{item, len(f.ids)})
			if item.Event != nil {
				f.ids = append(f.ids, item.Event.ID.String())
			}
			f.mu.Unlock()
			if held != nil {
				select {
				case <-held:
				case <-ctx.Done():
				}
			}
			return ctx.Err()
		})
	}()
	f.stop = func() error { cancel(); <-f.ended; return err }
	t.Cleanup(func() { _ = f.stop() })
	return f
}

// hold makes the follower wait in its next item, until release.
func (f *following) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held == nil {
		f.held = make(chan struct{})
	}
}

func (f *following) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held != nil {
		close(f.held)
		f.held = nil
	}
}

// at is the checkpoint behind the last item.
func (f *following) at() domain.Checkpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.items) == 0 {
		return f.from
	}
	return f.items[len(f.items)-1].At
}

func (f *following) has(wanted func(handed) bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.items, wanted)
}

func caughtUp(i handed) bool { return i.CaughtUp }

// shop is a log with a proxy before it.
type shop struct {
	direct, store *eventstore.Store
	proxy         *proxytest.Proxy
	streams       int
	// answered are when appends were answered, and the positions of their last events.
	answered []answer
}

type answer struct {
	when time.Time
	at   domain.Position
}

func openShop(t testing.TB) *shop {
	t.Helper()
	_, target := storetest.Start(t)
	proxy := proxytest.Start(t, "unix", strings.TrimPrefix(target, "unix://"))
	return &shop{direct: storetest.Connect(t, target), store: open(t, "esdb://"+proxy.Addr()+"?tls=false"), proxy: proxy}
}

// open opens a store that connects again at once.
func open(t testing.TB, target string) *eventstore.Store {
	t.Helper()
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.New(target, registry, eventstore.Options{Backoff: func(int) time.Duration { return time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func (s *shop) adjust(t testing.TB) domain.Position {
	return s.add(t, storetest.Adjusted("a", 1))
}

func (s *shop) order(t testing.TB) domain.Position { return s.add(t, storetest.Placed("a")) }

func (s *shop) add(t testing.TB, events ...domain.Event) domain.Position {
	s.streams++
	at := storetest.Add(t, s.direct, fmt.Sprintf("some-%d", s.streams), events...)
	s.answered = append(s.answered, answer{time.Now(), at})
	return at
}

// check compares what a follower was handed with the log, up to its checkpoint.
func (s *shop) check(t testing.TB, f *following) {
	t.Helper()
	var ids []string
	var positions []domain.Position
	if _, err := s.direct.Between(t.Context(), f.from, f.at().Position, f.types, func(r eventstore.Recorded) error {
		ids, positions = append(ids, r.ID.String()), append(positions, r.Position)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids, f.ids); diff != "" {
		t.Fatalf("of %v it was handed (-log +handed):\n%s", f.types, diff)
	}
	before := f.from.Position
	for _, item := range f.items {
		if item.At.Position.Before(before) {
			t.Fatalf("it goes back from %s to %s", before, item.At)
		}
		before = item.At.Position
		if has := item.events; item.Event != nil && item.At.Last.ID != ids[has] || item.Event == nil && has > 0 && item.At.Last.ID != ids[has-1] {
			t.Fatalf("behind %d events the last one is %+v", has, item.At.Last)
		}
		if !item.CaughtUp {
			continue
		}
		if until := len(ids[:item.events]); until < len(positions) && !item.At.Position.Before(positions[until]) {
			t.Fatalf("it is told that it has everything up to %s, and has %d events, without that at %s", item.At, item.events, positions[until])
		}
		if item.AsOf.IsZero() {
			t.Fatal("it is told that it has caught up, and not as of when")
		}
		for _, a := range s.answered {
			if a.when.Before(item.AsOf) && item.At.Position.Before(a.at) {
				t.Fatalf("it is told that it has everything as of %s, which is up to %s, but %s was answered at %s", item.AsOf, item.At, a.at, a.when)
			}
		}
	}
}

// Given a log that is shared by projections of various types
// When they come and go, are slow, and the connection is cut, at random
// Then each is handed what the log has of its types, in order, each event once, and what it is told about the end of the log is true.
func TestEachIsHandedTheLogWhateverHappens(t *testing.T) {
	s := openShop(t)
	var last domain.Checkpoint // of somebody who has left
	rapid.Check(t, func(r *rapid.T) {
		s.answered = nil
		log := reading.NewShared(s.store, reading.Options{Keep: rapid.IntRange(1, 12).Draw(r, "keep"), Heartbeat: time.Millisecond})
		var all, here []*following
		one := func() *following { return here[rapid.IntRange(0, len(here)-1).Draw(r, "which")] }
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			what := "join"
			if len(here) > 0 {
				what = rapid.SampledFrom([]string{"join", "leave", "hold", "release", "cut", "write", "write", "write", "wait"}).Draw(r, "what")
			}
			switch what {
			case "join":
				f := follow(t, log, last, rapid.SampledFrom(kinds).Draw(r, "types"))
				all, here = append(all, f), append(here, f)
			case "leave":
				f := one()
				if err := f.stop(); !errors.Is(err, context.Canceled) {
					r.Fatal(err)
				}
				here = slices.DeleteFunc(here, func(other *following) bool { return other == f })
			case "hold":
				one().hold()
			case "release":
				one().release()
			case "cut":
				s.proxy.CutAll()
			case "write":
				for range rapid.IntRange(1, 6).Draw(r, "events") {
					if rapid.Bool().Draw(r, "an order") {
						s.order(t)
					} else {
						s.adjust(t)
					}
				}
			case "wait":
				f := one()
				f.release()
				storetest.WaitFor(t, "it has caught up", func() bool { return f.has(caughtUp) })
			}
		}
		end := s.adjust(t)
		for _, f := range here {
			f.release()
			storetest.WaitFor(t, "it is told that it has everything", func() bool { return !f.at().Position.Before(end) && f.has(caughtUp) })
			if err := f.stop(); !errors.Is(err, context.Canceled) {
				r.Fatal(err)
			}
		}
		for _, f := range all {
			s.check(t, f)
		}
		if n := s.store.Subscriptions(); n != 0 {
			r.Fatalf("nobody follows, and %d subscriptions are open", n)
		}
		last = domain.CheckpointAt(end)
	})
}

// Given two who share a subscription
// When one is far slower than the other
// Then the other is not held up, the slow one is handed everything all the same, and both share a subscription again.
func TestASlowOneHoldsUpNobody(t *testing.T) {
	s := openShop(t)
	log := reading.NewShared(s.store, reading.Options{Keep: 4, Heartbeat: time.Millisecond})
	fast, slow := follow(t, log, domain.Checkpoint{}, kinds[0]), follow(t, log, domain.Checkpoint{}, kinds[0])
	shares := func() bool { return fast.has(caughtUp) && slow.has(caughtUp) && s.store.Subscriptions() == 1 }
	storetest.WaitFor(t, "they share", shares)
	slow.hold()
	var end domain.Position
	for range 20 {
		end = s.add(t, slices.Repeat([]domain.Event{storetest.Adjusted("a", 1)}, 100)...)
	}
	storetest.WaitFor(t, "the other has everything", func() bool { return !fast.at().Position.Before(end) })
	if !slow.at().Position.Before(end) {
		t.Error("the slow one isn't slow")
	}
	slow.release()
	storetest.WaitFor(t, "the slow one has everything", func() bool { return !slow.at().Position.Before(end) })
	storetest.WaitFor(t, "they share again", shares)
	for _, f := range []*following{fast, slow} {
		_ = f.stop()
		s.check(t, f)
	}
}

// Given projections that share a subscription
// When an event can't be decoded
// Then those of its type stop there, and the others go on, together.
func TestWhatCanNotBeDecodedStopsThoseOfItsTypeOnly(t *testing.T) {
	_, target := storetest.Start(t)
	store := storetest.Connect(t, target)
	s := &shop{direct: store, store: store}
	log := reading.NewShared(store, reading.Options{Heartbeat: time.Millisecond})
	s.adjust(t)
	of, others := follow(t, log, domain.Checkpoint{}, kinds[0]), []*following{follow(t, log, domain.Checkpoint{}, kinds[1]), follow(t, log, domain.Checkpoint{}, kinds[1])}
	for _, f := range append(others, of) {
		storetest.WaitFor(t, "caught up", func() bool { return f.has(caughtUp) })
	}
	client, err := esdb.NewClient(&esdb.Configuration{Address: target, DisableTLS: true, MaxDiscoverAttempts: 1, GossipTimeout: 5, Logger: esdb.NoopLogging()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.AppendToStream(t.Context(), "account-b", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, esdb.EventData{
		EventType: account.TypePointsAdjusted, ContentType: esdb.ContentTypeJson, Data: []byte(`{"points":"many"}`),
	}); err != nil {
		t.Fatal(err)
	}
	end := s.order(t)
	for _, f := range others {
		storetest.WaitFor(t, "the others go on", func() bool { return !f.at().Position.Before(end) })
	}
	storetest.WaitFor(t, "the others share", func() bool { return store.Subscriptions() == 1 })
	select {
	case <-of.ended:
	case <-time.After(patience):
	}
	if err := of.stop(); !errors.Is(err, domain.ErrUndecodable) {
		t.Errorf("it ended with %v", err)
	}
	for _, f := range others {
		_ = f.stop()
		s.check(t, f)
	}
}

// Given two who share a subscription
// When events come
// Then both are handed the same, which was decoded once.
func TestAnEventIsDecodedOnceForAll(t *testing.T) {
	s := openShop(t)
	log := reading.NewShared(s.store, reading.Options{})
	both := []*following{follow(t, log, domain.Checkpoint{}, kinds[0]), follow(t, log, domain.Checkpoint{}, kinds[0])}
	storetest.WaitFor(t, "they share", func() bool { return both[0].has(caughtUp) && both[1].has(caughtUp) && s.store.Subscriptions() == 1 })
	s.adjust(t)
	var seen []*eventstore.Recorded
	for _, f := range both {
		storetest.WaitFor(t, "the event", func() bool { return f.has(func(i handed) bool { return i.Event != nil }) })
		_ = f.stop()
		for _, item := range f.items {
			if item.Event != nil {
				seen = append(seen, item.Event)
			}
		}
	}
	if len(seen) != 2 || seen[0] != seen[1] {
		t.Errorf("they were handed %p", seen)
	}
}

// Given followers that have caught up, on a log with events of others at its end
// When the connection is lost and comes back
// Then each is told of both.
func TestALostConnectionIsToldToAll(t *testing.T) {
	s := openShop(t)
	log := reading.NewShared(s.store, reading.Options{Heartbeat: time.Millisecond})
	s.order(t)
	both := []*following{follow(t, log, domain.Checkpoint{}, kinds[0]), follow(t, log, domain.Checkpoint{}, kinds[0])}
	storetest.WaitFor(t, "they share", func() bool { return both[0].has(caughtUp) && both[1].has(caughtUp) && s.store.Subscriptions() == 1 })
	s.proxy.CutAll()
	for _, f := range both {
		storetest.WaitFor(t, "told that it is lost, and then that it is back", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			lost := slices.IndexFunc(f.items, func(i handed) bool { return i.Lost != nil })
			return lost >= 0 && slices.ContainsFunc(f.items[lost:], caughtUp)
		})
	}
}
