package bench

import (
	"encoding/json"
	"testing"

	"loyalty/domain"
)

func TestTheShopOfTheBench(t *testing.T) {
	s := shop{run: "r", customers: 1000}
	policy := domain.DefaultPolicy()
	few, euros := 0, 0
	const orders = 20_000
	for n := range uint64(orders) {
		o := s.order(n)
		points, err := policy.Points(domain.Money{Minor: o.minor, Currency: domain.Currency(o.currency)})
		if err != nil || int64(points) != o.points() {
			t.Fatalf("%+v is worth %d points, %v; the bench says %d", o, points, err, o.points())
		}
		if o != s.order(n) || o.customer < 0 || o.customer >= s.customers || o.items < 1 || o.items > mostItems {
			t.Fatalf("%+v", o)
		}
		if back, ok := s.orderNumber("website." + string(s.appendOrderID(nil, n))); !ok || back != n {
			t.Fatalf("order %d has the id of %d, %v", n, back, ok)
		}
		if o.customer < s.customers/16 {
			few++
		}
		if o.currency == "EUR" {
			euros++
		}
		if !json.Valid(s.appendBody(nil, o)) {
			t.Fatalf("%s", s.appendBody(nil, o))
		}
	}
	if few < orders*45/100 || few > orders*55/100 || euros < orders*8/100 || euros > orders*12/100 {
		t.Errorf("%d of %d orders are of a sixteenth of the customers, %d in euros", few, orders, euros)
	}
	for _, id := range []string{"", "r-1", "bench-r-", "bench-r", "bench-other-1", "bench-r-x"} {
		if _, ok := s.orderNumber(id); ok {
			t.Errorf("%q is taken for one of this run", id)
		}
	}
}
