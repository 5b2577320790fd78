package commands_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

var (
	noon   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	till   = commands.Caller{Actor: "till-7", Channel: domain.Store, Correlation: "req-1", Issuer: domain.Store.Issuer()}
	agent  = commands.Caller{Actor: "agent-1", Issuer: domain.Staff}
	pounds = func(pence int64) domain.Money { return domain.Money{Minor: pence, Currency: domain.GBP} }
)

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newHandler(t testing.TB, store *eventstore.Store) *commands.Handler {
	t.Helper()
	return handlerOf(t, store, commands.Options{Policy: domain.DefaultPolicy()})
}

// handlerOf makes a handler with options, of which Now and NewID need not be set.
func handlerOf(t testing.TB, store *eventstore.Store, o commands.Options) *commands.Handler {
	t.Helper()
	o.Now, o.NewID = func() time.Time { return noon }, uuid.New
	handler, err := commands.New(store, o)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func placeMug(id domain.OrderID) commands.PlaceOrder {
	return commands.PlaceOrder{Caller: till, Order: id, Customer: "alice", Items: []string{"mug"}, Paid: pounds(12999), Method: "card"}
}

// stored is what a stream holds.
func stored(t testing.TB, store *eventstore.Store, stream string) []eventstore.Recorded {
	t.Helper()
	events, _, err := store.Load(bounded(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestAnOrderAndItsPointsAreOneAppend(t *testing.T) {
	store := storetest.Open(t)
	got, err := newHandler(t, store).PlaceOrder(bounded(t), placeMug("o-1"))
	if err != nil {
		t.Fatal(err)
	}
	events := stored(t, store, "order-store.o-1")
	if len(events) != 2 || events[0].Event.EventType() != order.TypePlaced || events[1].Event.EventType() != order.TypePointsAwarded {
		t.Fatalf("stored %+v", events)
	}
	if want := (commands.Placed{Order: "o-1", Points: 13, Position: events[1].Position}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, event := range events {
		m := event.Metadata
		if m.Actor != "till-7" || m.Channel != domain.Store || m.Correlation != "req-1" || m.Causation == "" || m.Causation != events[0].Metadata.Causation {
			t.Errorf("%s carries %+v", event.Event.EventType(), m)
		}
	}
}

func TestACommandWithoutACorrelationBeginsItsOwn(t *testing.T) {
	store := storetest.Open(t)
	command := placeMug("o-1")
	command.Correlation = ""
	if _, err := newHandler(t, store).PlaceOrder(bounded(t), command); err != nil {
		t.Fatal(err)
	}
	if m := stored(t, store, "order-store.o-1")[0].Metadata; m.Correlation == "" || m.Correlation != m.Causation {
		t.Errorf("the event carries %+v", m)
	}
}

func TestTheSameOrderAgainGivesTheFirstAnswerEvenUnderANewPolicy(t *testing.T) {
	store := storetest.Open(t)
	first, err := newHandler(t, store).PlaceOrder(bounded(t), placeMug("o-1"))
	if err != nil {
		t.Fatal(err)
	}
	generous := domain.Policy{ID: "2027-01", SpendPerPoint: map[domain.Currency]int64{domain.GBP: 100}}
	again, err := handlerOf(t, store, commands.Options{Policy: generous}).PlaceOrder(bounded(t), placeMug("o-1"))
	first.Replayed = true
	if err != nil || again != first {
		t.Errorf("got %+v, %v; want %+v", again, err, first)
	}
	if events := stored(t, store, "order-store.o-1"); len(events) != 2 {
		t.Errorf("%d events are stored, want 2", len(events))
	}
}

func TestAnOrderIDWithOtherContentIsAConflict(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	if _, err := handler.PlaceOrder(bounded(t), placeMug("o-1")); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*commands.PlaceOrder){
		"customer": func(c *commands.PlaceOrder) { c.Customer = "bob" },
		"items":    func(c *commands.PlaceOrder) { c.Items = []string{"mug", "mug"} },
		"amount":   func(c *commands.PlaceOrder) { c.Paid.Minor++ },
		"currency": func(c *commands.PlaceOrder) { c.Paid.Currency = domain.EUR },
		"method":   func(c *commands.PlaceOrder) { c.Method = "cash" },
	} {
		command := placeMug("o-1")
		change(&command)
		if _, err := handler.PlaceOrder(bounded(t), command); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("another %s: got %v, want domain.ErrConflict", name, err)
		}
	}
	if events := stored(t, store, "order-store.o-1"); len(events) != 2 {
		t.Errorf("%d events are stored, want 2", len(events))
	}
}

func TestTheSameOrderFromManyAtOnceIsPlacedOnce(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	var mu sync.Mutex
	answers := map[commands.Placed]int{}
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			got, err := handler.PlaceOrder(bounded(t), placeMug("o-1"))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[got]++
		})
	}
	all.Wait()
	at := stored(t, store, "order-store.o-1")[1].Position
	first := commands.Placed{Order: "o-1", Points: 13, Position: at}
	replayed := first
	replayed.Replayed = true
	if answers[first] != 1 || answers[replayed] != 31 {
		t.Errorf("answers were %v; want one first and 31 replays of it", answers)
	}
}

func TestAReturnTakesBackWhatItsAmountHadEarned(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	if _, err := handler.PlaceOrder(bounded(t), placeMug("o-1")); err != nil {
		t.Fatal(err)
	}
	refund := commands.ReturnItems{Caller: till, Order: "o-1", Return: "r-1", Amount: 4000, Reason: "chipped"}
	got, err := handler.ReturnItems(bounded(t), refund)
	if err != nil {
		t.Fatal(err)
	}
	events := stored(t, store, "order-store.o-1")
	if want := (commands.Returned{Return: "r-1", Points: 4, Position: events[3].Position}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}

	t.Run("the same return again gives the first answer", func(t *testing.T) {
		again, err := handler.ReturnItems(bounded(t), refund)
		want := got
		want.Replayed = true
		if err != nil || again != want {
			t.Errorf("got %+v, %v; want %+v", again, err, want)
		}
	})
	t.Run("its id with another amount is a conflict", func(t *testing.T) {
		other := refund
		other.Amount = 1
		if _, err := handler.ReturnItems(bounded(t), other); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("got %v, want domain.ErrConflict", err)
		}
	})
	t.Run("more than is left is refused", func(t *testing.T) {
		if _, err := handler.ReturnItems(bounded(t), commands.ReturnItems{Caller: till, Order: "o-1", Return: "r-2", Amount: 9000}); !errors.Is(err, domain.ErrReturnExceedsPaid) {
			t.Errorf("got %v, want domain.ErrReturnExceedsPaid", err)
		}
	})
	t.Run("of an unknown order there is nothing to return", func(t *testing.T) {
		if _, err := handler.ReturnItems(bounded(t), commands.ReturnItems{Caller: till, Order: "o-2", Return: "r-1", Amount: 1}); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("got %v, want domain.ErrNotFound", err)
		}
	})
	t.Run("nothing of these was stored", func(t *testing.T) {
		if events := stored(t, store, "order-store.o-1"); len(events) != 4 {
			t.Errorf("%d events are stored, want 4", len(events))
		}
	})
}

func TestReturnsOfOneOrderAtOnceNeverGiveBackMoreThanWasPaid(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	if _, err := handler.PlaceOrder(bounded(t), placeMug("o-1")); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var reversed domain.Points
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for {
				got, err := handler.ReturnItems(bounded(t), commands.ReturnItems{Caller: till, Order: "o-1", Return: domain.ReturnID(rune('a' + i)), Amount: 2000})
				if errors.Is(err, domain.ErrUnavailable) {
					continue // it lost every race, and is told to try again
				}
				if err != nil && !errors.Is(err, domain.ErrReturnExceedsPaid) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				reversed += got.Points
				return
			}
		})
	}
	all.Wait()
	// Six of the eight fit into 129.99; 9.99 is left, which is worth a point.
	if events := stored(t, store, "order-store.o-1"); len(events) != 2+6*2 || reversed != 12 {
		t.Errorf("%d events are stored and %d points were taken back; want 14 and 12", len(events), reversed)
	}
}

func TestAnAdjustmentIsMadeOnceForItsID(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	sorry := commands.AdjustPoints{Caller: agent, Customer: "alice", ID: "case-77", Points: 25, Reason: "late delivery"}
	first, err := handler.AdjustPoints(bounded(t), sorry)
	if err != nil {
		t.Fatal(err)
	}
	again, err := handler.AdjustPoints(bounded(t), sorry)
	first.Replayed = true
	if err != nil || again != first {
		t.Errorf("got %+v, %v; want %+v", again, err, first)
	}
	other := sorry
	other.Points = 26
	if _, err := handler.AdjustPoints(bounded(t), other); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("other points: got %v, want domain.ErrConflict", err)
	}
	sorry.ID = ""
	if got, err := handler.AdjustPoints(bounded(t), sorry); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("without an id, which can't be repeated: got %+v, %v", got, err)
	}
	sorry.Preview = true
	if got, err := handler.AdjustPoints(bounded(t), sorry); err != nil || got.Status != commands.AdjustmentMade {
		t.Errorf("a preview without an id: got %+v, %v", got, err)
	}
	events := stored(t, store, "account-alice")
	if len(events) != 1 {
		t.Fatalf("%d events are stored, want 1", len(events))
	}
	if made := events[0].Event.(account.PointsAdjusted); made.Actor != "agent-1" || made.Reason != "late delivery" || made.LoyaltyID != "staff.case-77" {
		t.Errorf("stored %+v", made)
	}
}

func TestWhatIsInvalidAppendsNothing(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	order := placeMug("o-1")
	order.Items = nil
	if _, err := handler.PlaceOrder(bounded(t), order); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("an order of nothing: got %v", err)
	}
	if _, err := handler.ReturnItems(bounded(t), commands.ReturnItems{Caller: till, Order: "o-1", Return: "r-1"}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("a return of nothing: got %v", err)
	}
	if _, err := handler.AdjustPoints(bounded(t), commands.AdjustPoints{Caller: agent, Customer: "alice", Reason: "none"}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("an adjustment by nothing: got %v", err)
	}
	if end, err := store.End(bounded(t)); err != nil || end != (domain.Position{}) {
		t.Errorf("the log ends at %s, %v; want nothing in it", end, err)
	}
	if _, err := commands.New(store, commands.Options{}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("a handler without a policy: got %v", err)
	}
	for name, o := range map[string]commands.Options{
		"MaxOrderPoints":      {MaxOrderPoints: commands.MaxPointsLimit + 1},
		"MaxAdjustmentPoints": {MaxAdjustmentPoints: -1},
	} {
		o.Policy = domain.DefaultPolicy()
		if _, err := commands.New(store, o); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s out of range: got %v", name, err)
		}
	}
}
