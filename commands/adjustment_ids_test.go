package commands_test

import (
	"errors"
	"testing"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore/storetest"
)

// Given a key that support and two channels chose for the same customer
// When each adjusts points under it, and sends it again
// Then there are three adjustments, each with its issuer's full id, and each issuer is answered about its own.
func TestAKeyOfAnAdjustmentIsItsIssuers(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	web := commands.Caller{Actor: "shop-1", Channel: domain.Website, Issuer: domain.Website.Issuer()}
	for range 2 {
		for full, c := range map[domain.LoyaltyID]commands.AdjustPoints{
			"staff.k-1":   {Caller: agent, Points: 5, Reason: "late"},
			"store.k-1":   {Caller: till, Points: -5, Reason: "mistaken"},
			"website.k-1": {Caller: web, Points: 7, Reason: "survey"},
		} {
			c.Customer, c.ID = "alice", "k-1"
			if got, err := handler.AdjustPoints(bounded(t), c); err != nil || got.ID != full || got.Points != c.Points {
				t.Errorf("%s: got %+v, %v", full, got, err)
			}
		}
	}
	other := commands.AdjustPoints{Caller: second, Customer: "alice", ID: "k-1", Points: 6, Reason: "late"}
	if _, err := handler.AdjustPoints(bounded(t), other); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("another of support with other points: got %v", err)
	}
	if events := stored(t, store, "account-alice"); len(events) != 3 {
		t.Errorf("%d events are stored", len(events))
	}
}

// Given adjustments from before ids had issuers, made and requested, under bare keys
// When they are sent again
// Then whoever made them is answered about them, and for anybody else the key is new.
func TestAnAdjustmentUnderABareKeyIsTheSameToWhoeverMadeIt(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	about := domain.About{CustomerID: "alice", OccurredAt: noon}
	storetest.Add(t, store, "account-alice",
		account.PointsAdjusted{About: about, LoyaltyID: "k-1", Points: 5, Reason: "late", Actor: "agent-1"},
		account.AdjustmentRequested{About: about, LoyaltyID: "k-2", Points: 2500, Reason: "lost", Actor: "agent-1"})
	adjust := func(by commands.Caller, key domain.LoyaltyID, points domain.Points, reason string) (commands.Adjusted, error) {
		return handler.AdjustPoints(bounded(t), commands.AdjustPoints{Caller: by, Customer: "alice", ID: key, Points: points, Reason: reason, Limit: 1000})
	}
	if got, err := adjust(agent, "k-1", 5, "late"); err != nil || got.ID != "k-1" || !got.Replayed || got.Status != commands.AdjustmentMade {
		t.Errorf("made again: %+v, %v", got, err)
	}
	if _, err := adjust(agent, "k-1", 6, "late"); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("made again with other points: %v", err)
	}
	if got, err := adjust(agent, "k-2", 2500, "lost"); err != nil || got.ID != "k-2" || !got.Replayed || got.Status != commands.AdjustmentWaiting {
		t.Errorf("asked again: %+v, %v", got, err)
	}
	if got, err := adjust(second, "k-1", 6, "another"); err != nil || got.ID != "staff.k-1" || got.Replayed {
		t.Errorf("of another: %+v, %v", got, err)
	}
	if got, err := adjust(till, "k-1", 5, "late"); err != nil || got.ID != "store.k-1" || got.Replayed {
		t.Errorf("of a channel: %+v, %v", got, err)
	}
	if got, err := handler.ApproveAdjustment(bounded(t), commands.ApproveAdjustment{Caller: second, Customer: "alice", ID: "k-2"}); err != nil || got.ID != "k-2" || got.Status != commands.AdjustmentMade {
		t.Errorf("approved: %+v, %v", got, err)
	}
	if _, err := handler.ApproveAdjustment(bounded(t), commands.ApproveAdjustment{Caller: second, Customer: "alice", ID: "staff.k-2"}); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("approved under an id that is not its own: %v", err)
	}
}
