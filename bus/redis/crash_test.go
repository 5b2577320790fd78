package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	goredis "github.com/redis/go-redis/v9"

	"loyalty/bus"
	"loyalty/bus/bustest"
	"loyalty/bus/redis"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// consumer is to a broker a process that takes commands: it has its own connection, and can crash.
type consumer struct {
	t testing.TB
	// keep stops its heartbeat.
	stop, keep, close func()
	dead              atomic.Bool
	// stuck makes the event store unavailable to it.
	stuck atomic.Bool
}

func (c *consumer) Publish(to message.Publisher, topic string, m ...*message.Message) error {
	if c.dead.Load() {
		return errDead
	}
	return to.Publish(topic, m...)
}

var errDead = errors.New("this process is dead")

// mortal is the handler and the publisher of a consumer, until it is dead.
type mortal struct {
	bus.Commands
	message.Publisher
	*consumer
}

func (m mortal) Publish(topic string, messages ...*message.Message) error {
	return m.consumer.Publish(m.Publisher, topic, messages...)
}

func (m mortal) PlaceOrder(ctx context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	if m.dead.Load() || m.stuck.Load() {
		return commands.Placed{}, domain.ErrUnavailable
	}
	return m.Commands.PlaceOrder(ctx, c)
}

// start starts a consumer of a system at an address.
func start(t testing.TB, s *bustest.System, address string) *consumer {
	t.Helper()
	b, err := redis.Open(address, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := &consumer{t: t}
	c.close = sync.OnceFunc(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	c.stop = s.Start(func(o *bus.IntakeOptions) {
		m := mortal{s.Commands, b.Publisher(), c}
		o.Commands, o.Publisher, o.Subscriber, o.Concurrency = m, m, b.Subscriber(), b.Concurrency()
	})
	ctx, cancel := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() { b.Keep(ctx, slog.New(slog.DiscardHandler)) })
	c.keep = func() { cancel(); keeping.Wait() }
	t.Cleanup(c.end)
	return c
}

// end stops it in order.
func (c *consumer) end() { c.stop(); c.keep(); c.close() }

// crash ends it at any point: it publishes and acknowledges nothing more.
func (c *consumer) crash() { c.dead.Store(true); c.end() }

func TestFiveThousandCommandsAreAppendedOnceEachWhileConsumersCrash(t *testing.T) {
	server := redistest.Start(t, "appendfsync", "no")
	address := server.URL() + "?claim_after=1s"
	b := open(t, address)
	s := bustest.NewSystem(t, brokerOf(t, b))
	results := s.Watch(s.Topics.Results)
	const all = 5000
	var sending sync.WaitGroup
	defer sending.Wait()
	for part := range 4 {
		sending.Go(func() {
			for i := part; i < all; i += 4 {
				s.Send(bustest.Mug(fmt.Sprintf("o-%d", i), fmt.Sprintf("c-%d", i%97)))
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 2))
	answered := func() int {
		orders := make(map[domain.OrderID]bool)
		for _, m := range results.All() {
			r, err := bus.DecodeResult(m)
			if err != nil || (r.Status != bus.Placed && r.Status != bus.Replayed) {
				t.Fatalf("result %+v, %v", r, err)
			}
			orders[r.OrderID] = true
		}
		return len(orders)
	}
	living := []*consumer{start(t, s, address), start(t, s, address)}
	crashes := 0
	for done := 0; done < all; done = answered() {
		bustest.WaitFor(t, "some more results", func() bool { return len(results.All()) >= min(all, done+50+random.IntN(200)) })
		if crashes < 15 {
			victim := random.IntN(len(living))
			living[victim].crash()
			living[victim] = start(t, s, address)
			crashes++
		}
	}
	for i := range all {
		if n := s.Stored(fmt.Sprintf("order-store.o-%d", i)); n != 2 {
			t.Fatalf("order o-%d has %d events", i, n)
		}
	}
	bustest.WaitFor(t, "everything acknowledged", func() bool {
		return strings.HasPrefix(server.Do("XPENDING", s.Topics.Commands, "loyalty"), "[0")
	})
	t.Logf("%d crashes, %d results for %d commands", crashes, len(results.All()), all)
}

func TestACommandStaysWithAConsumerThatLivesAndIsTakenFromADeadOne(t *testing.T) {
	server := redistest.Start(t)
	address := server.URL() + quick
	s := bustest.NewSystem(t, brokerOf(t, open(t, address)))
	results := s.Watch(s.Topics.Results)
	holding := start(t, s, address)
	holding.stuck.Store(true)
	id := s.Send(bustest.Mug("o-1", "alice"))
	redisClient := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer redisClient.Close()
	held := func() (goredis.XPendingExt, bool) {
		all, err := redisClient.XPendingExt(t.Context(), &goredis.XPendingExtArgs{Stream: s.Topics.Commands, Group: "loyalty", Start: "-", End: "+", Count: 1}).Result()
		return append(all, goredis.XPendingExt{})[0], err == nil && len(all) == 1
	}
	bustest.WaitFor(t, "the command to be held", func() bool { _, is := held(); return is })
	start(t, s, address)
	// Were it taken, its idle time would begin again.
	bustest.WaitFor(t, "the command to be held for long", func() bool { p, is := held(); return is && p.Idle > 1500*time.Millisecond })
	if p, _ := held(); p.RetryCount != 1 {
		t.Errorf("it was delivered %d times", p.RetryCount)
	}
	holding.crash()
	if got := results.Result(id); got.Status != bus.Placed {
		t.Errorf("got %+v", got)
	}
}

func TestTwoConsumersShareTheCommands(t *testing.T) {
	server := redistest.Start(t)
	address := server.URL()
	s := bustest.NewSystem(t, brokerOf(t, open(t, address)))
	results := s.Watch(s.Topics.Results)
	start(t, s, address)
	start(t, s, address)
	for i := range 200 {
		s.Send(bustest.Mug(fmt.Sprintf("o-%d", i), "alice"))
	}
	for _, m := range results.Wait(200) {
		if r, err := bus.DecodeResult(m); err != nil || r.Status != bus.Placed {
			t.Errorf("result %+v, %v", r, err)
		}
	}
	if n := strings.Count(server.Do("XINFO", "CONSUMERS", s.Topics.Commands, "loyalty"), "name"); n != 2 {
		t.Errorf("%d consumers", n)
	}
}

func TestABrokerMayBeAwayAtTheStartAndLater(t *testing.T) {
	server := redistest.Start(t, "appendfsync", "always")
	b := open(t, server.URL()+quick)
	server.Shutdown()
	s := bustest.NewSystem(t, brokerOf(t, b))
	s.Start(nil)
	server.Start()
	results := s.Watch(s.Topics.Results)
	results.Result(s.Send(bustest.Mug("o-1", "alice")))
	server.Stop()
	server.Start()
	results.Result(s.Send(bustest.Mug("o-2", "alice")))
	server.Freeze()
	server.Thaw()
	results.Result(s.Send(bustest.Mug("o-3", "alice")))
	// One that has lost its streams has lost the consumer group too.
	server.Do("FLUSHALL")
	id := s.Send(bustest.Mug("o-4", "alice"))
	again := s.Watch(s.Topics.Results)
	again.Result(id)
	for i := range 4 {
		if n := s.Stored(fmt.Sprintf("order-store.o-%d", i+1)); n != 2 {
			t.Errorf("order o-%d has %d events", i+1, n)
		}
	}
}

func TestTheEventStoreMayBeAwayForAWhile(t *testing.T) {
	server := redistest.Start(t)
	dir := t.TempDir()
	target, err := embedded.SocketTarget(dir)
	if err != nil {
		t.Fatal(err)
	}
	serve := func() (stop func()) {
		running, err := embedded.Open(t.Context(), embedded.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return sync.OnceFunc(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			if err := running.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	stop := serve()
	t.Cleanup(func() { stop() })
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.Open(t.Context(), target, registry, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s := bustest.SystemOn(t, brokerOf(t, open(t, server.URL())), store)
	results := s.Watch(s.Topics.Results)
	s.Start(nil)
	results.Result(s.Send(bustest.Mug("o-1", "alice")))
	stop()
	var ids []string
	for i := range 50 {
		ids = append(ids, s.Send(bustest.Mug(fmt.Sprintf("o-%d", i+2), "alice")))
	}
	stop = serve()
	for i, id := range ids {
		if got := results.Result(id); got.Status != bus.Placed && got.Status != bus.Replayed {
			t.Errorf("got %+v", got)
		}
		if n := s.Stored(fmt.Sprintf("order-store.o-%d", i+2)); n != 2 {
			t.Errorf("order o-%d has %d events", i+2, n)
		}
	}
}

func TestNothingRunsOnAfterClose(t *testing.T) {
	server := redistest.Start(t)
	b, err := redis.Open(server.URL(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := bustest.NewSystem(t, bustest.Broker{Publisher: b.Publisher(), Subscriber: b.Subscriber, Topics: b.Topics(), Concurrency: b.Concurrency()})
	stop := s.Start(nil)
	keeping, stopKeeping := context.WithCancel(t.Context())
	var keeper sync.WaitGroup
	keeper.Go(func() { b.Keep(keeping, slog.New(slog.DiscardHandler)) })
	s.Send(bustest.Mug("o-1", "alice"))
	bustest.WaitFor(t, "the order", func() bool { return s.Stored("order-store.o-1") == 2 })
	stop()
	stopKeeping()
	keeper.Wait()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	// Redis Streams' readers notice the end after a moment of their own.
	var left string
	t.Cleanup(func() {
		if left != "" {
			t.Logf("still running:\n%s", left)
		}
	})
	bustest.WaitFor(t, "no goroutine of the bus", func() bool { left = ofTheBus(); return left == "" })
}

// ofTheBus are the stacks of the goroutines that run for a bus.
func ofTheBus() string {
	stacks := make([]byte, 1<<20)
	var of []string
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, "loyalty/bus.") || strings.Contains(stack, "redisstream.") || strings.Contains(stack, "watermill/message.") {
			of = append(of, stack)
		}
	}
	return strings.Join(of, "\n\n")
}
