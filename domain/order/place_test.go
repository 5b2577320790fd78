package order_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/order"
)

func TestPlace(t *testing.T) {
	newPolicy := domain.Policy{ID: "2027-01", SpendPerPoint: map[domain.Currency]int64{domain.EUR: 575}}
	check(t,
		scenario{
			name: "an order earns its points in the same append",
			when: place(129_99),
			then: placed(129_99, 13),
		},
		scenario{
			name: "an order too small to earn is still an order, with an award of no points",
			when: place(4_99),
			then: placed(4_99, 0),
		},
		scenario{
			name: "an order that cost nothing is an order",
			when: place(0),
			then: placed(0, 0),
		},
		scenario{
			name: "euros earn by the price of euros",
			when: place(23_00, func(c *order.Place) { c.Paid.Currency = domain.EUR; c.Method = "" }),
			then: []domain.Event{
				order.Placed{About: about(noon), OrderID: "o-1", Items: []string{"tea", "mug"}, Paid: domain.Money{Minor: 23_00, Currency: domain.EUR}},
				order.PointsAwarded{About: about(noon), OrderID: "o-1", Points: 2, Paid: domain.Money{Minor: 23_00, Currency: domain.EUR}, Policy: domain.DefaultPolicy()},
			},
		},
		scenario{
			name:  "the same order again changes nothing",
			given: placed(129_99, 13),
			when:  place(129_99),
		},
		scenario{
			name:  "the same order again changes nothing at a later time and under another policy, even one without its currency",
			given: placed(129_99, 13),
			when:  place(129_99, func(c *order.Place) { c.At = later; c.Policy = newPolicy }),
		},
		scenario{
			name:  "the same order again changes nothing after a return",
			given: history(placed(129_99, 13), returned("r-1", 129_99, 0, 13)),
			when:  place(129_99),
		},
		scenario{
			name:    "an amount beyond what one event may hold is refused, never rounded",
			when:    place(int64(domain.MaxChange)*1000 + 500),
			refused: domain.ErrOrderPoints,
		},
		scenario{
			name: "an amount at what one event may hold is taken",
			when: place(int64(domain.MaxChange)*1000 + 499),
			then: placed(int64(domain.MaxChange)*1000+499, domain.MaxChange),
		},
		scenario{name: "an order may earn its limit", when: place(13_499, capped(13)), then: placed(13_499, 13)},
		scenario{name: "an order may not earn a point more", when: place(13_500, capped(13)), refused: domain.ErrOrderPoints},
		scenario{name: "an order stored before is the same under a lower limit", given: placed(129_99, 13), when: place(129_99, capped(1))},
		scenario{
			name: "and its id conflicts as before, above the limit too", given: placed(129_99, 13),
			when: place(150_00, capped(1)), refused: domain.ErrConflict,
		},
	)
}

func capped(points domain.Points) func(*order.Place) {
	return func(c *order.Place) { c.MaxPoints = points }
}

func TestPlace_with_an_id_used_for_another_order_conflicts(t *testing.T) {
	for name, change := range map[string]func(*order.Place){
		"another customer":  func(c *order.Place) { c.Customer = "c-2" },
		"another amount":    func(c *order.Place) { c.Paid.Minor++ },
		"another currency":  func(c *order.Place) { c.Paid.Currency = domain.EUR },
		"another method":    func(c *order.Place) { c.Method = "cash" },
		"another item":      func(c *order.Place) { c.Items = []string{"tea", "cup"} },
		"an item more":      func(c *order.Place) { c.Items = []string{"tea", "mug", "cup"} },
		"items in disorder": func(c *order.Place) { c.Items = []string{"mug", "tea"} },
	} {
		check(t, scenario{name: name, given: placed(129_99, 13), when: place(129_99, change), refused: domain.ErrConflict})
	}
}

func TestPlace_refuses_bad_input_by_field(t *testing.T) {
	bad := func(name string, change func(*order.Place), fields ...string) scenario {
		return scenario{name: name, when: place(129_99, change), refused: domain.ErrInvalid, fields: fields}
	}
	check(t,
		bad("no items", func(c *order.Place) { c.Items = nil }, "ItemIds items_empty"),
		bad("too many items", func(c *order.Place) { c.Items = items(order.MaxItems + 1) }, "ItemIds items_too_many"),
		bad("an item without an id", func(c *order.Place) { c.Items = []string{"tea", ""} }, "ItemIds[1] id_missing"),
		bad("items with bad ids, each named",
			func(c *order.Place) { c.Items = []string{"a b", "tea", strings.Repeat("x", 65)} },
			"ItemIds[0] id_malformed", "ItemIds[2] id_too_long"),
		bad("a method too long", func(c *order.Place) { c.Method = strings.Repeat("x", order.MaxMethodLength+1) }, "paymentDetails.method method_too_long"),
		bad("a method that is a card number", func(c *order.Place) { c.Method = "4929138475551234" }, "paymentDetails.method method_malformed"),
		bad("a method of two lines", func(c *order.Place) { c.Method = "card\ncash" }, "paymentDetails.method method_malformed"),
		bad("a currency without a price", func(c *order.Place) { c.Paid.Currency = "USD" }, "paymentDetails.currency currency_not_in_policy"),
		bad("a negative amount", func(c *order.Place) { c.Paid.Minor = -1 }, "paymentDetails.amount amount_negative"),
		bad("no policy", func(c *order.Place) { c.Policy = domain.Policy{} }, "policy.id policy_id_missing"),
		bad("every mistake at once",
			func(c *order.Place) { c.Items, c.Method, c.Policy.SpendPerPoint = nil, "\x00", nil },
			"paymentDetails.method method_malformed", "policy.spendPerPoint policy_empty", "ItemIds items_empty"),
	)
}

func TestPlace_refuses_bad_input_before_it_looks_at_the_order(t *testing.T) {
	check(t, scenario{
		name: "placed already", given: placed(129_99, 13), when: place(129_99, func(c *order.Place) { c.Items = nil }),
		refused: domain.ErrInvalid, fields: []string{"ItemIds items_empty"},
	})
}

func TestPlace_takes_as_many_items_as_it_says(t *testing.T) {
	events, err := order.Decide(place(10_00, func(c *order.Place) { c.Items = items(order.MaxItems) }), order.State{})
	if err != nil || len(events) != 2 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestPlace_says_which_order_is_at_fault(t *testing.T) {
	_, err := order.Decide(place(1_00), fold(placed(2_00, 0)...))
	if !errors.Is(err, domain.ErrConflict) || !strings.Contains(err.Error(), "o-1") {
		t.Errorf("got %v", err)
	}
}

func TestDecide_writes_every_time_in_UTC(t *testing.T) {
	summer := time.FixedZone("BST", 3600)
	opened, err := order.Decide(place(15_00, func(c *order.Place) { c.At = noon.In(summer) }), order.State{})
	if err != nil {
		t.Fatal(err)
	}
	back := giveBack("r-1", 5_00)
	back.At = later.In(summer)
	closed, err := order.Decide(back, fold(opened...))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range history(opened, closed) {
		if e.Occurred().Location() != time.UTC {
			t.Errorf("%s occurred at %s", e.EventType(), e.Occurred())
		}
	}
}

func items(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint("item-", i)
	}
	return all
}
