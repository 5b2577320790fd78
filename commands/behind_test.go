package commands_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// afterAnElection is a store with an order and an account, whose server shows no stream to the first so many reads, though it checks appends
// against all that is stored. pauses counts the store's pauses.
func afterAnElection(t *testing.T, reads int64) (handler *commands.Handler, pauses *atomic.Int64) {
	t.Helper()
	_, target := storetest.Start(t)
	before := newHandler(t, storetest.Connect(t, target))
	if _, err := before.PlaceOrder(bounded(t), placeMug("o-1")); err != nil {
		t.Fatal(err)
	}
	if _, err := before.ReturnItems(bounded(t), returnMug); err != nil {
		t.Fatal(err)
	}
	if _, err := before.AdjustPoints(bounded(t), goodwill); err != nil {
		t.Fatal(err)
	}
	front := storetest.InFrontOf(t, target)
	var behind atomic.Int64
	front.Answer(func(c *storetest.Call) error {
		ours := strings.HasPrefix(c.Stream(), "order-store.") || strings.HasPrefix(c.Stream(), "account-")
		if c.Method == storetest.MethodRead && ours && behind.Add(1) <= reads {
			return c.StreamNotFound()
		}
		return c.Pass()
	})
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	pauses = new(atomic.Int64)
	store, err := eventstore.Open(t.Context(), front.Target, registry, eventstore.Options{Backoff: func(int) time.Duration {
		pauses.Add(1)
		return time.Millisecond
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return newHandler(t, store), pauses
}

var (
	returnMug = commands.ReturnItems{Caller: till, Order: "o-1", Return: "r-1", Amount: 100}
	goodwill  = commands.AdjustPoints{Caller: agent, Customer: "alice", ID: "l-1", Points: 5, Reason: "goodwill"}
)

// again carries out once more what was carried out before.
var again = map[string]func(context.Context, *commands.Handler) (replayed bool, err error){
	"an order": func(ctx context.Context, h *commands.Handler) (bool, error) {
		placed, err := h.PlaceOrder(ctx, placeMug("o-1"))
		return placed.Replayed && placed.Points == 13, err
	},
	"an adjustment": func(ctx context.Context, h *commands.Handler) (bool, error) {
		adjusted, err := h.AdjustPoints(ctx, goodwill)
		return adjusted.Replayed && adjusted.Points == 5, err
	},
}

// Given a new leader whose reads are behind what it checks appends against
// When a command comes again
// Then it pauses and looks again, until the reads have caught up, and gives the first answer.
func TestACommandLooksAgainWhileReadsAreBehindAppends(t *testing.T) {
	for what, carryOut := range again {
		t.Run(what, func(t *testing.T) {
			handler, pauses := afterAnElection(t, 3)
			if replayed, err := carryOut(bounded(t), handler); err != nil || !replayed {
				t.Errorf("replayed: %t, %v", replayed, err)
			}
			if pauses.Load() != 3 {
				t.Errorf("it paused %d times", pauses.Load())
			}
		})
	}
}

// Given a new leader whose reads stay behind
// When a command comes again
// Then it ends with domain.ErrUnavailable, which says why, after a bounded number of attempts, or with its time.
func TestACommandGivesUpOnReadsThatStayBehind(t *testing.T) {
	for what, carryOut := range again {
		t.Run(what, func(t *testing.T) {
			handler, pauses := afterAnElection(t, 1<<40)
			_, err := carryOut(bounded(t), handler)
			if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "another revision") {
				t.Errorf("got %v", err)
			}
			if n := pauses.Load(); n == 0 || n > 20 {
				t.Errorf("it paused %d times", n)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := carryOut(ended, handler); err == nil {
				t.Error("it goes on after its time")
			}
		})
	}
}

// Given a server that has stored an append and can't tell in time
// When it says so to more attempts than a store makes otherwise
// Then the command is tried again with the same ids for as long as it has time, and its event is stored once.
func TestAnAppendOfUnknownOutcomeIsRepeatedWithinTheCommandsTime(t *testing.T) {
	_, target := storetest.Start(t)
	front := storetest.InFrontOf(t, target)
	store := storetest.Connect(t, front.Target)
	var appends atomic.Int64
	timesOut := func(times int64) {
		appends.Store(0)
		front.Answer(func(c *storetest.Call) error {
			if c.Method != storetest.MethodAppend || appends.Add(1) > times {
				return c.Pass()
			}
			if err := c.Swallow(); err != nil {
				return err
			}
			return storetest.Refused(codes.Aborted, "Operation timed out: Commit phase timeout.")
		})
	}
	timesOut(6)
	placed, err := newHandler(t, store).PlaceOrder(bounded(t), placeMug("o-1"))
	if err != nil || placed.Replayed || placed.Points != 13 {
		t.Errorf("got %+v, %v", placed, err)
	}
	if n := len(stored(t, store, "order-store.o-1")); n != 2 || appends.Load() != 7 {
		t.Errorf("%d events after %d appends", n, appends.Load())
	}

	timesOut(1 << 40)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := newHandler(t, store).PlaceOrder(ctx, placeMug("o-2")); !errors.Is(err, domain.ErrUnavailable) || ctx.Err() == nil {
		t.Errorf("while there is time left: %v", err)
	}
	// Who has set no bound is told after the attempts that every call gets.
	timesOut(1 << 40)
	if _, err := newHandler(t, store).PlaceOrder(t.Context(), placeMug("o-3")); !errors.Is(err, domain.ErrUnavailable) || appends.Load() != 5 {
		t.Errorf("without a bound: %v after %d appends", err, appends.Load())
	}
}
