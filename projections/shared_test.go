package projections_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/eventstore/reading"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
)

// cost is what the projections of one process cost the event store once they have caught up.
type cost struct {
	// subscriptions are open, sent the messages that the store sent for some new events, and reads the calls for each look at the end of the log.
	subscriptions int
	sent          int64
	reads         float64
}

// costOf runs some boards in one process and appends events once they have caught up.
func costOf(t *testing.T, boards, events int) (c cost) {
	t.Helper()
	_, target := storetest.Start(t)
	direct := storetest.Connect(t, target)
	adjust(t, direct, "alice", 0, 1)
	front := storetest.InFrontOf(t, target)
	store := storetest.Connect(t, front.Target)
	var others, reads atomic.Int64
	front.Answer(func(call *storetest.Call) error {
		if call.Method == storetest.MethodRead && call.Subscribes() {
			return call.Pass()
		}
		others.Add(1)
		defer others.Add(-1)
		reads.Add(1)
		return call.Pass()
	})
	lists := make([]*list, boards)
	share := func(heartbeat time.Duration) (runners []*projections.Runner, stop func()) {
		shared := reading.NewShared(store, reading.Options{Heartbeat: heartbeat})
		var stops []func() error
		for i := range lists {
			lists[i] = &list{}
			runner, stop := run(t, lists[i], store, projections.Options{Reading: shared})
			runners, stops = append(runners, runner), append(stops, stop)
		}
		for _, runner := range runners {
			storetest.WaitFor(t, "they have caught up", func() bool { return runner.Status().Live })
		}
		storetest.WaitFor(t, "they share", func() bool { return store.Subscriptions() == 1 && others.Load() == 0 })
		return runners, func() {
			for _, stop := range stops {
				_ = stop()
			}
		}
	}
	runners, stop := share(time.Hour)
	before := front.Passed()
	for i := range events {
		adjust(t, direct, "alice", i+1, domain.Points(i+2))
	}
	for i, runner := range runners {
		storetest.WaitFor(t, "all events", func() bool { return runner.Status().Applied == uint64(events+1) })
		if _, _, points := lists[i].state(); cmp.Diff(numbers(events+1), points) != "" {
			t.Errorf("board %d has %v", i, points)
		}
	}
	c.subscriptions, c.sent = store.Subscriptions(), front.Passed()-before
	stop()
	if n := store.Subscriptions(); n != 0 {
		t.Errorf("no projection is left, and %d subscriptions are open", n)
	}
	_, stop = share(20 * time.Millisecond)
	defer stop()
	const beats = 10
	begun := reads.Load()
	for range beats {
		_, asOf, _ := lists[0].state()
		storetest.WaitFor(t, "a newer proof", func() bool { _, now, _ := lists[0].state(); return now.After(asOf) })
	}
	c.reads = float64(reads.Load()-begun) / beats
	return c
}

// Given a process with five boards, and one with a single board
// When they have caught up and events come, or none come
// Then both have one subscription, are sent each event once, and look at the end of the log equally often.
func TestFiveBoardsCostTheEventStoreWhatOneDoes(t *testing.T) {
	const events = 200
	one, five := costOf(t, 1, events), costOf(t, 5, events)
	t.Logf("one: %+v; five: %+v", one, five)
	if one.subscriptions != 1 || five.subscriptions != 1 {
		t.Errorf("one board has %d subscriptions, five have %d", one.subscriptions, five.subscriptions)
	}
	if most := int64(events + 20); one.sent > most || five.sent > most {
		t.Errorf("of %d events, one board was sent %d messages and five %d", events, one.sent, five.sent)
	}
	if most := 2.0; one.reads > most || five.reads > most { // one a heartbeat, and some that began before
		t.Errorf("one board looks at the end %.1f times a heartbeat, five %.1f times", one.reads, five.reads)
	}
}
