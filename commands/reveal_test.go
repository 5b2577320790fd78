package commands_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore/storetest"
)

func revealOf(id domain.RevealID, customers ...domain.CustomerID) commands.RevealProxyName {
	return commands.RevealProxyName{Caller: agent, ID: id, Customers: customers, Reason: "a complaint"}
}

func TestARevealIsRecordedOnceUnderItsKeyOfAllCustomersAtOnce(t *testing.T) {
	// Given three customers of one proxy name, of whom one was forgotten since they were looked up
	store := storetest.Open(t)
	handler := newHandler(t, store)
	if _, err := handler.ForgetCustomer(bounded(t), commands.ForgetCustomer{Caller: agent, Customer: "bob", Reason: "asked for it"}); err != nil {
		t.Fatal(err)
	}
	customers := []domain.CustomerID{"cleo", "bob", "anna"}

	// When they are revealed
	got, err := handler.RevealProxyName(bounded(t), revealOf("k-1", customers...))

	// Then the other two are told, in order, at the position of the last event
	if err != nil || got.Replayed || !slices.Equal(got.Customers, []domain.CustomerID{"anna", "cleo"}) {
		t.Fatalf("revealed is %+v, %v", got, err)
	}
	events := stored(t, store, "reveal-staff.k-1")
	if len(events) != 2 || got.Position != events[1].Position {
		t.Fatalf("the position is %s, and stored is %+v", got.Position, events)
	}
	for i, customer := range got.Customers {
		if made := events[i].Event.(account.ProxyNameRevealed); made.CustomerID != customer || made.Actor != "agent-1" || made.Reason != "a complaint" {
			t.Errorf("of %s the log has %+v", customer, made)
		}
		// And their accounts are no longer for it
		if events := stored(t, store, "account-"+string(customer)); len(events) != 0 {
			t.Errorf("the account of %s holds %+v", customer, events)
		}
	}
	if !slices.Equal(customers, []domain.CustomerID{"cleo", "bob", "anna"}) {
		t.Errorf("the caller's list was changed to %v", customers)
	}

	// When the same is sent again, then the answer is the same
	again, err := handler.RevealProxyName(bounded(t), revealOf("k-1", customers...))
	got.Replayed = true
	if err != nil || !slices.Equal(again.Customers, got.Customers) || again.Position != got.Position || !again.Replayed {
		t.Errorf("again it is %+v, %v", again, err)
	}
	// And once another was forgotten, they are not told of any more
	if _, err := handler.ForgetCustomer(bounded(t), commands.ForgetCustomer{Caller: agent, Customer: "anna", Reason: "asked for it"}); err != nil {
		t.Fatal(err)
	}
	if last, err := handler.RevealProxyName(bounded(t), revealOf("k-1", customers...)); err != nil || !slices.Equal(last.Customers, []domain.CustomerID{"cleo"}) || !last.Replayed {
		t.Errorf("at last it is %+v, %v", last, err)
	}
	if events := stored(t, store, "reveal-staff.k-1"); len(events) != 2 {
		t.Errorf("stored is %+v", events)
	}
}

func TestAKeyOfARevealIsForNoOther(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	if _, err := handler.RevealProxyName(bounded(t), revealOf("k-1", "anna")); err != nil {
		t.Fatal(err)
	}
	reason, actor := revealOf("k-1", "anna"), revealOf("k-1", "anna")
	reason.Reason, actor.Actor = "another", "agent-2"
	for what, other := range map[string]commands.RevealProxyName{"reason": reason, "actor": actor, "customer": revealOf("k-1", "bob")} {
		if got, err := handler.RevealProxyName(bounded(t), other); !errors.Is(err, domain.ErrConflict) || len(got.Customers) != 0 {
			t.Errorf("with another %s: %+v, %v", what, got, err)
		}
	}
	blank, keyless := revealOf("k-2", "anna"), revealOf("", "anna")
	blank.Reason = " "
	for what, invalid := range map[string]commands.RevealProxyName{"reason": blank, "key": keyless} {
		if got, err := handler.RevealProxyName(bounded(t), invalid); !errors.Is(err, domain.ErrInvalid) || len(got.Customers) != 0 {
			t.Errorf("without a %s: %+v, %v", what, got, err)
		}
	}
	// Of nobody there is nothing to tell, and nothing to record.
	if got, err := handler.RevealProxyName(bounded(t), revealOf("k-2")); err != nil || got.Customers == nil || len(got.Customers) != 0 {
		t.Errorf("of nobody: %+v, %v", got, err)
	}
	if events := stored(t, store, "reveal-staff.k-2"); len(events) != 0 {
		t.Errorf("stored is %+v", events)
	}
}

func TestOneRevealSentByManyAtOnceIsRecordedOnce(t *testing.T) {
	store := storetest.Open(t)
	handlers := []*commands.Handler{newHandler(t, store), newHandler(t, store)}
	var sending sync.WaitGroup
	for i := range 8 {
		sending.Go(func() {
			if got, err := handlers[i%2].RevealProxyName(bounded(t), revealOf("k-1", "anna", "bob")); err != nil || len(got.Customers) != 2 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	sending.Wait()
	if events := stored(t, store, "reveal-staff.k-1"); len(events) != 2 {
		t.Errorf("stored is %+v", events)
	}
}

// Reveals that were recorded in accounts, as they were once, change nothing about them.
func TestAnAccountWithRevealsOfOldIsAsWithoutThem(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	old := account.ProxyNameRevealed{About: domain.About{CustomerID: "anna", OccurredAt: noon}, Reason: "a complaint", Actor: "agent-1"}
	storetest.Add(t, store, "account-anna", old, old)
	if got, err := handler.RevealProxyName(bounded(t), revealOf("k-1", "anna")); err != nil || got.Replayed || len(got.Customers) != 1 {
		t.Errorf("revealed is %+v, %v", got, err)
	}
	if got, err := handler.AdjustPoints(bounded(t), commands.AdjustPoints{Caller: agent, Customer: "anna", ID: "a-1", Points: 5, Reason: "goodwill"}); err != nil || got.Status != commands.AdjustmentMade {
		t.Errorf("adjusted is %+v, %v", got, err)
	}
	if _, revision, err := store.Load(bounded(t), "account-anna"); err != nil || revision != 2 {
		t.Errorf("the account is at %d, %v", revision, err)
	}
}
