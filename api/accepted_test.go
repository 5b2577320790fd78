package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"loyalty/domain"
)

type placed struct {
	OrderID  string
	Status   string
	Points   int
	Position domain.Position
}

type returned struct {
	ReturnID       string
	PointsReversed int
	Position       domain.Position
	Preview        bool
}

type adjusted struct {
	LoyaltyID string
	Status    string
	Points    int
	Position  domain.Position
	Preview   bool
}

// orderOf is the body of an order in pounds; customer may be empty.
func orderOf(amount, customer string) string {
	if customer != "" {
		customer = fmt.Sprintf(`, "customerId": %q`, customer)
	}
	return fmt.Sprintf(`{"ItemIds": ["sku-1", "sku-2"], "paymentDetails": {"amount": %s, "currency": "GBP", "method": "card"}%s}`, amount, customer)
}

// after is a header that asks for an answer which reflects a position.
func after(p domain.Position) http.Header {
	return http.Header{"Loyalty-Min-Position": {p.String()}}
}

// replayed wants an answer to say whether it was given before.
func replayed(t *testing.T, a answer, want bool) {
	t.Helper()
	if got := a.header.Get("Idempotent-Replayed") == "true"; got != want {
		t.Errorf("Idempotent-Replayed is %t, want %t", got, want)
	}
}

// runAccepted tells the story of a few customers, in which every route does what it is for.
func runAccepted(t *testing.T, doc *document) {
	s := startStack(t, doc)
	first := exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf(`"129.99"`, "ann"), status: 201}
	order := decode[placed](t, s.do(t, first))
	t.Run("an order earns its points", func(t *testing.T) {
		if order.OrderID != "o-1" || order.Status != "placed" || order.Points != 13 || order.Position == (domain.Position{}) {
			t.Errorf("got %+v", order)
		}
	})
	t.Run("the same order again gives the first answer and appends nothing", func(t *testing.T) {
		end, again := s.end(), first
		again.status = 200
		a := s.do(t, again)
		replayed(t, a, true)
		if got := decode[placed](t, a); got != order {
			t.Errorf("got %+v, the first time %+v", got, order)
		}
		keyless := exchange{as: support, method: "POST", path: "/loyalty/ann?preview=true", body: `{"loyalty-points": 5, "reason": "goodwill"}`, status: 200,
			header: http.Header{"Idempotency-Key": nil}}
		if got := decode[adjusted](t, s.do(t, keyless)); got.Status != "made" || !got.Preview {
			t.Errorf("without a key the preview is %+v", got)
		}
		if s.end() != end {
			t.Error("something was appended")
		}
	})
	t.Run("an amount is a string or a number, with two decimals or less, null is absent", func(t *testing.T) {
		for i, amount := range []string{`"15"`, `15`, `15.0`, `"15.00"`, `15.00`} {
			body := fmt.Sprintf(`{"ItemIds": ["a"], "paymentDetails": {"amount": %s, "currency": "EUR", "method": null}, "customerId": null}`, amount)
			x := exchange{as: customerWithOrder("bob"), method: "POST", path: fmt.Sprintf("/order/bob-%d", i), body: body, status: 201}
			if got := decode[placed](t, s.do(t, x)).Points; got != 1 {
				t.Errorf("%s EUR earned %d points, want 1", amount, got)
			}
		}
	})
	t.Run("a customer's order is their own, whether they say so or not", func(t *testing.T) {
		s.do(t, exchange{as: customerWithOrder("ann"), method: "POST", path: "/order/o-2", body: orderOf(`20`, "ann"), status: 201})
		a := s.do(t, exchange{as: customerWithOrder("ann"), method: "POST", path: "/order/o-2", body: orderOf(`20`, ""), status: 200})
		replayed(t, a, true)
	})
	t.Run("a return takes back what its amount had earned, once", func(t *testing.T) {
		x := exchange{as: support, method: "POST", path: "/order/store.o-1/returns/r-1", body: `{"amount": "40.00", "reason": "too small"}`, status: 201}
		a := s.do(t, x)
		replayed(t, a, false)
		got := decode[returned](t, a)
		if got.ReturnID != "r-1" || got.PointsReversed != 4 {
			t.Errorf("got %+v", got)
		}
		x.status = 200
		again := s.do(t, x)
		replayed(t, again, true)
		if decode[returned](t, again) != got {
			t.Errorf("got %s again, the first time %+v", again.body, got)
		}
		s.do(t, exchange{as: till, method: "POST", path: "/order/o-1/returns/r-2", body: `{"amount": 0.01}`, status: 201})
	})
	t.Run("an adjustment is made once under its key, quoted or not", func(t *testing.T) {
		x := exchange{as: support, method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 25, "reason": "goodwill"}`, status: 201,
			header: http.Header{"Idempotency-Key": {"key-1"}}}
		got := decode[adjusted](t, s.do(t, x))
		if got.LoyaltyID != "staff.key-1" {
			t.Errorf("got %+v", got)
		}
		x.status = 200
		again := s.do(t, x)
		replayed(t, again, true)
		if decode[adjusted](t, again) != got {
			t.Errorf("got %s again, the first time %+v", again.body, got)
		}
		x.header = http.Header{"Idempotency-Key": {`"key-1"`}}
		replayed(t, s.do(t, x), true)
		free := exchange{as: awarder, method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": -5, "reason": "correction"}`, status: 201}
		one, two := decode[adjusted](t, s.do(t, free)), decode[adjusted](t, s.do(t, free))
		if one.LoyaltyID == two.LoyaltyID {
			t.Errorf("both are %+v", one)
		}
	})
	t.Run("what is more than one may give alone waits for a second person", func(t *testing.T) {
		colleague := support
		colleague.Subject = "agent-2"
		ask := func(key string) exchange {
			return exchange{as: support, method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 1001, "reason": "lost parcel"}`, status: 202,
				header: http.Header{"Idempotency-Key": {key}}}
		}
		decide := func(key, how, body string, status int) exchange {
			return exchange{as: colleague, method: "POST", path: "/loyalty/ann/adjustments/staff." + key + "/" + how, body: body, status: status}
		}
		for _, c := range []struct{ key, how, body, status string }{{"big-1", "approval", "", "made"}, {"big-2", "refusal", `{"reason": "no receipt"}`, "declined"}} {
			waiting := decode[adjusted](t, s.do(t, ask(c.key)))
			if c.how == "approval" {
				end := s.end()
				if got := decode[adjusted](t, s.do(t, decide(c.key, "approval?preview=true", "", 200))); got.Status != "made" || got.Points != 1001 || !got.Preview || got.Position != (domain.Position{}) {
					t.Errorf("the preview of an approval is %+v", got)
				}
				if s.end() != end {
					t.Error("the preview of an approval appended something")
				}
			}
			if waiting.LoyaltyID != "staff."+c.key || waiting.Status != "waiting" || waiting.Points != 1001 || waiting.Position == (domain.Position{}) {
				t.Errorf("asked for %s: got %+v", c.key, waiting)
			}
			decided := decode[adjusted](t, s.do(t, decide(c.key, c.how, c.body, 201)))
			if decided.Status != c.status || !waiting.Position.Before(decided.Position) {
				t.Errorf("%s of %s: got %+v", c.how, c.key, decided)
			}
			again := s.do(t, decide(c.key, c.how, c.body, 200))
			replayed(t, again, true)
			if decode[adjusted](t, again) != decided {
				t.Errorf("%s of %s again: got %s", c.how, c.key, again.body)
			}
		}
	})
	t.Run("a preview says what would happen and appends nothing", func(t *testing.T) {
		end := s.end()
		for _, c := range []struct {
			path, body string
			want       any
		}{
			{"/loyalty/ann?preview=true", `{"loyalty-points": 5, "reason": "goodwill"}`, adjusted{LoyaltyID: "staff.p-1", Status: "made", Points: 5, Preview: true}},
			{"/loyalty/ann?preview=true", `{"loyalty-points": 5000, "reason": "goodwill"}`, adjusted{LoyaltyID: "staff.p-1", Status: "waiting", Points: 5000, Preview: true}},
			{"/order/store.o-1/returns/r-9?preview=true", `{"amount": "1.00"}`, nil},
		} {
			a := s.do(t, exchange{as: support, method: "POST", path: c.path, body: c.body, status: 200, header: http.Header{"Idempotency-Key": {"p-1"}}})
			replayed(t, a, false)
			if c.want == nil {
				if got := decode[returned](t, a); got.ReturnID != "r-9" || !got.Preview || got.Position != (domain.Position{}) {
					t.Errorf("got %+v", got)
				}
			} else if got := decode[adjusted](t, a); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		}
		if s.end() != end {
			t.Error("something was appended")
		}
		s.do(t, exchange{as: support, method: "POST", path: "/loyalty/ann?preview=false", body: `{"loyalty-points": 5, "reason": "goodwill"}`, status: 201})
	})
	for _, who := range []exchange{{name: "a customer", as: ann}, {name: "support", as: support}} {
		t.Run(who.name+" reads a dashboard and a trail", func(t *testing.T) {
			s.do(t, exchange{as: who.as, method: "GET", path: "/loyalty/ann?top=1&around=0", header: after(s.end()), status: 200})
			s.do(t, exchange{as: who.as, method: "GET", path: "/loyalty/ann/trail?limit=2", header: after(s.end()), status: 200})
		})
	}
	t.Run("an escaped id is the id", func(t *testing.T) {
		s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/%61nn", status: 200})
	})
}
