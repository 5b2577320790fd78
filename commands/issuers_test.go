package commands_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

var website = commands.Caller{Actor: "shop-1", Channel: domain.Website, Issuer: domain.Website.Issuer()}

// shopper is a customer who places orders of their own.
func shopper(id domain.CustomerID) commands.Caller {
	return commands.Caller{Actor: string(id), Channel: domain.Website, Issuer: id.Issuer()}
}

// mugBy is an order of so much by a caller; a customer's is their own.
func mugBy(caller commands.Caller, id domain.OrderID, pence int64) commands.PlaceOrder {
	command := commands.PlaceOrder{Caller: caller, Order: id, Customer: "alice", Items: []string{"mug"}, Paid: pounds(pence), Method: "card"}
	if strings.HasPrefix(string(caller.Issuer), "customer.") {
		command.Customer = domain.CustomerID(caller.Actor)
	}
	return command
}

func backBy(caller commands.Caller, of domain.OrderID, id domain.ReturnID, pence int64) commands.ReturnItems {
	return commands.ReturnItems{Caller: caller, Order: of, Return: id, Amount: pence}
}

// appendBare appends an order as versions before full ids stored it, and its returns.
func appendBare(t testing.TB, store *eventstore.Store, c commands.PlaceOrder, returns ...commands.ReturnItems) {
	t.Helper()
	var state order.State
	revision := eventstore.NoStream
	add := func(by commands.Caller, command order.Command) {
		t.Helper()
		events, err := order.Decide(command, state)
		if err != nil {
			t.Fatal(err)
		}
		m := eventstore.Metadata{Correlation: "before", Causation: "before", Actor: by.Actor, Channel: by.Channel}
		if _, err := store.Append(bounded(t), "order-"+string(c.Order), revision, uuid.New(), m, events...); err != nil {
			t.Fatal(err)
		}
		for _, event := range events {
			state = order.Evolve(state, event)
		}
		revision += int64(len(events))
	}
	add(c.Caller, order.Place{Order: c.Order, Customer: c.Customer, Items: c.Items, Paid: c.Paid, Method: c.Method, Policy: domain.DefaultPolicy(), At: noon})
	for _, r := range returns {
		add(r.Caller, order.Return{Order: c.Order, Return: r.Return, Amount: r.Amount, Reason: r.Reason, At: noon})
	}
}

// wantPlaced places an order, which must earn so many points, now or when it was placed before.
func wantPlaced(t testing.TB, h *commands.Handler, c commands.PlaceOrder, points domain.Points, replayed bool) {
	t.Helper()
	got, err := h.PlaceOrder(bounded(t), c)
	if err != nil || got.Points != points || got.Replayed != replayed || got.Order != c.Order || got.Position == (domain.Position{}) {
		t.Errorf("order %s of %s: got %+v, %v; want %d points, replayed: %t", c.Order, c.Issuer, got, err, points, replayed)
	}
}

func wantReturned(t testing.TB, h *commands.Handler, c commands.ReturnItems, points domain.Points, replayed bool) {
	t.Helper()
	got, err := h.ReturnItems(bounded(t), c)
	if err != nil || got.Points != points || got.Replayed != replayed || got.Return != c.Return || got.Position == (domain.Position{}) {
		t.Errorf("return %s of order %s by %s: got %+v, %v; want %d points, replayed: %t", c.Return, c.Order, c.Issuer, got, err, points, replayed)
	}
}

// wantEvents checks how many events each stream has.
func wantEvents(t testing.TB, store *eventstore.Store, want map[string]int) {
	t.Helper()
	for stream, n := range want {
		if got := len(stored(t, store, stream)); got != n {
			t.Errorf("%s has %d events, want %d", stream, got, n)
		}
	}
}

func TestACustomerWhoTakesATillsNumberBeforehandBlocksNothing(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	wantPlaced(t, handler, mugBy(shopper("mallory"), "till-0417-000024", 1), 0, false)
	wantPlaced(t, handler, mugBy(till, "till-0417-000024", 129_99), 13, false)
	wantPlaced(t, handler, mugBy(till, "till-0417-000024", 129_99), 13, true)
	wantEvents(t, store, map[string]int{"order-customer.mallory.till-0417-000024": 2, "order-store.till-0417-000024": 2})
}

func TestWebsiteAndStoreMayUseTheSameNumber(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	wantPlaced(t, handler, mugBy(website, "100023", 129_99), 13, false)
	wantPlaced(t, handler, mugBy(till, "100023", 50_00), 5, false)
	wantReturned(t, handler, backBy(website, "100023", "1", 129_99), 13, false)
	wantReturned(t, handler, backBy(till, "100023", "1", 50_00), 5, false)
	wantEvents(t, store, map[string]int{"order-website.100023": 4, "order-store.100023": 4, "order-100023": 0})
	if e := stored(t, store, "order-store.100023")[2].Event.(order.ItemsReturned); e.OrderID != "store.100023" || e.ReturnID != "store.1" {
		t.Errorf("stored is %+v", e)
	}
}

// What others have placed under an id, before full ids or since, does not show in the answer.
func TestAnAnswerDoesNotTellWhichOrdersOfOthersExist(t *testing.T) {
	store := storetest.Open(t)
	appendBare(t, store, mugBy(till, "o-1", 50_00))
	appendBare(t, store, mugBy(shopper("bob"), "o-2", 50_00))
	handler := newHandler(t, store)
	wantPlaced(t, handler, mugBy(website, "o-3", 50_00), 5, false)
	for _, id := range []domain.OrderID{"o-1", "o-2", "o-3", "o-4"} {
		wantPlaced(t, handler, mugBy(shopper("alice"), id, 50_00), 5, false) // also if it is exactly that order
		wantPlaced(t, handler, mugBy(shopper("mallory"), id, 20_00), 2, false)
	}
	_, err := handler.ReturnItems(bounded(t), backBy(till, "o-2", "r-1", 50_00))
	if !errors.Is(err, domain.ErrOrderNotFound) {
		t.Errorf("a till returns by number what a customer ordered: %v", err)
	}
}

// Given orders that an earlier version stored
// When each comes again, then it is answered as the first time; and its id with other content is a conflict.
func TestAnOrderThatComesAgainAfterAnUpgradeIsNotDoubled(t *testing.T) {
	store := storetest.Open(t)
	before := []commands.PlaceOrder{mugBy(till, "o-1", 50_00), mugBy(website, "o-2", 60_00), mugBy(shopper("bob"), "o-3", 70_00)}
	for _, c := range before {
		appendBare(t, store, c)
	}
	handler := newHandler(t, store)
	for _, c := range before {
		points := domain.Points(c.Paid.Minor / 1000)
		wantPlaced(t, handler, c, points, true)
		wantPlaced(t, limited(t, store, 1), c, points, true)
		c.Paid.Minor++
		if _, err := handler.PlaceOrder(bounded(t), c); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("order %s with other content: %v", c.Order, err)
		}
		wantEvents(t, store, map[string]int{"order-" + string(c.Order): 2, "order-" + string(domain.FullID(c.Issuer, c.Order)): 0})
	}
	// A till that is called as its customer is still that till, and its colleague's order is another one
	named := mugBy(commands.Caller{Actor: "alice", Channel: domain.Store, Issuer: domain.Store.Issuer()}, "o-4", 50_00)
	appendBare(t, store, named)
	wantPlaced(t, handler, named, 5, true)
}

func TestAnOrderOfBeforeAnUpgradeIsReturned(t *testing.T) {
	store := storetest.Open(t)
	made := backBy(till, "o-1", "r-1", 10_00)
	appendBare(t, store, mugBy(till, "o-1", 100_00), made, backBy(agent, "o-1", "r-2", 10_00))
	appendBare(t, store, mugBy(shopper("bob"), "o-2", 50_00))
	handler := newHandler(t, store)
	// A return that comes again is answered as the first time, and its id with other content is a conflict
	wantReturned(t, handler, made, 1, true)
	wantReturned(t, handler, backBy(agent, "o-1", "r-2", 10_00), 1, true)
	if _, err := handler.ReturnItems(bounded(t), backBy(till, "o-1", "r-1", 10_01)); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("other content: %v", err)
	}
	// What others return under the same id is another return
	wantReturned(t, handler, backBy(website, "store.o-1", "r-1", 10_00), 1, false)
	wantReturned(t, handler, backBy(website, "store.o-1", "r-1", 10_00), 1, true)
	wantReturned(t, handler, backBy(agent, "o-1", "r-1", 10_00), 1, false)
	wantReturned(t, handler, backBy(till, "o-1", "r-3", 10_00), 1, false)
	wantReturned(t, handler, backBy(till, "store.o-1", "r-3", 10_00), 1, true)
	if e := stored(t, store, "order-o-1"); len(e) != 12 || e[11].Event.(order.PointsReversed).OrderID != "o-1" || e[11].Event.(order.PointsReversed).ReturnID != "store.r-3" {
		t.Errorf("stored are %+v", e)
	}
	// An order of a customer's own is theirs under its full id, and nobody's else
	wantReturned(t, handler, backBy(till, "customer.bob.o-2", "r-1", 10_00), 1, false)
	wantReturned(t, handler, backBy(agent, "o-2", "r-1", 10_00), 1, false)
	for _, c := range []commands.ReturnItems{
		backBy(website, "o-1", "r-9", 1), backBy(website, "website.o-1", "r-9", 1), backBy(till, "o-2", "r-9", 1), backBy(till, "customer.alice.o-2", "r-9", 1),
		backBy(agent, "website.o-1", "r-9", 1), backBy(agent, "staff.o-1", "r-9", 1), backBy(till, "o-9", "r-9", 1), backBy(agent, "o-9", "r-9", 1),
	} {
		if _, err := handler.ReturnItems(bounded(t), c); !errors.Is(err, domain.ErrOrderNotFound) {
			t.Errorf("order %s, asked for by %s: %v", c.Order, c.Issuer, err)
		}
	}
}

func TestAStoreTakesBackWhatTheWebsiteSold(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	wantPlaced(t, handler, mugBy(website, "o-1", 100_00), 10, false)
	wantPlaced(t, handler, mugBy(till, "o-1", 50_00), 5, false)
	wantReturned(t, handler, backBy(till, "website.o-1", "r-1", 20_00), 2, false)
	wantReturned(t, handler, backBy(website, "o-1", "r-1", 20_00), 2, false) // another return than that of the store
	wantReturned(t, handler, backBy(agent, "website.o-1", "r-1", 20_00), 2, false)
	wantEvents(t, store, map[string]int{"order-website.o-1": 8, "order-store.o-1": 2})
}

// A return may come before its order, which is on its way. Another order under that number must not be returned instead.
func TestAReturnThatComesBeforeItsOrderWaitsForIt(t *testing.T) {
	store := storetest.Open(t)
	appendBare(t, store, mugBy(website, "100023", 100_00))
	handler := newHandler(t, store)
	if _, err := handler.ReturnItems(bounded(t), backBy(till, "100023", "r-1", 50_00)); !errors.Is(err, domain.ErrOrderNotFound) {
		t.Errorf("before the order: %v", err)
	}
	wantPlaced(t, handler, mugBy(till, "100023", 50_00), 5, false)
	wantReturned(t, handler, backBy(till, "100023", "r-1", 50_00), 5, false)
	wantEvents(t, store, map[string]int{"order-100023": 2})
}

// Given a log that begins with a full id
// When orders are placed, and the process has learned that
// Then each costs an append and no read.
func TestANewOrderCostsNoReadWhereThereAreNoBareIDs(t *testing.T) {
	_, target := storetest.Start(t)
	front := storetest.InFrontOf(t, target)
	var mu sync.Mutex
	calls := make(map[string]int)
	front.Answer(func(c *storetest.Call) error {
		mu.Lock()
		defer mu.Unlock()
		calls[c.Method]++
		return c.Pass()
	})
	handler := newHandler(t, storetest.Connect(t, front.Target))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { handler.Run(ctx) })
	defer func() { stop(); running.Wait() }()
	place := func(id domain.OrderID) { wantPlaced(t, handler, mugBy(till, id, 50_00), 5, false) }
	n := 0
	storetest.WaitFor(t, "ten orders that take ten appends and nothing else", func() bool {
		mu.Lock()
		clear(calls)
		mu.Unlock()
		for range 10 {
			n++
			place(domain.OrderID(fmt.Sprint("o-", n)))
		}
		mu.Lock()
		defer mu.Unlock()
		return calls[storetest.MethodAppend] == 10 && len(calls) == 1
	})
}

func TestACallerWithoutAnIssuerChoosesNoIDs(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	nobody := commands.Caller{Actor: "till-7", Channel: domain.Store}
	_, placing := handler.PlaceOrder(bounded(t), mugBy(nobody, "o-1", 50_00))
	_, returning := handler.ReturnItems(bounded(t), backBy(nobody, "o-1", "r-1", 1))
	if placing == nil || returning == nil {
		t.Errorf("got %v and %v", placing, returning)
	}
	wantEvents(t, store, map[string]int{"order-o-1": 0})
}

// Errors are logged, and a customer's own order has them in its full id.
func TestNoErrorAboutACustomersOwnOrderNamesThem(t *testing.T) {
	store := storetest.Open(t)
	handler := newHandler(t, store)
	ctx := bounded(t)
	wantPlaced(t, handler, mugBy(shopper("alice-1"), "o-1", 50_00), 5, false)
	wantReturned(t, handler, backBy(till, "customer.alice-1.o-1", "r-1", 1), 0, false)
	errs := make(map[string]error)
	_, errs["other content"] = handler.PlaceOrder(ctx, mugBy(shopper("alice-1"), "o-1", 60_00))
	_, errs["above the limit"] = handler.PlaceOrder(ctx, mugBy(shopper("alice-1"), "o-2", 900_000_00))
	_, errs["a return of another order"] = handler.ReturnItems(ctx, backBy(till, "customer.alice-1.o-9", "r-1", 1))
	_, errs["a return with other content"] = handler.ReturnItems(ctx, backBy(till, "customer.alice-1.o-1", "r-1", 2))
	_, errs["a return of too much"] = handler.ReturnItems(ctx, backBy(till, "customer.alice-1.o-1", "r-2", 90_00))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	_, errs["an order without the store"] = handler.PlaceOrder(ctx, mugBy(shopper("alice-1"), "o-3", 60_00))
	_, errs["a return without the store"] = handler.ReturnItems(ctx, backBy(till, "customer.alice-1.o-1", "r-3", 1))
	for what, err := range errs {
		if err == nil || strings.Contains(err.Error(), "alice") || !strings.Contains(err.Error(), "o-") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Any callers with any ids, and repeats, against a map from issuer and id.
func TestOrdersAgreeWithAMapByIssuerAndID(t *testing.T) {
	store := storetest.Open(t)
	appendBare(t, store, mugBy(till, "before-all-others", 10_00))
	handler, ctx, runs := newHandler(t, store), bounded(t), 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		callers := []commands.Caller{till, website, shopper("alice"), shopper("store"), shopper("o-1"), {Actor: "till-8", Channel: domain.Store, Issuer: domain.Store.Issuer()}}
		caller := rapid.SampledFrom(callers)
		id := rapid.Map(rapid.SampledFrom([]string{"1", "o-1", "store"}), func(s string) string { return fmt.Sprintf("%s-%d", s, runs) })
		amount := rapid.SampledFrom([]int64{10_00, 20_00})
		type key struct {
			issuer domain.Issuer
			id     string
		}
		type placed struct {
			paid, left int64
			answer     commands.Placed
			returns    map[key]int64
		}
		orders := make(map[key]*placed)
		// Some were placed by an earlier version: whoever came first had the id.
		for _, bare := range rapid.SliceOfNDistinct(id, 0, 2, rapid.ID[string]).Draw(r, "before") {
			c := mugBy(caller.Draw(r, "whose"), domain.OrderID(bare), amount.Draw(r, "of"))
			appendBare(t, store, c)
			orders[key{c.Issuer, bare}] = &placed{paid: c.Paid.Minor, left: c.Paid.Minor, returns: make(map[key]int64)}
		}
		r.Repeat(map[string]func(*rapid.T){
			"place": func(t *rapid.T) {
				c := mugBy(caller.Draw(t, "caller"), domain.OrderID(id.Draw(t, "id")), amount.Draw(t, "amount"))
				got, err := handler.PlaceOrder(ctx, c)
				known := orders[key{c.Issuer, string(c.Order)}]
				switch {
				case known == nil:
					if err != nil || got.Replayed || got.Points != domain.Points(c.Paid.Minor/1000) {
						t.Fatalf("a new order %s of %s: %+v, %v", c.Order, c.Issuer, got, err)
					}
					orders[key{c.Issuer, string(c.Order)}] = &placed{c.Paid.Minor, c.Paid.Minor, got, make(map[key]int64)}
				case known.paid != c.Paid.Minor:
					if !errors.Is(err, domain.ErrConflict) {
						t.Fatalf("other content of %s of %s: %+v, %v", c.Order, c.Issuer, got, err)
					}
				default:
					if known.answer.Order == "" {
						known.answer = got
					}
					known.answer.Replayed = true
					if err != nil || got != known.answer || got.Points != domain.Points(known.paid/1000) {
						t.Fatalf("%s of %s again: %+v, %v; want %+v", c.Order, c.Issuer, got, err, known.answer)
					}
				}
			},
			"return": func(t *rapid.T) {
				by := rapid.SampledFrom([]commands.Caller{till, website, agent}).Draw(t, "by")
				whose, of := caller.Draw(t, "whose"), id.Draw(t, "of")
				c := backBy(by, domain.FullID(whose.Issuer, domain.OrderID(of)), domain.ReturnID(rapid.SampledFrom([]string{"1", "2"}).Draw(t, "id")), amount.Draw(t, "amount"))
				if by.Issuer == whose.Issuer && rapid.Bool().Draw(t, "bare") {
					c.Order = domain.OrderID(of)
				}
				_, err := handler.ReturnItems(ctx, c)
				known := orders[key{whose.Issuer, of}]
				if known == nil {
					if !errors.Is(err, domain.ErrOrderNotFound) {
						t.Fatalf("a return of %s: %v", c.Order, err)
					}
					return
				}
				made := key{by.Issuer, string(c.Return)}
				back, again := known.returns[made]
				var want error
				switch {
				case again && back != c.Amount:
					want = domain.ErrConflict
				case again:
				case c.Amount > known.left:
					want = domain.ErrReturnExceedsPaid
				default:
					known.returns[made], known.left = c.Amount, known.left-c.Amount
				}
				if !errors.Is(err, want) {
					t.Fatalf("%d of %s by %s: %v, want %v", c.Amount, c.Order, by.Issuer, err, want)
				}
			},
		})
	})
}
