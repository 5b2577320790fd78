package api_test

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"loyalty/api"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/eventstore/storetest"
)

// Given a cluster that stores an append, and answers for a while that it could not tell in time what became of it
// When sixteen callers send one order at once
// Then all get the same answer, 201 or 200, and the order is stored once.
func TestOneOrderSentByManyAtOnceIsStoredOnceThoughOutcomesAreUnknown(t *testing.T) {
	const callers, unknown = 16, 84 // more than five for each caller
	_, target := storetest.Start(t)
	front := storetest.InFrontOf(t, target)
	store := storetest.Connect(t, front.Target)
	var appends atomic.Int64
	front.Answer(func(c *storetest.Call) error {
		if c.Method != storetest.MethodAppend || appends.Add(1) > unknown {
			return c.Pass()
		}
		if err := c.Swallow(); err != nil {
			return err
		}
		return storetest.Refused(codes.Aborted, "Operation timed out: Commit phase timeout.")
	})
	handler, err := commands.New(store, commands.Options{Policy: domain.DefaultPolicy(), Now: time.Now, NewID: uuid.New})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Commands = handler })
	type placed struct {
		OrderID  string `json:"orderId"`
		Points   int64  `json:"points"`
		Position string `json:"position"`
	}
	var (
		sending sync.WaitGroup
		mu      sync.Mutex
		answers = map[placed]int{}
	)
	for range callers {
		sending.Go(func() {
			got := s.send(t, exchange{method: "POST", path: "/order/o-1", as: till, body: orderOf(`"129.99"`, "ann")})
			var said placed
			if err := json.Unmarshal(got.body, &said); err != nil || got.status != 201 && got.status != 200 {
				t.Errorf("%d %s, %v", got.status, got.body, err)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[said]++
		})
	}
	sending.Wait()
	if len(answers) != 1 {
		t.Errorf("the answers are %v", answers)
	}
	events, _, err := store.Load(t.Context(), "order-store.o-1")
	if err != nil || len(events) != 2 {
		t.Errorf("%d events are stored, %v", len(events), err)
	}
	for said := range answers {
		if said.OrderID != "o-1" || said.Points != 13 || said.Position != events[1].Position.String() {
			t.Errorf("the answer is %+v", said)
		}
	}
}

// Given an event store that answers appends, or all calls, with each status that there is
// When an order is sent
// Then it is 503 with Retry-After where a repeat may be answered otherwise, within 3 s; and the repeat is 201 once the store is well.
func TestAnOrderIsToBeRepeatedWhateverTheStoreAnswers(t *testing.T) {
	t.Parallel() // it waits more than it works
	_, target := storetest.Start(t)
	front := storetest.InFrontOf(t, target)
	handler, err := commands.New(storetest.Connect(t, front.Target), commands.Options{Policy: domain.DefaultPolicy(), Now: time.Now, NewID: uuid.New})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Commands = handler })
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		order := exchange{method: "POST", path: "/order/" + code.String(), as: till, body: orderOf(`"129.99"`, "ann")}
		front.Answer(func(c *storetest.Call) error {
			c.Drain()
			return storetest.Refused(code, "no")
		})
		want := 503
		if code == codes.InvalidArgument || code == codes.DataLoss {
			want = 500
		}
		began := time.Now()
		got := s.send(t, order)
		if took := time.Since(began); got.status != want || got.header.Get("Retry-After") == "" && want == 503 || took > 3*time.Second {
			t.Errorf("%s: %d after %s: %s", code, got.status, took, got.body)
		}
		front.Answer(nil)
		if got := s.send(t, order); got.status != 201 {
			t.Errorf("after %s: %d %s", code, got.status, got.body)
		}
	}
}
