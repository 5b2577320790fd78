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

func TestACustomerIsForgottenOnceAndItIsCertified(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	if _, err := handler.AdjustPoints(bounded(t), commands.AdjustPoints{Caller: agent, Customer: "alice", ID: "case-1", Points: 25, Reason: "late"}); err != nil {
		t.Fatal(err)
	}
	check := account.Check{Model: "ledger", Position: domain.Position{Commit: 9, Prepare: 9}, Clean: true}
	certificate := commands.CertifyErasure{Caller: agent, Customer: "alice", Checks: []account.Check{check}}
	if _, err := handler.CertifyErasure(bounded(t), certificate); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("certified before: got %v", err)
	}

	forget := commands.ForgetCustomer{Caller: agent, Customer: "alice", Reason: "asked for it"}
	at, err := handler.ForgetCustomer(bounded(t), forget)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := handler.ForgetCustomer(bounded(t), forget); err != nil || again != at {
		t.Errorf("again: got %s, %v; want %s", again, err, at)
	}
	if _, err := handler.AdjustPoints(bounded(t), commands.AdjustPoints{Caller: agent, Customer: "alice", ID: "case-2", Points: 25, Reason: "late"}); !errors.Is(err, domain.ErrForgotten) {
		t.Errorf("adjusted after it: got %v", err)
	}
	if got, err := handler.RevealProxyName(bounded(t), revealOf("k-1", "alice")); err != nil || len(got.Customers) != 0 {
		t.Errorf("revealed after it: got %+v, %v", got, err)
	}

	left := certificate
	left.Checks = append(left.Checks, account.Check{Model: "leaderboard"})
	if _, err := handler.CertifyErasure(bounded(t), left); !errors.Is(err, domain.ErrNotForgotten) {
		t.Errorf("certified while something is left: got %v", err)
	}
	if certified, err := handler.CertifyErasure(bounded(t), certificate); err != nil || !at.Before(certified) {
		t.Errorf("certified at %s, %v; want after %s", certified, err, at)
	}
	events := stored(t, store, "account-alice")
	if len(events) != 3 {
		t.Fatalf("%d events are stored, want 3", len(events))
	}
	if made := events[2].Event.(account.ErasureCertified); len(made.Checks) != 1 || made.Checks[0] != check || made.Actor != "agent-1" {
		t.Errorf("the certificate is %+v", made)
	}
}

// readModels are checks of read models by name; those named in unclean still lead to the customer.
func readModels(at *[]domain.Position, unclean string, names ...string) (checks []commands.ErasureCheck) {
	for _, name := range names {
		checks = append(checks, func(_ context.Context, forgotten domain.Position) (account.Check, error) {
			*at = append(*at, forgotten)
			return account.Check{Model: name, Position: forgotten, Clean: name != unclean}, nil
		})
	}
	return checks
}

func TestAnErasureIsCertifiedOnceEveryReadModelIsClean(t *testing.T) {
	// Given a customer, and a leaderboard that does not let go of them yet
	store := storetest.Open(t)
	handler := newHandler(t, store)
	var at []domain.Position
	erase := commands.EraseCustomer{Caller: agent, Customer: "alice", Reason: "asked for it", Checks: readModels(&at, "leaderboard", "ledger", "leaderboard")}

	// When they are erased
	first, err := handler.EraseCustomer(bounded(t), erase)

	// Then they are forgotten, both read models were checked at that position, and nothing is certified
	events := stored(t, store, "account-alice")
	if err != nil || len(events) != 1 || first.Certificate != nil || first.Before || !first.Since.Equal(noon) || first.Position != events[0].Position {
		t.Fatalf("it comes to %+v, %v; the log has %+v", first, err, events)
	}
	if !slices.Equal(at, []domain.Position{first.Position, first.Position}) {
		t.Errorf("the read models were checked at %v, not at %s", at, first.Position)
	}

	// When it is repeated once the leaderboard is clean, then it is certified, and nothing is forgotten twice
	erase.Checks = readModels(&at, "", "ledger", "leaderboard")
	second, err := handler.EraseCustomer(bounded(t), erase)
	events = stored(t, store, "account-alice")
	if err != nil || len(events) != 2 || !second.Before || second.Since != first.Since || second.Position != first.Position {
		t.Fatalf("it comes to %+v, %v; the log has %+v", second, err, events)
	}
	if want := (commands.Certificate{Position: events[1].Position, Actor: "agent-1", At: noon}); second.Certificate == nil || *second.Certificate != want {
		t.Errorf("the certificate is %+v, want %+v", second.Certificate, want)
	}
	if made := events[1].Event.(account.ErasureCertified); len(made.Checks) != 2 || !made.Checks[1].Clean || made.Checks[1].Model != "leaderboard" {
		t.Errorf("certified is %+v", made)
	}

	// When it is repeated by somebody else, then the certificate there is stands
	erase.Actor = "agent-2"
	again, err := handler.EraseCustomer(bounded(t), erase)
	if err != nil || again.Certificate == nil || !again.Certificate.Before || again.Certificate.Actor != "agent-1" || again.Certificate.Position != second.Certificate.Position {
		t.Errorf("the third time it comes to %+v, %v", again.Certificate, err)
	}

	// And a read model that no certificate is about takes a new one, by whoever asks now
	erase.Checks = readModels(&at, "", "ledger", "history")
	more, err := handler.EraseCustomer(bounded(t), erase)
	if err != nil || more.Certificate == nil || more.Certificate.Before || more.Certificate.Actor != "agent-2" || !second.Certificate.Position.Before(more.Certificate.Position) {
		t.Errorf("with another read model it comes to %+v, %v", more.Certificate, err)
	}
	if events := stored(t, store, "account-alice"); len(events) != 3 {
		t.Errorf("%d events are stored, want 3", len(events))
	}
}

func TestACheckThatFailsEndsAnErasureUncertified(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	var at []domain.Position
	broken := errors.New("the leaderboard does not answer")
	erase := commands.EraseCustomer{Caller: agent, Customer: "alice", Reason: "asked for it"}
	erase.Checks = append(erase.Checks, func(context.Context, domain.Position) (account.Check, error) {
		return account.Check{Clean: true}, broken
	})
	erase.Checks = append(erase.Checks, readModels(&at, "", "ledger")...)
	if erased, err := handler.EraseCustomer(bounded(t), erase); !errors.Is(err, broken) || erased.Certificate != nil || len(at) != 0 {
		t.Errorf("it comes to %+v, %v, after %d more checks", erased, err, len(at))
	}
	if events := stored(t, store, "account-alice"); len(events) != 1 {
		t.Errorf("%d events are stored, want 1", len(events))
	}
	erase.Reason = " "
	if _, err := handler.EraseCustomer(bounded(t), erase); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("without a reason: got %v", err)
	}
	erase.Reason, erase.Checks = "asked for it", nil
	if erased, err := handler.EraseCustomer(bounded(t), erase); !errors.Is(err, domain.ErrInvalid) || erased.Certificate != nil {
		t.Errorf("without any read model: got %+v, %v", erased, err)
	}
}
