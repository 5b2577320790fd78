package commands_test

import (
	"errors"
	"sync"
	"testing"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore/storetest"
)

var second = commands.Caller{Actor: "agent-2", Issuer: domain.Staff}

// large is more than its caller may give alone.
func large(id domain.LoyaltyID) commands.AdjustPoints {
	return commands.AdjustPoints{Caller: agent, Customer: "alice", ID: id, Points: 2500, Reason: "lost parcel", Limit: 1000}
}

func approval(by commands.Caller, id domain.LoyaltyID) commands.ApproveAdjustment {
	return commands.ApproveAdjustment{Caller: by, Customer: "alice", ID: domain.FullID(domain.Staff, id)}
}

func TestALargeAdjustmentIsMadeWhenASecondPersonApproves(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)

	// When one asks for more than they may give
	asked, err := handler.AdjustPoints(bounded(t), large("case-1"))
	if err != nil || asked.Status != commands.AdjustmentWaiting || asked.Points != 2500 {
		t.Fatalf("got %+v, %v; want it to wait", asked, err)
	}
	again, err := handler.AdjustPoints(bounded(t), large("case-1"))
	asked.Replayed = true
	if err != nil || again != asked {
		t.Errorf("the same again: got %+v, %v; want %+v", again, err, asked)
	}

	// Then they can't approve it, and somebody else can, once
	if _, err := handler.ApproveAdjustment(bounded(t), approval(agent, "case-1")); !errors.Is(err, domain.ErrOwnRequest) {
		t.Errorf("their own: got %v", err)
	}
	made, err := handler.ApproveAdjustment(bounded(t), approval(second, "case-1"))
	if err != nil || made.Status != commands.AdjustmentMade || !asked.Position.Before(made.Position) {
		t.Fatalf("got %+v, %v; want it made", made, err)
	}
	again, err = handler.ApproveAdjustment(bounded(t), approval(second, "case-1"))
	made.Replayed = true
	if err != nil || again != made {
		t.Errorf("approved again: got %+v, %v; want %+v", again, err, made)
	}
	if again, err = handler.AdjustPoints(bounded(t), large("case-1")); err != nil || again != made {
		t.Errorf("asked for again: got %+v, %v; want %+v", again, err, made)
	}

	// And the stream tells who asked and who agreed
	events := stored(t, store, "account-alice")
	if len(events) != 3 {
		t.Fatalf("%d events are stored, want 3", len(events))
	}
	agreed, change := events[1].Event.(account.AdjustmentApproved), events[2].Event.(account.PointsAdjusted)
	if agreed.Actor != "agent-2" || agreed.RequestedBy != "agent-1" || change.Actor != "agent-1" || change.Points != 2500 || change.Reason != "lost parcel" {
		t.Errorf("stored %+v and %+v", agreed, change)
	}
	if events[1].Metadata.Actor != "agent-2" || events[2].Metadata.Causation != events[1].Metadata.Causation {
		t.Errorf("they carry %+v and %+v", events[1].Metadata, events[2].Metadata)
	}
	if _, err := handler.DeclineAdjustment(bounded(t), commands.DeclineAdjustment{Caller: second, Customer: "alice", ID: "staff.case-1", Reason: "too late"}); !errors.Is(err, domain.ErrDecided) {
		t.Errorf("declined afterwards: got %v", err)
	}
}

func TestADeclinedAdjustmentIsNeverMade(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	if _, err := handler.AdjustPoints(bounded(t), large("case-1")); err != nil {
		t.Fatal(err)
	}
	no := commands.DeclineAdjustment{Caller: second, Customer: "alice", ID: "staff.case-1", Reason: "no receipt"}
	got, err := handler.DeclineAdjustment(bounded(t), no)
	if err != nil || got.Status != commands.AdjustmentDeclined {
		t.Fatalf("got %+v, %v", got, err)
	}
	again, err := handler.DeclineAdjustment(bounded(t), no)
	got.Replayed = true
	if err != nil || again != got {
		t.Errorf("declined again: got %+v, %v; want %+v", again, err, got)
	}
	if again, err = handler.AdjustPoints(bounded(t), large("case-1")); err != nil || again != got {
		t.Errorf("asked for again: got %+v, %v; want %+v", again, err, got)
	}
	if _, err := handler.ApproveAdjustment(bounded(t), approval(second, "case-1")); !errors.Is(err, domain.ErrDecided) {
		t.Errorf("approved: got %v", err)
	}
	if _, err := handler.ApproveAdjustment(bounded(t), approval(second, "case-2")); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("approved what nobody asked for: got %v", err)
	}
}

func TestManyWhoApproveAtOnceMakeItOnce(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	if _, err := handler.AdjustPoints(bounded(t), large("case-1")); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			got, err := handler.ApproveAdjustment(bounded(t), approval(second, "case-1"))
			if err != nil || got.Status != commands.AdjustmentMade {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	all.Wait()
	if events := stored(t, store, "account-alice"); len(events) != 3 {
		t.Errorf("%d events are stored, want 3", len(events))
	}
}

func TestAPreviewTellsWhatWouldHappenAndAppendsNothing(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	if _, err := handler.PlaceOrder(bounded(t), placeMug("o-1")); err != nil {
		t.Fatal(err)
	}
	if _, err := handler.AdjustPoints(bounded(t), large("case-1")); err != nil {
		t.Fatal(err)
	}
	end, err := store.End(bounded(t))
	if err != nil {
		t.Fatal(err)
	}

	small, waits, agree := large("case-2"), large("case-3"), approval(second, "case-1")
	small.Points, small.Preview, waits.Preview, agree.Preview = 10, true, true, true
	for name, c := range map[string]struct {
		want commands.Adjusted
		do   func() (commands.Adjusted, error)
	}{
		"a small adjustment": {commands.Adjusted{ID: "staff.case-2", Status: commands.AdjustmentMade, Points: 10},
			func() (commands.Adjusted, error) { return handler.AdjustPoints(bounded(t), small) }},
		"a large one": {commands.Adjusted{ID: "staff.case-3", Status: commands.AdjustmentWaiting, Points: 2500},
			func() (commands.Adjusted, error) { return handler.AdjustPoints(bounded(t), waits) }},
		"an approval": {commands.Adjusted{ID: "staff.case-1", Status: commands.AdjustmentMade, Points: 2500},
			func() (commands.Adjusted, error) { return handler.ApproveAdjustment(bounded(t), agree) }},
	} {
		if got, err := c.do(); err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	refund := commands.ReturnItems{Caller: agent, Order: "store.o-1", Return: "r-1", Amount: 4000, Reason: "chipped", Preview: true}
	if got, err := handler.ReturnItems(bounded(t), refund); err != nil || got != (commands.Returned{Return: "r-1", Points: 4}) {
		t.Errorf("a return: got %+v, %v", got, err)
	}
	if _, err := handler.ReturnItems(bounded(t), commands.ReturnItems{Caller: agent, Order: "store.o-1", Return: "r-1", Amount: 99999, Preview: true}); !errors.Is(err, domain.ErrReturnExceedsPaid) {
		t.Errorf("a return that would be refused: got %v", err)
	}

	if after, err := store.End(bounded(t)); err != nil || after != end {
		t.Errorf("the log ended at %s and ends at %s, %v", end, after, err)
	}
}
