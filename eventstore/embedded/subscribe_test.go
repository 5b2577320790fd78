package embedded_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/eventstore/embedded"
)

// received is what a subscription got: an event, a checkpoint, "caught up" or "dropped", as text.
func describeReceived(e *esdb.SubscriptionEvent) string {
	switch {
	case e.EventAppeared != nil:
		return name(e.EventAppeared.OriginalEvent())
	case e.CheckPointReached != nil:
		return fmt.Sprintf("checkpoint %d", e.CheckPointReached.Commit)
	case e.CaughtUp != nil:
		return "caught up"
	case e.SubscriptionDropped != nil:
		return "dropped"
	}
	return "unknown"
}

// expect takes as many messages as there are in want and compares them.
func expect(t *testing.T, sub *esdb.Subscription, want ...string) {
	t.Helper()
	var got []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range want {
			got = append(got, describeReceived(sub.Recv()))
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		_ = sub.Close()
		<-done
		t.Fatalf("gave up waiting; got %q, want %q", got, want)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func followAll(t *testing.T, db *esdb.Client, o esdb.SubscribeToAllOptions) *esdb.Subscription {
	t.Helper()
	sub, err := db.SubscribeToAll(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

func followStream(t *testing.T, db *esdb.Client, stream string, from esdb.StreamPosition) *esdb.Subscription {
	t.Helper()
	sub, err := db.SubscribeToStream(t.Context(), stream, esdb.SubscribeToStreamOptions{From: from})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

func at(position uint64) esdb.Position { return esdb.Position{Commit: position, Prepare: position} }

func TestSubscribeToAll(t *testing.T) {
	t.Run("from the start: history, caught up, live", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
		sub := followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}})
		expect(t, sub, "a", "b", "caught up")
		write(t, db, "t", esdb.NoStream{}, event("c"))
		expect(t, sub, "c")
		write(t, db, "s", esdb.Any{}, events("d", "e")...)
		expect(t, sub, "d", "e")
	})
	t.Run("from the end: only what comes", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
		sub := followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.End{}})
		expect(t, sub, "caught up")
		write(t, db, "s", esdb.Any{}, event("c"))
		expect(t, sub, "c")
	})
	t.Run("from a position: strictly after it", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
		expect(t, followAll(t, db, esdb.SubscribeToAllOptions{From: at(1)}), "b", "c", "caught up")
		expect(t, followAll(t, db, esdb.SubscribeToAllOptions{From: at(3)}), "caught up")
		expect(t, followAll(t, db, esdb.SubscribeToAllOptions{From: at(0)}), "a", "b", "c", "caught up")
	})
	t.Run("from a position that is not there yet: what comes after it", func(t *testing.T) {
		db := start(t)
		sub := followAll(t, db, esdb.SubscribeToAllOptions{From: at(2)})
		expect(t, sub, "caught up")
		write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
		expect(t, sub, "c")
	})
	t.Run("system events appear", func(t *testing.T) {
		db := start(t)
		describe(t, db, "s", maxCount(3))
		expect(t, followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}}), "$metadata", "caught up")
	})
	t.Run("several at once, each gets everything in order", func(t *testing.T) {
		db := start(t)
		var subs []*esdb.Subscription
		for range 5 {
			subs = append(subs, followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}}))
		}
		for _, sub := range subs {
			expect(t, sub, "caught up")
		}
		var want []string
		for i := range 200 {
			want = append(want, fmt.Sprint(i))
			write(t, db, fmt.Sprint("s", i%7), esdb.Any{}, event(fmt.Sprint(i)))
		}
		for _, sub := range subs {
			var got []string
			for len(got) < len(want) {
				// Someone who falls behind catches up again, and is told so.
				if m := describeReceived(sub.Recv()); m != "caught up" {
					got = append(got, m)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("got %v", got)
			}
		}
	})
}

func TestSubscribeToStream(t *testing.T) {
	t.Run("from the start: history, caught up, live", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
		write(t, db, "t", esdb.NoStream{}, events("x")...)
		sub := followStream(t, db, "s", esdb.Start{})
		expect(t, sub, "a", "b", "caught up")
		write(t, db, "t", esdb.Any{}, event("y"))
		write(t, db, "s", esdb.Any{}, event("c"))
		expect(t, sub, "c")
	})
	t.Run("from a revision: strictly after it", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
		expect(t, followStream(t, db, "s", esdb.Revision(0)), "b", "c", "caught up")
		expect(t, followStream(t, db, "s", esdb.Revision(2)), "caught up")
	})
	t.Run("from the end: only what comes", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
		sub := followStream(t, db, "s", esdb.End{})
		expect(t, sub, "caught up")
		write(t, db, "s", esdb.Any{}, event("c"))
		expect(t, sub, "c")
	})
	t.Run("a stream that isn't there yet", func(t *testing.T) {
		db := start(t)
		sub := followStream(t, db, "s", esdb.Start{})
		expect(t, sub, "caught up")
		write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
		expect(t, sub, "a", "b")
	})
	t.Run("from a revision that is not there yet: what comes after it", func(t *testing.T) {
		db := start(t)
		sub := followStream(t, db, "s", esdb.Revision(1))
		expect(t, sub, "caught up")
		write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
		expect(t, sub, "c")
	})
	t.Run("history as the metadata shows it, live events whatever it says", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
		describe(t, db, "s", maxCount(2))
		sub := followStream(t, db, "s", esdb.Start{})
		expect(t, sub, "b", "c", "caught up")
		write(t, db, "s", esdb.Any{}, events("d", "e", "f", "g")...)
		expect(t, sub, "d", "e", "f", "g")
	})
	t.Run("a stream that ends for ever ends its subscriptions", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a")...)
		sub := followStream(t, db, "s", esdb.Start{})
		expect(t, sub, "a", "caught up")
		if _, err := db.TombstoneStream(t.Context(), "s", esdb.TombstoneStreamOptions{}); err != nil {
			t.Fatal(err)
		}
		expect(t, sub, "$streamDeleted", "dropped")
		if _, err := db.SubscribeToStream(t.Context(), "s", esdb.SubscribeToStreamOptions{}); err == nil {
			t.Error("it can be subscribed to again")
		}
	})
	t.Run("a soft-deleted stream goes on with what is appended", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
		if _, err := db.DeleteStream(t.Context(), "s", esdb.DeleteStreamOptions{}); err != nil {
			t.Fatal(err)
		}
		sub := followStream(t, db, "s", esdb.Start{})
		expect(t, sub, "caught up")
		write(t, db, "s", esdb.Any{}, event("c"))
		expect(t, sub, "c")
	})
}

func TestSubscribeWithFilter(t *testing.T) {
	mixed := func(t *testing.T) *esdb.Client {
		db := start(t)
		for i := 1; i <= 10; i++ {
			kind := "odd"
			if i%2 == 0 {
				kind = "even"
			}
			write(t, db, kind+"-stream", esdb.Any{}, typed(fmt.Sprint(i), kind+"-event"))
		}
		return db
	}
	for _, c := range []struct {
		clause string
		filter esdb.SubscriptionFilter
		want   []string // the checkpoint is where the only page began, or at the last event
	}{
		{"type prefix", esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"ev", "x"}}, []string{"2", "4", "6", "8", "10", "checkpoint 10"}},
		{"type pattern", esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "^o.*-event$"}, []string{"1", "3", "5", "7", "9", "checkpoint 9"}},
		{"stream prefix", esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"odd-"}}, []string{"1", "3", "5", "7", "9", "checkpoint 9"}},
		{"stream pattern", esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "even"}, []string{"2", "4", "6", "8", "10", "checkpoint 10"}},
		{"several prefixes", esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"odd", "even"}}, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "checkpoint 10"}},
		{"nothing matches", esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"none"}}, []string{"checkpoint 0"}},
	} {
		t.Run(c.clause, func(t *testing.T) {
			sub := followAll(t, mixed(t), esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: &c.filter})
			expect(t, sub, append(c.want, "caught up")...)
		})
	}
	odd := &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"odd"}}
	t.Run("a checkpoint at the last event of a page that ends an interval, and at the end of history", func(t *testing.T) {
		db := mixed(t)
		sub := followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: odd, MaxSearchWindow: 2, CheckpointInterval: 2})
		expect(t, sub, "1", "3", "checkpoint 3", "5", "7", "checkpoint 7", "9", "checkpoint 9", "caught up")
		for i := 11; i <= 18; i++ { // live: every four, none of them matches
			write(t, db, "even-stream", esdb.Any{}, typed(fmt.Sprint(i), "even-event"))
		}
		expect(t, sub, "checkpoint 14", "checkpoint 18")
	})
	t.Run("a checkpoint where a page begins in which nothing matches", func(t *testing.T) {
		none := &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"none"}}
		sub := followAll(t, mixed(t), esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: none, MaxSearchWindow: 4, CheckpointInterval: 1})
		expect(t, sub, "checkpoint 5", "checkpoint 9", "caught up")
	})
	t.Run("no checkpoint twice where the interval ends with history", func(t *testing.T) {
		sub := followAll(t, mixed(t), esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: odd, MaxSearchWindow: 5, CheckpointInterval: 1})
		expect(t, sub, "1", "3", "5", "checkpoint 5", "7", "9", "checkpoint 9", "caught up")
	})
	t.Run("resumed from a checkpoint, nothing is missed or repeated", func(t *testing.T) {
		db := mixed(t)
		first := followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: odd, MaxSearchWindow: 4, CheckpointInterval: 1})
		expect(t, first, "1", "3", "checkpoint 3")
		_ = first.Close()
		again := followAll(t, db, esdb.SubscribeToAllOptions{From: at(3), Filter: odd})
		expect(t, again, "5", "7", "9", "checkpoint 9", "caught up")
	})
	t.Run("no checkpoint for who begins at the end", func(t *testing.T) {
		expect(t, followAll(t, mixed(t), esdb.SubscribeToAllOptions{From: at(10), Filter: odd}), "caught up")
	})
	t.Run("without system events", func(t *testing.T) {
		db := start(t)
		describe(t, db, "s", maxCount(2))
		write(t, db, "s", esdb.NoStream{}, event("a"))
		sub := followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: esdb.ExcludeSystemEventsFilter()})
		expect(t, sub, "a", "checkpoint 2", "caught up")
	})
	t.Run("a pattern that is none is refused", func(t *testing.T) {
		bad := &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "("}
		if _, err := start(t).SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{Filter: bad}); err == nil {
			t.Error("it was taken")
		}
	})
}

// TestASlowSubscriberCostsLittleAndLosesNothing has one stop reading while far more is written than a page or a connection
// holds.
func TestASlowSubscriberCostsLittleAndLosesNothing(t *testing.T) {
	const total, batch = 100_000, 1000
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	reader, writer := connect(t, dir), connect(t, dir)
	data := make([]byte, 300)
	fill := func(stream string) {
		for range total / batch {
			many := make([]esdb.EventData, batch)
			for i := range many {
				many[i] = esdb.EventData{EventID: uuid.New(), EventType: "noted.v1", ContentType: esdb.ContentTypeBinary, Data: data}
			}
			write(t, writer, stream, esdb.Any{}, many...)
		}
	}
	fill("before") // so that what is remembered of writing is remembered already
	sub := followStream(t, reader, "s", esdb.Start{})
	expect(t, sub, "caught up")
	before := heapBytes()
	fill("s")
	grown := heapBytes() - before
	t.Logf("heap: %d KiB, and %d KiB more with %d events unread", before>>10, grown>>10, total)
	if grown > 4<<20 {
		t.Errorf("%d bytes", grown)
	}
	for next := uint64(0); next < total; {
		m := sub.Recv()
		switch {
		case m.CaughtUp != nil:
		case m.EventAppeared != nil && m.EventAppeared.Event.EventNumber == next:
			next++
		default:
			t.Fatalf("event %d: got %s", next, describeReceived(m))
		}
	}
	expect(t, sub, "caught up")
}

// heapBytes is what the process, server and clients, holds in memory that Go manages.
func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestSubscriptionsLeaveNothingBehind begins and ends subscriptions of every kind, from both ends, ten thousand times.
func TestSubscriptionsLeaveNothingBehind(t *testing.T) {
	const rounds, clients = 10_000, 8
	db := start(t)
	write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
	subscribe := func(ctx context.Context, round int) (*esdb.Subscription, error) {
		switch round % 3 {
		case 0:
			return db.SubscribeToStream(ctx, "s", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		case 1:
			return db.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.End{}, Filter: esdb.ExcludeSystemEventsFilter()})
		}
		return db.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	}
	warm, err := subscribe(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = warm.Close()
	before := runtime.NumGoroutine()
	var round atomic.Int64
	var subscribing sync.WaitGroup
	for range clients {
		subscribing.Go(func() {
			for i := int(round.Add(1)); i <= rounds; i = int(round.Add(1)) {
				ctx, cancel := context.WithCancel(t.Context())
				sub, err := subscribe(ctx, i)
				if err != nil {
					t.Error(err)
					cancel()
					return
				}
				if i%2 == 0 {
					sub.Recv()
				}
				if i%5 == 0 { // the call ends before the subscription does
					cancel()
				}
				_ = sub.Close()
				cancel()
			}
		})
	}
	subscribing.Wait()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}
