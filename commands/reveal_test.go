package commands_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore/storetest"
)

func TestEveryRevealIsRecordedWithWhoAndWhy(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	reveal := commands.RevealProxyName{Caller: agent, Customer: "alice", Reason: "a complaint about the name"}
	for range 2 {
		if _, err := handler.RevealProxyName(bounded(t), reveal); err != nil {
			t.Fatal(err)
		}
	}
	reveal.Reason = " "
	if _, err := handler.RevealProxyName(bounded(t), reveal); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("without a reason: got %v", err)
	}
	events := stored(t, store, "account-alice")
	if len(events) != 2 {
		t.Fatalf("%d events are stored, want 2", len(events))
	}
	if made := events[1].Event.(account.ProxyNameRevealed); made.Actor != "agent-1" || made.Reason != "a complaint about the name" {
		t.Errorf("stored %+v", made)
	}
}

func TestARevealTellsOnlyOfCustomersOfWhomItIsInTheLog(t *testing.T) {
	// Given three customers of one proxy name, of whom one was forgotten since they were looked up
	store := storetest.Open(t)
	handler := newHandler(t, store)
	if _, err := handler.ForgetCustomer(bounded(t), commands.ForgetCustomer{Caller: agent, Customer: "bob", Reason: "asked for it"}); err != nil {
		t.Fatal(err)
	}
	customers := []domain.CustomerID{"cleo", "bob", "anna"}

	// When they are revealed
	got, err := commands.Reveal(bounded(t), handler.RevealProxyName, agent, customers, "a complaint")

	// Then the other two are told, in order, at the position of the last reveal
	if err != nil || !slices.Equal(got.Customers, []domain.CustomerID{"anna", "cleo"}) {
		t.Fatalf("revealed is %+v, %v", got, err)
	}
	for _, customer := range got.Customers {
		events := stored(t, store, "account-"+string(customer))
		if made, is := events[0].Event.(account.ProxyNameRevealed); len(events) != 1 || !is || made.Actor != "agent-1" || made.Reason != "a complaint" {
			t.Errorf("of %s the log has %+v", customer, events)
		}
	}
	if last := stored(t, store, "account-cleo")[0]; got.Position != last.Position {
		t.Errorf("the position is %s, and the last reveal's %s", got.Position, last.Position)
	}
	if !slices.Equal(customers, []domain.CustomerID{"cleo", "bob", "anna"}) {
		t.Errorf("the caller's list was changed to %v", customers)
	}
}

func TestARevealThatIsNotAllInTheLogTellsNobody(t *testing.T) {
	// Given a log that takes the first reveal and not the second
	taken := domain.Position{Commit: 7, Prepare: 7}
	record := func(_ context.Context, c commands.RevealProxyName) (domain.Position, error) {
		if c.Customer == "anna" {
			return taken, nil
		}
		return domain.Position{}, domain.ErrUnavailable
	}
	// When both are revealed, then nobody is told
	if got, err := commands.Reveal(t.Context(), record, agent, []domain.CustomerID{"anna", "bob"}, "why"); !errors.Is(err, domain.ErrUnavailable) || len(got.Customers) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	// And of nobody there is nothing to tell
	if got, err := commands.Reveal(t.Context(), record, agent, nil, "why"); err != nil || got.Customers == nil || len(got.Customers) != 0 {
		t.Errorf("of nobody, got %+v, %v", got, err)
	}
}
