package bustest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"loyalty/bus"
	"loyalty/commands"
	"loyalty/domain"
)

// Run runs every clause, each on an empty broker that open returns.
func Run(t *testing.T, open func(testing.TB) Broker) {
	clauses := []struct {
		name  string
		check func(*testing.T, *System)
	}{
		{"each command is appended once and has a result with its correlation", eachCommandHasAResult},
		{"the same number of two channels is two orders, and either takes back what the other sold", numbersOfTwoChannels},
		{"a command sent twice is appended once, and the second result says so", sentTwice},
		{"what can't be read is poisoned unchanged, with its problem", unreadable},
		{"a command of an unknown name is poisoned", unknownName},
		{"a command that is too large is poisoned without its content", tooLarge},
		{"a command that finds the poison topic full is answered and discarded", poisonFull},
		{"an id used with other content is a conflict and poisoned", conflict},
		{"a return of more than was paid is poisoned", returnsTooMuch},
		{"a return that comes before its order waits for it", returnBeforeOrder},
		{"a return whose order never comes is poisoned", returnWithoutOrder},
		{"an adjustment above the limit waits for a second person", adjustmentAboveLimit},
		{"a temporary failure is retried until it ends", unavailableForAWhile},
		{"a command whose store is away for long lets others pass", lettingOthersPass},
		{"a failure that nobody knows is waited for as long as it lasts, and lets others pass", unknownFailure},
		{"a panic is poisoned, and the next command is carried out", panics},
		{"a command appended and not acknowledged is delivered again, and counts once", diesBeforeAcknowledging},
		{"a stop does not wait for a store that is away", stopsWhileUnavailable},
		{"a result that can't be published holds back the acknowledgement, not the append", resultsUnavailable},
	}
	for _, clause := range clauses {
		t.Run(strings.ReplaceAll(clause.name, " ", "_"), func(t *testing.T) {
			clause.check(t, NewSystem(t, open(t)))
		})
	}
}

func (s *System) check(got, want bus.Result) {
	s.t.Helper()
	points := func(p *domain.Points) domain.Points {
		if p == nil {
			return -1
		}
		return *p
	}
	if got.Status != want.Status || got.OrderID != want.OrderID || got.ReturnID != want.ReturnID || got.LoyaltyID != want.LoyaltyID ||
		got.CorrelationID != want.CorrelationID || points(got.Points) != points(want.Points) || points(got.PointsReversed) != points(want.PointsReversed) {
		s.t.Errorf("got the result\n%+v, want\n%+v", got, want)
	}
	if in := got.Position != ""; in != (got.Problem == nil) {
		s.t.Errorf("position %q with problem %+v", got.Position, got.Problem)
	}
}

func of(p domain.Points) *domain.Points { return &p }

func eachCommandHasAResult(t *testing.T, s *System) {
	results := s.Watch(s.Topics.Results)
	s.Start(nil)
	s.check(results.Result(s.Send(Mug("o-1", "alice"))), bus.Result{Status: bus.Placed, OrderID: "o-1", CorrelationID: "req-1", Points: of(13)})
	s.check(results.Result(s.Send(Back("o-1", "r-1"))), bus.Result{Status: bus.Returned, OrderID: "o-1", ReturnID: "r-1", CorrelationID: "req-1", PointsReversed: of(4)})
	s.check(results.Result(s.Send(Goodwill("alice", "l-1", -3))), bus.Result{Status: bus.Adjusted, LoyaltyID: "l-1", CorrelationID: "req-2"})
	if s.Stored("order-store.o-1") != 4 || s.Stored("account-alice") != 1 {
		t.Errorf("stored %d and %d events", s.Stored("order-store.o-1"), s.Stored("account-alice"))
	}
	events, _, err := s.Store.Load(Bounded(t), "order-store.o-1")
	if err != nil || events[0].Metadata.Correlation != "req-1" || events[0].Metadata.Actor != "till-7" || events[0].Metadata.Channel != domain.Store {
		t.Errorf("metadata %+v, %v", events[0].Metadata, err)
	}
}

func numbersOfTwoChannels(t *testing.T, s *System) {
	results := s.Watch(s.Topics.Results)
	s.Start(nil)
	online := Mug("o-1", "bob")
	online.Caller = commands.Caller{Actor: "shop-1", Channel: domain.Website, Correlation: "req-3", Issuer: domain.Website.Issuer()}
	s.check(results.Result(s.Send(Mug("o-1", "alice"))), bus.Result{Status: bus.Placed, OrderID: "o-1", CorrelationID: "req-1", Points: of(13)})
	s.check(results.Result(s.Send(online)), bus.Result{Status: bus.Placed, OrderID: "o-1", CorrelationID: "req-3", Points: of(13)})
	s.check(results.Result(s.Send(online)), bus.Result{Status: bus.Replayed, OrderID: "o-1", CorrelationID: "req-3", Points: of(13)})
	// A till takes back what the website sold, and then what itself sold.
	for _, id := range []string{"website.o-1", "o-1"} {
		s.check(results.Result(s.Send(Back(id, "r-1"))), bus.Result{
			Status: bus.Returned, OrderID: domain.OrderID(id), ReturnID: "r-1", CorrelationID: "req-1", PointsReversed: of(4),
		})
	}
	if s.Stored("order-website.o-1") != 4 || s.Stored("order-store.o-1") != 4 {
		t.Errorf("%d events and %d", s.Stored("order-website.o-1"), s.Stored("order-store.o-1"))
	}
}

func sentTwice(t *testing.T, s *System) {
	results := s.Watch(s.Topics.Results)
	s.Start(nil)
	first := results.Result(s.Send(Mug("o-1", "alice")))
	second := results.Result(s.Send(Mug("o-1", "alice")))
	s.check(second, bus.Result{Status: bus.Replayed, OrderID: "o-1", CorrelationID: "req-1", Points: of(13)})
	if first.Position != second.Position || s.Stored("order-store.o-1") != 2 {
		t.Errorf("positions %s and %s, %d events", first.Position, second.Position, s.Stored("order-store.o-1"))
	}
}

func unreadable(t *testing.T, s *System) {
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	s.Start(nil)
	payload := `{"orderId": "o 1", "customerId": "alice", "ItemIds": ["mug"], "paymentDetails": {"amount": "-1", "currency": "GBP"}, "channel": "store", "actor": "till-7"}`
	m := message.NewMessage(uuid.NewString(), []byte(payload))
	m.Metadata.Set(bus.MetadataName, bus.NamePlaceOrder)
	m.Metadata.Set("shop", "leeds")
	s.Publish(m)
	got := results.Result(m.UUID)
	s.check(got, bus.Result{Status: bus.Failed, CorrelationID: m.UUID})
	if got.Problem == nil || got.Problem.Code != "invalid_input" || len(got.Problem.Errors) != 2 || got.Problem.Errors[1].Field != "paymentDetails.amount" {
		t.Errorf("problem %+v", got.Problem)
	}
	poisoned := poison.Wait(1)[0]
	about := bus.ReadPoisoned(poisoned)
	if string(poisoned.Payload) != payload || poisoned.UUID != m.UUID || poisoned.Metadata.Get("shop") != "leeds" ||
		about.Code != "invalid_input" || about.Command != bus.NamePlaceOrder || about.At.IsZero() {
		t.Errorf("poisoned: %+v, %+v", poisoned, about)
	}
	if again := bus.OriginalCommand(poisoned); !again.Equals(m) {
		t.Errorf("its original is %+v, was %+v", again, m)
	}
}

func unknownName(t *testing.T, s *System) {
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	s.Start(nil)
	for _, name := range []string{"", "place-order.v9", "\x1b[31m"} {
		m := message.NewMessage(uuid.NewString(), []byte("{}"))
		m.Metadata.Set(bus.MetadataName, name)
		s.Publish(m)
		if got := results.Result(m.UUID); got.Status != bus.Failed || got.Problem == nil || got.Problem.Code != "command_unknown" {
			t.Errorf("%q: got %+v", name, got)
		}
	}
	poison.Wait(3)
}

const maxPayload = 64 << 10

// tooLarge sends a payload of a byte more than there may be, as no JSON, and then as much metadata. Whatever their names, they are not read.
func tooLarge(t *testing.T, s *System) {
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	s.Start(nil)
	for i, c := range []struct {
		name, code    string
		payload, note int
	}{
		{bus.NamePlaceOrder, "payload_too_large", maxPayload + 1, 0},
		{"place-order.v9", "payload_too_large", maxPayload + 1, 0},
		{bus.NameReturnItems, "metadata_too_large", 2, 5000},
	} {
		m := message.NewMessage(uuid.NewString(), bytes.Repeat([]byte("x"), c.payload))
		m.Metadata.Set(bus.MetadataName, c.name)
		m.Metadata.Set("note", strings.Repeat("y", c.note))
		s.Publish(m)
		if got := results.Result(m.UUID); got.Status != bus.Failed || got.Problem == nil || got.Problem.Code != c.code || !got.Discarded {
			t.Errorf("got %+v", got)
		}
		poisoned := poison.Wait(i + 1)[i]
		if about := bus.ReadPoisoned(poisoned); len(poisoned.Payload) != 0 || poisoned.Metadata.Get("note") != "" || about.CommandID != m.UUID || about.Code != c.code || !about.Discarded {
			t.Errorf("poisoned: %d bytes, %+v", len(poisoned.Payload), about)
		}
	}
}

// poisonFull has room for two. The third is in the results alone, and says so.
func poisonFull(t *testing.T, s *System) {
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	s.Start(func(o *bus.IntakeOptions) {
		o.PoisonLimit = 2
		var away atomic.Bool
		o.PoisonDepth = func(context.Context) (int64, error) {
			if !away.Swap(true) {
				return 0, errors.New("the broker is away")
			}
			return int64(len(poison.All())), nil
		}
	})
	results.Result(s.Send(Mug("o-1", "alice")))
	for i := range 4 {
		got := results.Result(s.Send(Mug("o-1", "bob")))
		if got.Status != bus.Conflict || got.Problem.Code != "conflict" || got.Discarded != (i >= 2) {
			t.Errorf("command %d: got %+v", i, got)
		}
		poison.Wait(min(i+1, 2))
	}
	if n := len(poison.All()); n != 2 {
		t.Errorf("%d are poisoned", n)
	}
}

func conflict(t *testing.T, s *System) {
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	s.Start(nil)
	results.Result(s.Send(Mug("o-1", "alice")))
	s.check(results.Result(s.Send(Mug("o-1", "bob"))), bus.Result{Status: bus.Conflict, OrderID: "o-1", CorrelationID: "req-1"})
	if about := bus.ReadPoisoned(poison.Wait(1)[0]); about.Code != "conflict" {
		t.Errorf("poisoned as %+v", about)
	}
}

func returnsTooMuch(t *testing.T, s *System) {
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	s.Start(nil)
	results.Result(s.Send(Mug("o-1", "alice")))
	back := Back("o-1", "r-1")
	back.Amount = 13000
	s.check(results.Result(s.Send(back)), bus.Result{Status: bus.Failed, OrderID: "o-1", ReturnID: "r-1", CorrelationID: "req-1"})
	if about := bus.ReadPoisoned(poison.Wait(1)[0]); about.Code != "return_exceeds_paid" {
		t.Errorf("poisoned as %+v", about)
	}
}

func returnBeforeOrder(t *testing.T, s *System) {
	results := s.Watch(s.Topics.Results)
	back := s.Send(Back("o-1", "r-1"))
	s.Start(nil)
	topic := s.Watch(s.Topics.Commands)
	topic.Wait(2) // it was requeued
	s.Send(Mug("o-1", "alice"))
	s.check(results.Result(back), bus.Result{Status: bus.Returned, OrderID: "o-1", ReturnID: "r-1", CorrelationID: "req-1", PointsReversed: of(4)})
	if s.Stored("order-store.o-1") != 4 {
		t.Errorf("%d events", s.Stored("order-store.o-1"))
	}
}

func returnWithoutOrder(t *testing.T, s *System) {
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	s.Start(func(o *bus.IntakeOptions) { o.OrderTimeout = 50 * time.Millisecond })
	s.check(results.Result(s.Send(Back("o-1", "r-1"))), bus.Result{Status: bus.Failed, OrderID: "o-1", ReturnID: "r-1", CorrelationID: "req-1"})
	if about := bus.ReadPoisoned(poison.Wait(1)[0]); about.Code != "not_found" {
		t.Errorf("poisoned as %+v", about)
	}
}

func adjustmentAboveLimit(t *testing.T, s *System) {
	results := s.Watch(s.Topics.Results)
	s.Start(func(o *bus.IntakeOptions) { o.AdjustmentLimit = 100 })
	s.check(results.Result(s.Send(Goodwill("alice", "l-1", 100))), bus.Result{Status: bus.Adjusted, LoyaltyID: "l-1", CorrelationID: "req-2"})
	s.check(results.Result(s.Send(Goodwill("alice", "l-2", 101))), bus.Result{Status: bus.Waiting, LoyaltyID: "l-2", CorrelationID: "req-2"})
	s.check(results.Result(s.Send(Goodwill("alice", "l-2", 101))), bus.Result{Status: bus.Waiting, LoyaltyID: "l-2", CorrelationID: "req-2"})
	if _, err := s.Commands.DeclineAdjustment(Bounded(t), commands.DeclineAdjustment{
		Caller: commands.Caller{Actor: "agent-2", Issuer: domain.Staff}, Customer: "alice", ID: "staff.l-2", Reason: "too much",
	}); err != nil {
		t.Fatal(err)
	}
	s.check(results.Result(s.Send(Goodwill("alice", "l-2", 101))), bus.Result{Status: bus.Declined, LoyaltyID: "l-2", CorrelationID: "req-2"})
}

// failing is a handler of commands that fails orders with the errors it is given.
type failing struct {
	bus.Commands
	tries atomic.Int64
	fail  func(try int64) error
	// after is called once the order is placed.
	after func() error
}

func (f *failing) PlaceOrder(ctx context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	if f.fail != nil {
		if err := f.fail(f.tries.Add(1)); err != nil {
			return commands.Placed{}, err
		}
	}
	placed, err := f.Commands.PlaceOrder(ctx, c)
	if err == nil && f.after != nil {
		err = f.after()
	}
	return placed, err
}

func unavailableForAWhile(t *testing.T, s *System) {
	results := s.Watch(s.Topics.Results)
	s.Start(func(o *bus.IntakeOptions) {
		o.Commands = &failing{Commands: s.Commands, fail: func(try int64) error {
			return []error{nil, domain.ErrUnavailable, context.DeadlineExceeded, domain.ErrNotCaughtUp, nil}[min(try, 4)]
		}}
	})
	s.check(results.Result(s.Send(Mug("o-1", "alice"))), bus.Result{Status: bus.Placed, OrderID: "o-1", CorrelationID: "req-1", Points: of(13)})
}

func lettingOthersPass(t *testing.T, s *System) {
	results := s.Watch(s.Topics.Results)
	var back atomic.Bool
	s.Start(func(o *bus.IntakeOptions) {
		o.Concurrency, o.RequeueAfter = 1, 10*time.Millisecond
		o.Commands = onlyFor{s.Commands, "o-1", &back, func() error { return domain.ErrUnavailable }}
	})
	first := s.Send(Mug("o-1", "alice"))
	for _, order := range []string{"o-2", "o-3", "o-4", "o-5"} {
		if got := results.Result(s.Send(Mug(order, "alice"))); got.Status != bus.Placed {
			t.Errorf("got %+v", got)
		}
	}
	back.Store(true)
	s.check(results.Result(first), bus.Result{Status: bus.Placed, OrderID: "o-1", CorrelationID: "req-1", Points: of(13)})
	if s.Stored("order-store.o-1") != 2 {
		t.Errorf("%d events", s.Stored("order-store.o-1"))
	}
}

// onlyFor is a handler that fails one order, until back is true.
type onlyFor struct {
	bus.Commands
	order domain.OrderID
	back  *atomic.Bool
	fail  func() error
}

func (o onlyFor) PlaceOrder(ctx context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	if c.Order == o.order && !o.back.Load() {
		return commands.Placed{}, o.fail()
	}
	return o.Commands.PlaceOrder(ctx, c)
}

// A command that fails for hours for an unknown reason is in nobody's way and is not put aside. Its first place in the queue it keeps for
// RequeueAfter, and then for one attempt each time.
func unknownFailure(t *testing.T, s *System) {
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	var back atomic.Bool
	var tries atomic.Int64
	s.Start(func(o *bus.IntakeOptions) {
		o.Concurrency, o.RequeueAfter = 1, 10*time.Millisecond
		o.Now = func() time.Time { return time.Unix(3600*tries.Load(), 0) }
		o.Commands = onlyFor{s.Commands, "o-1", &back, func() error { tries.Add(1); return errors.New("something new") }}
	})
	first := s.Send(Mug("o-1", "alice"))
	for _, order := range []string{"o-2", "o-3", "o-4", "o-5"} {
		if got := results.Result(s.Send(Mug(order, "alice"))); got.Status != bus.Placed {
			t.Errorf("got %+v", got)
		}
	}
	WaitFor(t, "many attempts", func() bool { return tries.Load() > 10 })
	back.Store(true)
	s.check(results.Result(first), bus.Result{Status: bus.Placed, OrderID: "o-1", CorrelationID: "req-1", Points: of(13)})
	if n := len(poison.All()); n != 0 || s.Stored("order-store.o-1") != 2 {
		t.Errorf("%d poisoned, %d events", n, s.Stored("order-store.o-1"))
	}
}

func panics(t *testing.T, s *System) {
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	s.Start(func(o *bus.IntakeOptions) {
		o.Commands = &failing{Commands: s.Commands, fail: func(try int64) error {
			if try == 1 {
				panic("a mistake of ours")
			}
			return nil
		}}
	})
	if got := results.Result(s.Send(Mug("o-1", "alice"))); got.Status != bus.Failed || got.Problem == nil || got.Problem.Code != "internal" {
		t.Errorf("got %+v", got)
	}
	poison.Wait(1)
	s.check(results.Result(s.Send(Mug("o-2", "alice"))), bus.Result{Status: bus.Placed, OrderID: "o-2", CorrelationID: "req-1", Points: of(13)})
}

// broken is a publisher that always fails.
type broken struct{ message.Publisher }

func (broken) Publish(string, ...*message.Message) error { return errors.New("the broker is away") }

func diesBeforeAcknowledging(t *testing.T, s *System) {
	results := s.Watch(s.Topics.Results)
	appended := make(chan struct{}, 1)
	// A consumer that can't publish the result acknowledges nothing. Then it stops.
	dies := s.Start(func(o *bus.IntakeOptions) {
		o.Publisher = broken{}
		o.Commands = &failing{Commands: s.Commands, after: func() error {
			select {
			case appended <- struct{}{}:
			default:
			}
			return nil
		}}
	})
	id := s.Send(Mug("o-1", "alice"))
	<-appended
	dies()
	s.Start(nil)
	s.check(results.Result(id), bus.Result{Status: bus.Replayed, OrderID: "o-1", CorrelationID: "req-1", Points: of(13)})
	if s.Stored("order-store.o-1") != 2 {
		t.Errorf("%d events", s.Stored("order-store.o-1"))
	}
}

func stopsWhileUnavailable(t *testing.T, s *System) {
	results := s.Watch(s.Topics.Results)
	tried := make(chan struct{}, 1)
	stop := s.Start(func(o *bus.IntakeOptions) {
		o.Commands = &failing{Commands: s.Commands, fail: func(int64) error {
			select {
			case tried <- struct{}{}:
			default:
			}
			return domain.ErrUnavailable
		}}
	})
	id := s.Send(Mug("o-1", "alice"))
	<-tried
	stop()
	if n := len(results.All()); n != 0 || s.Stored("order-store.o-1") != 0 {
		t.Fatalf("%d results, %d events", n, s.Stored("order-store.o-1"))
	}
	s.Start(nil)
	if got := results.Result(id); got.Status != bus.Placed {
		t.Errorf("got %+v", got)
	}
}

// flaky is a publisher that fails twice.
type flaky struct {
	message.Publisher
	tries atomic.Int64
}

func (f *flaky) Publish(topic string, m ...*message.Message) error {
	if f.tries.Add(1) < 3 {
		return errors.New("the broker is away")
	}
	return f.Publisher.Publish(topic, m...)
}

func resultsUnavailable(t *testing.T, s *System) {
	results := s.Watch(s.Topics.Results)
	s.Start(func(o *bus.IntakeOptions) { o.Publisher = &flaky{Publisher: s.Publisher} })
	s.check(results.Result(s.Send(Mug("o-1", "alice"))), bus.Result{Status: bus.Placed, OrderID: "o-1", CorrelationID: "req-1", Points: of(13)})
}
