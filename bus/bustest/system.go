// Package bustest is the contract of the bus: clauses that hold on any Watermill publisher and subscriber that it can use.
package bustest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"loyalty/bus"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// Broker is a broker for a test.
type Broker struct {
	Publisher message.Publisher
	// Subscriber returns a new consumer. Each message is delivered to one of them. The broker's own cleanup closes them.
	Subscriber func() message.Subscriber
	// Reader delivers every message ever published to each of its subscriptions.
	Reader message.Subscriber
	Topics bus.Topics
	// Concurrency is 1 for a broker that has no consumer groups.
	Concurrency int
}

// timeout bounds every wait. None takes nearly as long.
const timeout = time.Minute

// Bounded is the context of a test, with a timeout.
func Bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return ctx
}

// WaitFor waits until a condition holds, or fails the test.
func WaitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s", what)
		}
	}
}

// System is an event store, a handler of commands and a broker.
type System struct {
	t testing.TB
	Broker
	Store    *eventstore.Store
	Commands *commands.Handler
}

// NewSystem returns a System with its own event store.
func NewSystem(t testing.TB, b Broker) *System {
	t.Helper()
	return SystemOn(t, b, storetest.Open(t))
}

// SystemOn returns a System on an event store.
func SystemOn(t testing.TB, b Broker, store *eventstore.Store) *System {
	t.Helper()
	handler, err := commands.New(store, commands.Options{Policy: domain.DefaultPolicy(), Now: time.Now, NewID: uuid.New})
	if err != nil {
		t.Fatal(err)
	}
	return &System{t: t, Broker: b, Store: store, Commands: handler}
}

// Start starts an intake with changed options. It returns a function that stops it and waits, which the end of the test does too.
func (s *System) Start(change func(*bus.IntakeOptions)) (stop func()) {
	s.t.Helper()
	o := bus.IntakeOptions{
		Commands: s.Commands, Publisher: s.Publisher, Topics: s.Topics, Concurrency: s.Concurrency,
		RequeueDelay: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	if o.Subscriber == nil {
		o.Subscriber = s.Subscriber()
	}
	intake, err := bus.NewIntake(o)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- intake.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// Send publishes a command and returns the id of its message.
func (s *System) Send(command any) string {
	s.t.Helper()
	m, err := bus.Marshaler{}.Marshal(command)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Publish(m)
	return m.UUID
}

// Publish publishes a message as a command.
func (s *System) Publish(m *message.Message) {
	s.t.Helper()
	if err := s.Publisher.Publish(s.Topics.Commands, m); err != nil {
		s.t.Fatal(err)
	}
}

// Watch collects the messages of a topic, those that are there and those that come.
func (s *System) Watch(topic string) *Watched {
	s.t.Helper()
	messages, err := s.Reader.Subscribe(s.t.Context(), topic)
	if err != nil {
		s.t.Fatal(err)
	}
	w := &Watched{t: s.t}
	var reading sync.WaitGroup
	reading.Go(func() {
		for m := range messages {
			w.add(m)
			m.Ack()
		}
	})
	// The test's context ends before its cleanup begins.
	s.t.Cleanup(reading.Wait)
	return w
}

// Watched has the messages of a topic so far.
type Watched struct {
	t        testing.TB
	mu       sync.Mutex
	messages []*message.Message
}

func (w *Watched) add(m *message.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages = append(w.messages, m)
}

// All are the messages so far.
func (w *Watched) All() []*message.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*message.Message(nil), w.messages...)
}

// Wait waits for n messages, and returns all there are.
func (w *Watched) Wait(n int) []*message.Message {
	w.t.Helper()
	WaitFor(w.t, fmt.Sprintf("%d messages", n), func() bool { return len(w.All()) >= n })
	return w.All()
}

// Result waits until a command has a result, and returns the last it has.
func (w *Watched) Result(id string) bus.Result {
	w.t.Helper()
	var found bus.Result
	WaitFor(w.t, "the result of "+id, func() bool {
		for _, m := range w.All() {
			r, err := bus.DecodeResult(m)
			if err != nil {
				w.t.Fatal(err)
			}
			if r.CommandID == id {
				found = r
			}
		}
		return found.CommandID == id
	})
	return found
}

// Events waits for n integration events, and returns all there are.
func (w *Watched) Events(n int) []bus.IntegrationEvent {
	w.t.Helper()
	var events []bus.IntegrationEvent
	for _, m := range w.Wait(n) {
		e, err := bus.DecodeEvent(m)
		if err != nil {
			w.t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// Stored is the number of events in a stream.
func (s *System) Stored(stream string) int {
	s.t.Helper()
	events, _, err := s.Store.Load(Bounded(s.t), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(events)
}

// Till is the caller of the commands below.
var Till = commands.Caller{Actor: "till-7", Channel: domain.Store, Correlation: "req-1", Issuer: domain.Store.Issuer()}

// Mug is an order of a mug for £129.99, which earns 13 points.
func Mug(order, customer string) commands.PlaceOrder {
	return commands.PlaceOrder{
		Caller: Till, Order: domain.OrderID(order), Customer: domain.CustomerID(customer), Items: []string{"mug"},
		Paid: domain.Money{Minor: 12999, Currency: domain.GBP}, Method: "card",
	}
}

// Back is a return of £40.00, which takes back 4 points of a mug.
func Back(order, id string) commands.ReturnItems {
	return commands.ReturnItems{Caller: Till, Order: domain.OrderID(order), Return: domain.ReturnID(id), Amount: 4000, Reason: "too small"}
}

// Goodwill is an adjustment of points.
func Goodwill(customer, id string, points domain.Points) commands.AdjustPoints {
	return commands.AdjustPoints{
		Caller:   commands.Caller{Actor: "agent-1", Correlation: "req-2", Issuer: domain.Staff},
		Customer: domain.CustomerID(customer), ID: domain.LoyaltyID(id), Points: points, Reason: "a late parcel",
	}
}
