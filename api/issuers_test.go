package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/domain"
	deciding "loyalty/domain/order"
	"loyalty/eventstore"
)

var webshop = auth.Claims{Subject: "shop-1", Role: auth.RoleChannel, Channel: domain.Website}

// Given somebody who takes the numbers of a till beforehand, and a website that counts as the till does
// When the till places its orders, one by one and in a batch
// Then each is placed, and everybody sees their own under the id that they gave.
func TestNobodysNumberIsTakenByAnother(t *testing.T) {
	s := startStack(t, loadDocument(t))
	mallory := customerWithOrder("mallory-7Q")
	for i, as := range []auth.Claims{mallory, webshop, till} {
		for n := range 3 {
			body := orderOf(fmt.Sprint(10*(i+1)), map[bool]string{true: "ann"}[as.Role == auth.RoleChannel])
			x := exchange{as: as, method: "POST", path: fmt.Sprintf("/order/till-0417-%d", n), body: body, status: 201}
			if got := decode[placed](t, s.do(t, x)); got.OrderID != fmt.Sprintf("till-0417-%d", n) || got.Points != i+1 {
				t.Errorf("%s: %+v", as.Subject, got)
			}
			x.status = 200
			s.do(t, x)
		}
	}
	s.do(t, exchange{as: mallory, method: "POST", path: "/order/till-0417-3", body: orderOf(`10`, ""), status: 201})
	want := []string{"1 till-0417-2 conflict 0 ", "2 till-0417-3 placed 3 ", "3 till-0417-3 replayed 3 "}
	for i, a := range s.batch(t, lineOf("till-0417-2", `30`, "ann"), lineOf("till-0417-3", `30`, "ann"), lineOf("till-0417-3", `30`, "ann")) {
		if a.String() != want[i] {
			t.Errorf("got %s, want %s", a, want[i])
		}
	}

	t.Run("search finds each channel's, and a customer's own by its full id", func(t *testing.T) {
		for q, want := range map[string]string{
			"till-0417-0": "website.till-0417-0 store.till-0417-0", "store.till-0417-0": "store.till-0417-0", "customer.mallory-7Q.till-0417-0": "customer.mallory-7Q.till-0417-0",
			"customer.ann.till-0417-0": "", "mobile.till-0417-0": "",
		} {
			var got []string
			for _, m := range get[found](t, s, support, "/search?q="+q).Matches {
				got = append(got, m.OrderID)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s finds %v, want %s", q, got, want)
			}
		}
	})

	t.Run("a store takes back what the website or a customer sold, if it says so", func(t *testing.T) {
		for _, c := range []struct{ order, points string }{{"till-0417-0", "3"}, {"website.till-0417-0", "2"}, {"store.till-0417-1", "3"}, {"customer.mallory-7Q.till-0417-0", "1"}} {
			x := exchange{as: till, method: "POST", path: "/order/" + c.order + "/returns/r-1", body: `{"amount": "` + c.points + `0.00"}`, status: 201}
			if got := decode[returned](t, s.do(t, x)); got.ReturnID != "r-1" || fmt.Sprint(got.PointsReversed) != c.points {
				t.Errorf("of %s it takes back %+v", c.order, got)
			}
		}
		missing := exchange{as: support, method: "POST", path: "/order/till-0417-1/returns/r-1", body: `{"amount": 1}`, status: 404, code: "not_found"}
		if got := s.do(t, missing); !strings.Contains(string(got.body), "full id, such as website.o-1") {
			t.Errorf("it does not say how to write it: %s", got.body)
		}
	})
}

// A line of the log names the order as its customer did, never by its full id, which has the customer in it.
func TestTheLogNamesACustomersOwnOrderWithoutThem(t *testing.T) {
	s := startStack(t, loadDocument(t))
	alice := customerWithOrder("alice-7Q")
	s.do(t, exchange{as: alice, method: "POST", path: "/order/o-8Q", body: orderOf(`10`, ""), status: 201})
	s.do(t, exchange{as: alice, method: "POST", path: "/order/o-8Q", body: orderOf(`20`, ""), status: 409, code: "conflict"})
	back := exchange{as: till, method: "POST", path: "/order/customer.alice-7Q.o-8Q/returns/r-1", body: `{"amount": 99}`, status: 422, code: "return_exceeds_paid"}
	s.do(t, back)
	away := serve(t, loadDocument(t), func(c *api.Config) { c.Commands = s.commands })
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	back.status, back.code = 503, "unavailable"
	away.do(t, back)
	away.do(t, exchange{as: alice, method: "POST", path: "/order/o-9Q", body: orderOf(`10`, ""), status: 503, code: "unavailable"})
	log := s.log.String() + away.log.String()
	if strings.Contains(log, "alice-7Q") || !strings.Contains(log, "order o-8Q: ") || !strings.Contains(log, "order o-9Q: ") {
		t.Errorf("the log is\n%s", log)
	}
}

// Given an order and a return that an earlier version stored under bare ids
// When channels and support go on with them
// Then nothing is doubled, and all of it is returned, found and explained.
func TestWhatAnEarlierVersionStoredGoesOnOverHTTP(t *testing.T) {
	s := startStack(t, loadDocument(t))
	paid := domain.Money{Minor: 129_99, Currency: domain.GBP}
	state, revision := deciding.State{}, eventstore.NoStream
	for _, command := range []deciding.Command{
		deciding.Place{Order: "o-1", Customer: "ann", Items: []string{"sku-1", "sku-2"}, Paid: paid, Method: "card", Policy: domain.DefaultPolicy(), At: time.Now()},
		deciding.Return{Order: "o-1", Return: "r-1", Amount: 40_00, At: time.Now()},
	} {
		events, err := deciding.Decide(command, state)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.store.Append(t.Context(), "order-o-1", revision, uuid.New(), eventstore.Metadata{Actor: till.Subject, Channel: till.Channel}, events...); err != nil {
			t.Fatal(err)
		}
		for _, event := range events {
			state = deciding.Evolve(state, event)
		}
		revision += int64(len(events))
	}
	x := exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf(`"129.99"`, "ann"), status: 200}
	s.do(t, x)
	x.body, x.status, x.code = orderOf(`"130.00"`, "ann"), 409, "conflict"
	s.do(t, x)
	x.as, x.status, x.code = webshop, 201, ""
	s.do(t, x) // the website's own
	back := exchange{as: till, method: "POST", path: "/order/o-1/returns/r-1", body: `{"amount": "40.00"}`, status: 200}
	s.do(t, back)
	back.as, back.status = support, 201 // another than the till's
	s.do(t, back)

	end := s.end()
	var ids []string
	for _, e := range decode[trail](t, s.do(t, exchange{as: support, method: "GET", path: "/loyalty/ann/trail?order=o-1", header: after(end), status: 200})).Entries {
		ids = append(ids, strings.TrimSpace(e.ReturnID+" "+e.OrderID))
		explained := get[explanation](t, s, support, "/loyalty/ann/entries/"+e.EntryID)
		if !explained.Proof.Agrees {
			t.Errorf("%s: %+v", e.EntryID, explained.Proof)
		}
	}
	if got := strings.Join(ids, ", "); got != "staff.r-1 o-1, website.o-1, r-1 o-1, o-1" {
		t.Errorf("the trail has %s", got)
	}
	ids = nil
	for _, m := range get[found](t, s, support, "/search?q=o-1").Matches {
		ids = append(ids, m.OrderID)
	}
	if got := strings.Join(ids, ", "); got != "o-1, website.o-1" {
		t.Errorf("search finds %s", got)
	}
}
