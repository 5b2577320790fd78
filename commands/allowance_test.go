package commands_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

const allowanceToday = "allowance-2026-11-22.agent-1"

// alone is an adjustment that its caller may make alone while what they give or take on a day is at most 2,000.
func alone(customer domain.CustomerID, id domain.LoyaltyID, points domain.Points) commands.AdjustPoints {
	return commands.AdjustPoints{Caller: agent, Customer: customer, ID: id, Points: points, Reason: "lost parcel", Limit: 500, DayLimit: 2000}
}

// used is the sum of what a stream of allowances holds, and the number of its events.
func used(t testing.TB, store *eventstore.Store, stream string) (sum domain.Points, events int) {
	t.Helper()
	var state account.Allowance
	all := stored(t, store, stream)
	for _, recorded := range all {
		state = account.EvolveAllowance(state, recorded.Event)
	}
	return state.Used, len(all)
}

func TestWhatIsBeyondTheDaysAllowanceWaitsForASecondPerson(t *testing.T) {
	store := storetest.Open(t)
	now := noon
	handler, err := commands.New(store, commands.Options{Policy: domain.DefaultPolicy(), Now: func() time.Time { return now }, NewID: uuid.New})
	if err != nil {
		t.Fatal(err)
	}
	adjust := func(c commands.AdjustPoints, want commands.AdjustmentStatus) commands.Adjusted {
		t.Helper()
		got, err := handler.AdjustPoints(bounded(t), c)
		if err != nil || got.Status != want {
			t.Errorf("%s: got %+v, %v; want it %s", c.ID, got, err, want)
		}
		return got
	}
	// Given somebody who gave and took 1,800 points alone today, of different customers
	for i, points := range []domain.Points{500, -500, 500, 300} {
		adjust(alone(domain.CustomerID(fmt.Sprint("c-", i)), "a-1", points), commands.AdjustmentMade)
	}
	// Then a preview says that 201 more would wait, and 200 would not, and uses nothing
	for points, want := range map[domain.Points]commands.AdjustmentStatus{201: commands.AdjustmentWaiting, -200: commands.AdjustmentMade} {
		preview := alone("alice", "", points)
		preview.Preview = true
		adjust(preview, want)
	}
	// And so it is; what needs a second person anyway uses nothing
	adjust(alone("alice", "a-2", 201), commands.AdjustmentWaiting)
	adjust(alone("alice", "a-3", 501), commands.AdjustmentWaiting)
	adjust(alone("alice", "a-4", 200), commands.AdjustmentMade)
	adjust(alone("alice", "a-5", 1), commands.AdjustmentWaiting)
	if got, events := used(t, store, allowanceToday); got != 2000 || events != 5 {
		t.Errorf("%d points are used by %d events", got, events)
	}
	// And what somebody else approves uses nothing of either's
	if made, err := handler.ApproveAdjustment(bounded(t), approval(second, "a-2")); err != nil || made.Status != commands.AdjustmentMade {
		t.Errorf("approved is %+v, %v", made, err)
	}
	if got, events := used(t, store, "allowance-2026-11-22.agent-2"); got != 0 || events != 0 {
		t.Errorf("whoever approved used %d", got)
	}
	// And what was made or waits is the same when it is sent again, today and tomorrow
	for range 2 {
		if again := adjust(alone("alice", "a-4", 200), commands.AdjustmentMade); !again.Replayed {
			t.Errorf("made again: %+v", again)
		}
		if again := adjust(alone("alice", "a-5", 1), commands.AdjustmentWaiting); !again.Replayed {
			t.Errorf("asked again: %+v", again)
		}
		now = noon.Add(12 * time.Hour)
	}
	// And tomorrow is another day
	adjust(alone("alice", "a-6", 500), commands.AdjustmentMade)
	if got, events := used(t, store, "allowance-2026-11-23.agent-1"); got != 500 || events != 1 {
		t.Errorf("of tomorrow %d points are used by %d events", got, events)
	}
	// And without a limit of the day nothing is noted
	free := alone("alice", "a-7", 500)
	free.Actor, free.DayLimit = "machine-1", 0
	adjust(free, commands.AdjustmentMade)
	if _, events := used(t, store, "allowance-2026-11-23.machine-1"); events != 0 {
		t.Errorf("%d events are noted of a caller without a limit", events)
	}
	event := stored(t, store, allowanceToday)[0]
	want := account.AllowanceUsed{About: domain.About{CustomerID: "c-0", OccurredAt: noon}, LoyaltyID: "staff.a-1", Points: 500, Actor: "agent-1"}
	made := stored(t, store, "account-c-0")[0]
	if event.Event != want || event.Metadata.Causation != made.Metadata.Causation || event.ID == made.ID {
		t.Errorf("noted is %+v of %+v", event.Event, event.Metadata)
	}
}

// Given two processes
// When one person sends twenty adjustments of 500 points through both at once, all for one friend or each for another
// Then four are made, and sixteen wait.
func TestTwentyAdjustmentsAtOnceAreNoMoreThanTheAllowance(t *testing.T) {
	for _, friends := range []int{1, 20} {
		_, target := storetest.Start(t)
		var handlers []*commands.Handler
		for range 2 {
			handlers = append(handlers, newHandler(t, storetest.Connect(t, target)))
		}
		var (
			sending       sync.WaitGroup
			made, waiting atomic.Int64
		)
		for i := range 20 {
			sending.Go(func() {
				c := alone(domain.CustomerID(fmt.Sprint("friend-", i%friends)), domain.LoyaltyID(fmt.Sprint("gift-", i)), 500)
				for {
					got, err := handlers[i%2].AdjustPoints(bounded(t), c)
					switch {
					case errors.Is(err, domain.ErrUnavailable) && t.Context().Err() == nil:
						continue // too many at once: repeating is safe
					case err != nil:
						t.Error(err)
					case got.Status == commands.AdjustmentMade:
						made.Add(1)
					case got.Status == commands.AdjustmentWaiting:
						waiting.Add(1)
					}
					return
				}
			})
		}
		sending.Wait()
		store := storetest.Connect(t, target)
		got, events := used(t, store, allowanceToday)
		if made.Load() != 4 || waiting.Load() != 16 || got != 2000 || events != 4 {
			t.Errorf("of %d friends: %d are made, %d wait, %d points are used by %d events", friends, made.Load(), waiting.Load(), got, events)
		}
	}
}

// Given a process that is lost after it has used the allowance, and before the points are in the account
// When the adjustment is sent again, through another
// Then it is made once, and the allowance was used once.
func TestAnAdjustmentThatIsLostMidwayUsesTheAllowanceOnce(t *testing.T) {
	_, target := storetest.Start(t)
	front := storetest.InFrontOf(t, target)
	ctx, cancel := context.WithCancel(bounded(t))
	front.Answer(func(c *storetest.Call) error {
		if c.Method == storetest.MethodAppend && strings.Contains(string(c.Request), "account-alice") {
			cancel()
			return storetest.Refused(codes.Unavailable, "gone")
		}
		return c.Pass()
	})
	if got, err := newHandler(t, storetest.Connect(t, front.Target)).AdjustPoints(ctx, alone("alice", "a-1", 500)); err == nil {
		t.Fatalf("it was made: %+v", got)
	}
	store := storetest.Connect(t, target)
	if got, _ := used(t, store, allowanceToday); got != 500 || len(stored(t, store, "account-alice")) != 0 {
		t.Fatalf("%d points are used, and the account holds %d events", got, len(stored(t, store, "account-alice")))
	}
	for i := range 2 {
		if got, err := newHandler(t, store).AdjustPoints(bounded(t), alone("alice", "a-1", 500)); err != nil || got.Status != commands.AdjustmentMade || got.Replayed != (i > 0) {
			t.Errorf("sent again it is %+v, %v", got, err)
		}
	}
	if got, events := used(t, store, allowanceToday); got != 500 || events != 1 || len(stored(t, store, "account-alice")) != 1 {
		t.Errorf("%d points are used by %d events", got, events)
	}
}
