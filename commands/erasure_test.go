package commands_test

import (
	"errors"
	"testing"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore/storetest"
)

func TestACustomerIsForgottenOnceAndItIsCertified(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store, nil)
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
	if _, err := handler.RevealProxyName(bounded(t), commands.RevealProxyName{Caller: agent, Customer: "alice", Reason: "who is it"}); !errors.Is(err, domain.ErrForgotten) {
		t.Errorf("revealed after it: got %v", err)
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
