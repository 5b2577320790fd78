package queries_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/queries"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/sqlite"
)

var (
	noon  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	till  = commands.Caller{Actor: "till-7", Channel: domain.Store, Correlation: "req-1", Issuer: domain.Store.Issuer()}
	agent = commands.Caller{Actor: "agent-1", Correlation: "req-2", Issuer: domain.Staff}
	boss  = commands.Caller{Actor: "agent-2", Correlation: "req-3", Issuer: domain.Staff}
)

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// shop is an event store with a ledger that follows it.
type shop struct {
	t       testing.TB
	store   *eventstore.Store
	do      *commands.Handler
	ledger  *sqlite.Ledger
	proxies domain.Proxies
	queries.Explainer
}

func open(t testing.TB) shop {
	t.Helper()
	s := shop{t: t, store: storetest.Open(t)}
	storetest.Begin(t, s.store)
	var err error
	if s.proxies, err = domain.NewProxies([]byte("the secret of these tests, 32 bytes long")); err != nil {
		t.Fatal(err)
	}
	if s.do, err = commands.New(s.store, commands.Options{
		Policy: domain.DefaultPolicy(), Now: func() time.Time { return noon }, NewID: uuid.New,
	}); err != nil {
		t.Fatal(err)
	}
	s.ledger, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- projections.NewRunner(projections.Ledger{Writer: s.ledger, Proxies: s.proxies}, s.store, projections.Options{}).Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, s.ledger.Close()); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	s.Explainer = queries.Explainer{Store: s.store, Ledger: s.ledger}
	return s
}

// trail is a customer's, newest first, once the ledger is at a position.
func (s shop) trail(at domain.Position, customer domain.CustomerID) []ledger.Entry {
	s.t.Helper()
	if err := s.Ledger.Wait(bounded(s.t), at); err != nil {
		s.t.Fatal(err)
	}
	trail, err := s.Ledger.Trail(bounded(s.t), customer, ledger.Filter{}, "", ledger.MaxPage)
	if err != nil {
		s.t.Fatal(err)
	}
	return trail.Entries
}

func (s shop) explain(e ledger.Entry) queries.Explanation {
	s.t.Helper()
	told, err := s.Explain(bounded(s.t), e)
	if err != nil {
		s.t.Fatal(err)
	}
	return told
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (s shop) place(id domain.OrderID, pence int64) domain.Position {
	s.t.Helper()
	return must[commands.Placed](s.t)(s.do.PlaceOrder(bounded(s.t), commands.PlaceOrder{
		Caller: till, Order: id, Customer: "alice", Items: []string{"mug"}, Paid: domain.Money{Minor: pence, Currency: domain.GBP}, Method: "card",
	})).Position
}

func (s shop) giveBack(id domain.OrderID, as domain.ReturnID, pence int64) domain.Position {
	s.t.Helper()
	return must[commands.Returned](s.t)(s.do.ReturnItems(bounded(s.t), commands.ReturnItems{Caller: agent, Order: domain.FullID(till.Issuer, id), Return: as, Amount: pence, Reason: "chipped"})).Position
}
