package commands_test

import (
	"errors"
	"testing"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// An order of £700,000,000 once stopped every read model, when two processes took one each for the same customer.
func TestTwoProcessesTakeNoOrderAboveTheLimit(t *testing.T) {
	store := storetest.Open(t)
	for _, process := range []*commands.Handler{newHandler(t, store), newHandler(t, store)} {
		huge := placeMug("big")
		huge.Paid = pounds(700_000_000_00)
		wantOverLimit(t, process, huge, domain.ErrOrderPoints, 10_000)
		huge.Paid = pounds(100_005_00)
		wantOverLimit(t, process, huge, domain.ErrOrderPoints, 10_000)
	}
	if events := stored(t, store, "order-store.big"); len(events) != 0 {
		t.Errorf("stored %+v", events)
	}
	most := placeMug("most")
	most.Paid = pounds(100_004_99)
	if placed, err := newHandler(t, store).PlaceOrder(bounded(t), most); err != nil || placed.Points != 10_000 {
		t.Errorf("at the limit: got %+v, %v", placed, err)
	}
}

func wantOverLimit(t testing.TB, h *commands.Handler, c commands.PlaceOrder, kind error, limit domain.Points) {
	t.Helper()
	_, err := h.PlaceOrder(bounded(t), c)
	var over *domain.PointsLimitError
	if !errors.As(err, &over) || over.Kind != kind || over.Limit != limit {
		t.Errorf("%s: got %v, want %v at %d", c.Paid, err, kind, limit)
	}
}

// limited is a handler of a process with other limits.
func limited(t testing.TB, store *eventstore.Store, most domain.Points) *commands.Handler {
	t.Helper()
	return handlerOf(t, store, commands.Options{Policy: domain.DefaultPolicy(), MaxOrderPoints: most, MaxAdjustmentPoints: most})
}

func TestWhatWasStoredUnderAnotherLimitIsAnsweredAsTheFirstTime(t *testing.T) {
	store := storetest.Open(t)
	before, now := limited(t, store, commands.MaxPointsLimit), limited(t, store, 10)
	// Given an order and an adjustment above today's limit
	first, err := before.PlaceOrder(bounded(t), placeMug("o-1"))
	if err != nil {
		t.Fatal(err)
	}
	gift := commands.AdjustPoints{Caller: agent, Customer: "alice", ID: "a-1", Points: commands.MaxPointsLimit, Reason: "why"}
	given, err := before.AdjustPoints(bounded(t), gift)
	if err != nil {
		t.Fatal(err)
	}
	// When they come again, the answer is the first one
	again, err := now.PlaceOrder(bounded(t), placeMug("o-1"))
	first.Replayed = true
	if err != nil || again != first {
		t.Errorf("the order: got %+v, %v; want %+v", again, err, first)
	}
	givenAgain, err := now.AdjustPoints(bounded(t), gift)
	given.Replayed = true
	if err != nil || givenAgain != given {
		t.Errorf("the adjustment: got %+v, %v; want %+v", givenAgain, err, given)
	}
	// But their ids with other content conflict, and others are over the limit
	other := placeMug("o-1")
	other.Paid = pounds(200_00)
	if _, err := now.PlaceOrder(bounded(t), other); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("the order's id with another amount: got %v", err)
	}
	wantOverLimit(t, now, placeMug("o-2"), domain.ErrOrderPoints, 10)
	gift.ID = "a-2"
	if _, err := now.AdjustPoints(bounded(t), gift); !errors.Is(err, domain.ErrAdjustmentPoints) {
		t.Errorf("another adjustment: got %v", err)
	}
}

func TestAnAdjustmentAboveTheLimitIsNotEvenRequestedButOneRequestedUnderAnotherIsApproved(t *testing.T) {
	store := storetest.Open(t)
	before, now := limited(t, store, 5000), limited(t, store, 2000)
	if _, err := before.AdjustPoints(bounded(t), large("a-1")); err != nil {
		t.Fatal(err)
	}
	if _, err := now.AdjustPoints(bounded(t), large("a-2")); !errors.Is(err, domain.ErrAdjustmentPoints) {
		t.Errorf("a request above the limit: got %v", err)
	}
	if made, err := now.ApproveAdjustment(bounded(t), approval(second, "a-1")); err != nil || made.Status != commands.AdjustmentMade {
		t.Errorf("the approval: got %+v, %v", made, err)
	}
}
