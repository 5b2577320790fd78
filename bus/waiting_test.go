package bus_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/bus"
	"loyalty/bus/bustest"
)

// refusing is a broker that refuses our login, until it doesn't.
type refusing struct {
	message.Subscriber
	message.Publisher
	right    atomic.Bool
	attempts atomic.Int64
	left     atomic.Int64
}

var errLogin = errors.New("WRONGPASS invalid username-password pair or user is disabled")

// Subscribe leaves a goroutine until its context ends, as the subscriber of Redis Streams does.
func (r *refusing) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	r.attempts.Add(1)
	if r.right.Load() {
		return r.Subscriber.Subscribe(ctx, topic)
	}
	r.left.Add(1)
	go func() {
		<-ctx.Done()
		r.left.Add(-1)
	}()
	return nil, errLogin
}

func (r *refusing) Publish(topic string, m ...*message.Message) error {
	r.attempts.Add(1)
	if r.right.Load() {
		return r.Publisher.Publish(topic, m...)
	}
	return errLogin
}

func (*refusing) Close() error { return nil }

// Given a broker that refuses our login when a process starts, and again once commands are under way
// Then the intake waits it out, with a line a second of each thing at most and nothing left running, and then every command has its result.
func TestALoginRefusedIsWaitedOut(t *testing.T) {
	broker := goChannel(t)
	r := &refusing{Subscriber: broker.Subscriber(), Publisher: broker.Publisher}
	s := bustest.NewSystem(t, broker)
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	log := new(bytes.Buffer) // the handler of slog guards it
	began := time.Now()
	stop := s.Start(func(o *bus.IntakeOptions) {
		o.Subscriber, o.Publisher, o.Logger = r, r, slog.New(slog.NewTextHandler(log, nil))
	})
	id := s.Send(bustest.Mug("o-1", "alice"))
	bustest.WaitFor(t, "several attempts", func() bool { return r.attempts.Load() > 6 })
	if n := r.left.Load(); n > 1 {
		t.Errorf("%d failed subscriptions go on", n)
	}
	r.right.Store(true)
	results.Result(id)
	r.right.Store(false)
	id = s.Send(bustest.Mug("o-2", "alice"))
	bustest.WaitFor(t, "the order", func() bool { return s.Stored("order-store.o-2") == 2 })
	before := r.attempts.Load()
	bustest.WaitFor(t, "several attempts at its result", func() bool { return r.attempts.Load() > before+6 })
	r.right.Store(true)
	if got := results.Result(id); got.Status != bus.Placed {
		t.Errorf("got %+v", got)
	}
	stop()
	if n := len(poison.All()); n != 0 {
		t.Errorf("%d are poisoned", n)
	}
	lines, seconds := strings.Count(log.String(), "\n"), int(time.Since(began)/time.Second)
	if lines == 0 || lines > 2*(seconds+1) {
		t.Errorf("%d lines in %d s:\n%s", lines, seconds, log)
	}
	for runtime.Gosched(); r.left.Load() > 0; runtime.Gosched() {
		if t.Context().Err() != nil {
			t.Fatal("failed subscriptions go on")
		}
	}
}
