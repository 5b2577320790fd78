package commands_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// Errors are logged, and logs name nobody.
func TestNoErrorNamesTheCustomer(t *testing.T) {
	store := storetest.Open(t)
	h := newHandler(t, store)
	ctx := bounded(t)
	// Given somebody forgotten, an adjustment that was made, and a stream that can't be read
	if _, err := h.AdjustPoints(ctx, commands.AdjustPoints{Caller: agent, Customer: "alice-1", ID: "a-1", Points: 5, Reason: "goodwill"}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ForgetCustomer(ctx, commands.ForgetCustomer{Caller: agent, Customer: "alice-2", Reason: "asked to"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(ctx, "account-alice-3", eventstore.NoStream, uuid.New(), eventstore.Metadata{}, storetest.Adjusted("alice-3", domain.MaxChange)); err != nil {
		t.Fatal(err)
	}
	reveal := func(customer domain.CustomerID) error {
		_, err := h.RevealProxyName(ctx, commands.RevealProxyName{Caller: agent, ID: "k-1", Customers: []domain.CustomerID{customer}, Reason: "why"})
		return err
	}
	adjust := func(customer domain.CustomerID, id domain.LoyaltyID, points domain.Points) error {
		_, err := h.AdjustPoints(ctx, commands.AdjustPoints{Caller: agent, Customer: customer, ID: id, Points: points, Reason: "why"})
		return err
	}
	if err := reveal("alice-1"); err != nil {
		t.Fatal(err)
	}
	errs := map[string]error{
		"a reveal of another":          reveal("alice-3"),
		"an id used before":            adjust("alice-1", "a-1", 6),
		"an adjustment of a forgotten": adjust("alice-2", "a-1", 6),
		"more than the limit":          adjust("alice-3", "a-2", commands.DefaultPointsLimit+1),
	}
	_, errs["an approval of nothing"] = h.ApproveAdjustment(ctx, commands.ApproveAdjustment{Caller: agent, Customer: "alice-1", ID: "a-9"})
	_, errs["a refusal of nothing"] = h.DeclineAdjustment(ctx, commands.DeclineAdjustment{Caller: agent, Customer: "alice-1", ID: "a-9", Reason: "why"})
	_, errs["a certificate for nobody forgotten"] = h.CertifyErasure(ctx, commands.CertifyErasure{Caller: agent, Customer: "alice-1", Checks: []account.Check{{Model: "ledger", Clean: true}}})
	_, errs["an unclean certificate"] = h.CertifyErasure(ctx, commands.CertifyErasure{Caller: agent, Customer: "alice-2", Checks: []account.Check{{Model: "ledger"}}})
	// And then the event store is away
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	errs["an adjustment without the store"] = adjust("alice-1", "a-3", 1)
	errs["a reveal without the store"] = reveal("alice-1")
	_, errs["an erasure without the store"] = h.EraseCustomer(ctx, commands.EraseCustomer{Caller: agent, Customer: "alice-1", Reason: "asked to"})
	_, errs["a forgetting without the store"] = h.ForgetCustomer(ctx, commands.ForgetCustomer{Caller: agent, Customer: "alice-1", Reason: "asked to"})
	for what, err := range errs {
		if err == nil || strings.Contains(err.Error(), "alice") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, what := range []string{"an adjustment without the store", "a reveal without the store", "a forgetting without the store", "an erasure without the store"} {
		if !errors.Is(errs[what], domain.ErrUnavailable) {
			t.Error(fmt.Errorf("%s: %w", what, errs[what]))
		}
	}
}
