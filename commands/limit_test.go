package commands_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// lagging is a Totals that reads the totals of customers out of the log itself, when it is waited for; until then it knows
// no more than it did. It lags as much as a read model can.
type lagging struct {
	store *eventstore.Store
	err   error
	// orders are the streams it reads beside the accounts, and waits counts how often it did.
	orders []string
	waits  int

	mu     sync.Mutex
	totals map[domain.CustomerID]domain.Points
	seen   domain.Position
}

func (l *lagging) Total(_ context.Context, customer domain.CustomerID) (domain.Points, domain.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.totals[customer], l.seen, l.err
}

func (l *lagging) Wait(ctx context.Context, position domain.Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = position
	l.totals = map[domain.CustomerID]domain.Points{}
	l.waits++
	for _, stream := range append([]string{"account-alice", "account-bob"}, l.orders...) {
		events, err := l.store.Load(ctx, stream)
		if err != nil {
			return err
		}
		for _, event := range events {
			switch e := event.Event.(type) {
			case account.PointsAdjusted:
				l.totals[e.CustomerID] += e.Points
			case order.PointsAwarded:
				l.totals[e.CustomerID] += e.Points
			}
		}
	}
	return l.err
}

func give(handler *commands.Handler, t testing.TB, customer domain.CustomerID, points domain.Points) error {
	t.Helper()
	_, err := handler.AdjustPoints(bounded(t), commands.AdjustPoints{Caller: agent, Customer: customer, Points: points, Reason: "test"})
	return err
}

func TestATotalReachesItsLimitAndNotAPointMore(t *testing.T) {
	for name, sign := range map[string]domain.Points{"upwards": 1, "downwards": -1} {
		t.Run(name, func(t *testing.T) {
			store := storetest.Open(t)
			handler := newHandler(t, store, &lagging{store: store})
			for _, step := range []struct {
				points domain.Points
				fits   bool
			}{
				{domain.MaxTotal - 10, true}, {11, false}, {10, true}, {1, false}, {-1, true}, {1, true},
			} {
				err := give(handler, t, "alice", sign*step.points)
				if step.fits && err != nil || !step.fits && !errors.Is(err, domain.ErrPointsLimit) {
					t.Errorf("%+d points: got %v; fits: %v", sign*step.points, err, step.fits)
				}
			}
			if err := give(handler, t, "bob", sign*10); err != nil {
				t.Errorf("another customer: %v", err)
			}
		})
	}
}

func TestChangesAtOnceDoNotPassTheLimitTogether(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store, &lagging{store: store})
	if err := give(handler, t, "alice", domain.MaxTotal-1000); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for {
				err := give(handler, t, "alice", 300)
				if errors.Is(err, domain.ErrUnavailable) {
					continue // it lost every race, and is told to try again
				}
				if err != nil && !errors.Is(err, domain.ErrPointsLimit) {
					t.Error(err)
				}
				return
			}
		})
	}
	all.Wait()
	if events := stored(t, store, "account-alice"); len(events) != 1+3 {
		t.Errorf("%d of 16 gifts were made, want the 3 that fit", len(events)-1)
	}
}

func TestAnOrderThatWouldPassTheLimitIsRefusedButOneMadeBeforeIsStillAnswered(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store, &lagging{store: store})
	first, err := handler.PlaceOrder(bounded(t), placeMug("o-1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := give(handler, t, "alice", domain.MaxTotal); err != nil {
		t.Fatal(err)
	}
	if _, err := handler.PlaceOrder(bounded(t), placeMug("o-2")); !errors.Is(err, domain.ErrPointsLimit) {
		t.Errorf("got %v, want domain.ErrPointsLimit", err)
	}
	again, err := handler.PlaceOrder(bounded(t), placeMug("o-1"))
	first.Replayed = true
	if err != nil || again != first {
		t.Errorf("got %+v, %v; want %+v", again, err, first)
	}
}

func TestManyOrdinaryOrdersThatTheReadModelDoesNotShowYetCountTogether(t *testing.T) {
	store := storetest.Open(t)
	totals := &lagging{store: store}
	handler := newHandler(t, store, totals)
	if err := give(handler, t, "alice", domain.MaxTotal/2); err != nil {
		t.Fatal(err)
	}
	waits := totals.waits
	total := domain.MaxTotal / 2
	for i := 0; totals.waits == waits; i++ {
		gift := placeMug(domain.OrderID(fmt.Sprint("o-", i)))
		gift.Paid = pounds(120_000_000)
		totals.orders = append(totals.orders, "order-"+string(gift.Order))
		placed, err := handler.PlaceOrder(bounded(t), gift)
		if err != nil {
			t.Fatal(err)
		}
		if total += placed.Points; total > domain.MaxTotal {
			t.Fatalf("%d points were given, and nobody asked for the exact total", total)
		}
	}
	if err := give(handler, t, "alice", domain.MaxTotal-total+1); !errors.Is(err, domain.ErrPointsLimit) {
		t.Errorf("one too many: got %v, want domain.ErrPointsLimit", err)
	}
	if err := give(handler, t, "alice", domain.MaxTotal-total); err != nil {
		t.Errorf("exactly as many as fit: %v", err)
	}
}

func TestWithoutReadModelsOrdinaryCommandsGoAheadAndHugeOnesWait(t *testing.T) {
	store := storetest.Open(t)
	for _, down := range []error{domain.ErrNotCaughtUp, domain.ErrUnavailable} {
		handler := newHandler(t, store, &lagging{store: store, err: down})
		if err := give(handler, t, "alice", 100_000); err != nil {
			t.Errorf("an ordinary one: %v", err)
		}
		if err := give(handler, t, "alice", 1_000_000); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("a huge one: got %v, want domain.ErrUnavailable", err)
		}
	}
}
