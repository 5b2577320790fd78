package projections_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
	"loyalty/readmodels/ledger/sqlite"
)

func openLedger(t testing.TB) *sqlite.Ledger {
	t.Helper()
	l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func testProxies(t testing.TB) domain.Proxies {
	t.Helper()
	proxies, err := domain.NewProxies([]byte("a secret of these tests"))
	if err != nil {
		t.Fatal(err)
	}
	return proxies
}

// appendOrder stores an order of 129.99 and a return of 40.00.
func appendOrder(t testing.TB, store *eventstore.Store, customer domain.CustomerID, id domain.OrderID) domain.Position {
	t.Helper()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	place := order.Place{
		Order: id, Customer: customer, Items: []string{"sku"}, Paid: domain.Money{Minor: 12999, Currency: domain.GBP}, Method: "card",
		Policy: domain.DefaultPolicy(), At: at,
	}
	var state order.State
	var all []domain.Event
	for _, command := range []order.Command{place, order.Return{Order: id, Return: "r-1", Amount: 4000, Reason: "chipped", At: at.Add(time.Hour)}} {
		events, err := order.Decide(command, state)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range events {
			state = order.Evolve(state, event)
		}
		all = append(all, events...)
	}
	position, err := store.Append(bounded(t), "order-"+string(id), eventstore.NoStream, uuid.New(), eventstore.Metadata{Actor: "till-7", Channel: domain.Store}, all...)
	if err != nil {
		t.Fatal(err)
	}
	return position
}

func TestTheLedgerShowsEveryChangeOfPointsWithItsEvidence(t *testing.T) {
	store := storetest.Open(t)
	l := openLedger(t)
	appendOrder(t, store, "alice", "o-1")
	last := adjust(t, store, "alice", 0, 25)
	run(t, projections.Ledger{Writer: l}, store, projections.Options{})
	if err := l.Wait(bounded(t), last); err != nil {
		t.Fatal(err)
	}
	trail, err := l.Trail(bounded(t), "alice", ledger.Filter{}, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range trail.Entries {
		got = append(got, fmt.Sprintf("%s %+d = %d | %s %s %s | %s %s %s | %s@%d", e.Kind, e.Points, e.Total, e.Order, e.Return, e.Amount, e.Channel, e.Actor, e.Reason, e.Stream, e.Revision))
	}
	want := []string{
		"adjustment +25 = 34 |   0.00  |  s-1 goodwill | account-alice@0",
		"reversal -4 = 9 | o-1 r-1 40.00 GBP | store till-7 chipped | order-o-1@3",
		"award +13 = 13 | o-1  129.99 GBP | store till-7  | order-o-1@1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestALeaderboardLoadedFromTheLedgerEqualsOneThatFollowedTheLog(t *testing.T) {
	store := storetest.Open(t)
	l, proxies := openLedger(t), testProxies(t)
	followed := memory.New()
	run(t, projections.Ledger{Writer: l}, store, projections.Options{})
	run(t, projections.Leaderboard{Writer: followed, Accounts: l, Proxies: proxies}, store, projections.Options{})
	var last domain.Position
	const customers = 20
	for i := range customers {
		customer := domain.CustomerID(fmt.Sprintf("c-%d", i))
		appendOrder(t, store, customer, domain.OrderID(fmt.Sprintf("o-%d", i)))
		last = adjust(t, store, customer, 0, domain.Points(i%5+1))
	}
	if err := errors.Join(l.Wait(bounded(t), last), followed.Wait(bounded(t), last)); err != nil {
		t.Fatal(err)
	}

	loaded := memory.New()
	if _, err := loaded.Checkpoint(bounded(t)); !errors.Is(err, domain.ErrNotCaughtUp) {
		t.Fatalf("a new leaderboard has a checkpoint already: %v", err)
	}
	run(t, projections.Leaderboard{Writer: loaded, Accounts: l, Proxies: proxies}, store, projections.Options{})
	if err := loaded.Wait(bounded(t), last); err != nil {
		t.Fatal(err)
	}
	for i := range customers {
		key := proxies.Key(domain.CustomerID(fmt.Sprintf("c-%d", i)))
		var one, other leaderboard.Dashboard
		if err := errors.Join(followed.Dashboard(bounded(t), key, 100, 50, &one), loaded.Dashboard(bounded(t), key, 100, 50, &other)); err != nil {
			t.Fatal(err)
		}
		one.AsOf, other.AsOf = time.Time{}, time.Time{}
		if diff := cmp.Diff(one, other); diff != "" {
			t.Fatalf("customer %d (-followed +loaded):\n%s", i, diff)
		}
	}
}

func TestALedgerRefusesAnEventItHasNoEntryFor(t *testing.T) {
	err := projections.Ledger{Writer: openLedger(t)}.Apply(bounded(t), projections.Batch{To: domain.CheckpointAt(domain.Position{Commit: 1, Prepare: 1}), Events: []eventstore.Recorded{{
		Event: order.Placed{About: domain.About{CustomerID: "alice"}},
	}}})
	if !errors.Is(err, domain.ErrUndecodable) {
		t.Errorf("got %v, want domain.ErrUndecodable", err)
	}
}

// BenchmarkReplay folds a log of orders from its beginning, through the event store's protocol and the official client,
// into each read model and, to compare with, into none.
func BenchmarkReplay(b *testing.B) {
	const events = 200_000
	store := storetest.Open(b)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const perAppend = 500
	for i := 0; i < events; i += perAppend {
		batch := make([]domain.Event, perAppend)
		for j := range batch {
			batch[j] = account.PointsAdjusted{
				About:     domain.About{CustomerID: domain.CustomerID(fmt.Sprintf("c-%d", (i+j)*7919%50_000)), OccurredAt: at.Add(time.Duration(i) * time.Second)},
				LoyaltyID: domain.LoyaltyID(fmt.Sprintf("l-%d", i+j)), Points: domain.Points(j%20 + 1), Reason: "goodwill", Actor: "s-1",
			}
		}
		if _, err := store.Append(b.Context(), fmt.Sprintf("account-%d", i), eventstore.NoStream, uuid.New(), eventstore.Metadata{Actor: "s-1"}, batch...); err != nil {
			b.Fatal(err)
		}
	}
	end, err := store.End(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	proxies, server := testProxies(b), postgrestest.Start(b, "fsync=on")
	for name, projection := range map[string]func(b *testing.B) projections.Projection{
		"nothing":          func(*testing.B) projections.Projection { return &nothing{} },
		"ledger in SQLite": func(b *testing.B) projections.Projection { return projections.Ledger{Writer: openLedger(b)} },
		"ledger in Postgres": func(b *testing.B) projections.Projection {
			return projections.Ledger{Writer: openPostgres(b, server.URL())}
		},
		"history": func(b *testing.B) projections.Projection {
			h, err := history.Open(b.TempDir(), history.Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = h.Close() })
			return projections.History{Writer: h, Proxies: proxies}
		},
		"leaderboard": func(b *testing.B) projections.Projection {
			return projections.Leaderboard{Writer: memory.New(), Accounts: openLedger(b), Proxies: proxies}
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				runner := projections.NewRunner(projection(b), store, projections.Options{})
				ctx, cancel := context.WithCancel(b.Context())
				ended := make(chan error, 1)
				go func() { ended <- runner.Run(ctx) }()
				storetest.WaitFor(b, "the end", func() bool { return !runner.Status().Position.Before(end) })
				cancel()
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// nothing is a projection that keeps its checkpoint only.
type nothing struct{ at domain.Checkpoint }

func (*nothing) Name() string                                            { return "nothing" }
func (*nothing) Types() []string                                         { return []string{account.TypePointsAdjusted} }
func (*nothing) Fold() int                                               { return 1 }
func (*nothing) Names() string                                           { return "" }
func (n *nothing) Checkpoint(context.Context) (domain.Checkpoint, error) { return n.at, nil }
func (n *nothing) Apply(_ context.Context, b projections.Batch) error    { n.at = b.To; return nil }
