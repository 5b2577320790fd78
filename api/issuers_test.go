package api_test

import (
	"fmt"
	"strings"
	"testing"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/domain"
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
