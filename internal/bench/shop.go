package bench

import (
	"fmt"
	"math"
	"strconv"

	"loyalty/domain"
)

// shop is the generated customers of a benchmark and their orders. Everything is computed from an order's number, so that the audit knows
// what to expect without a record of it.
type shop struct {
	// run distinguishes the orders and customers of this run from those of other runs.
	run       string
	customers int
}

// Amounts have a log-normal distribution with this median in minor units and, for the logarithm, this standard deviation. With this skew
// half of the orders are from a sixteenth of the customers. Both are assumptions.
const (
	medianMinor = 3500
	minorSpread = 1.0
	skew        = 4
	euroShare   = 10 // one order in so many is in euros
	mostItems   = 5
)

// madeOrder is a generated order.
type madeOrder struct {
	number   uint64
	customer int
	minor    int64
	currency string
	items    int
}

// order generates the order with a number, from 0.
func (s shop) order(number uint64) madeOrder {
	one, two := mix(3*number), mix(3*number+1)
	o := madeOrder{number: number, minor: 1 + int64(medianMinor*math.Exp(minorSpread*normal(one, two))), currency: "GBP"}
	three := mix(3*number + 2)
	o.customer = min(int(float64(s.customers)*math.Pow(float64(three>>11)/(1<<53), skew)), s.customers-1)
	o.items = 1 + int(two%mostItems)
	if one%euroShare == 0 {
		o.currency = "EUR"
	}
	return o
}

// points is what an order earns, computed independently of package domain: a point per 10.00 GBP or 11.50 EUR, rounded to the nearest,
// halves up.
func (o madeOrder) points() int64 {
	each := int64(1000)
	if o.currency == "EUR" {
		each = 1150
	}
	return (2*o.minor + each) / (2 * each)
}

func (s shop) customerID(customer int) string { return fmt.Sprintf("bench-%s-c%d", s.run, customer) }

// appendOrderID appends an order's id to b.
func (s shop) appendOrderID(b []byte, number uint64) []byte {
	b = append(b, "bench-"...)
	b = append(b, s.run...)
	return strconv.AppendUint(append(b, '-'), number, 10)
}

// orderNumber is the number of an order by its full id, and false if it is not of this run.
func (s shop) orderNumber(full string) (uint64, bool) {
	_, id := domain.SplitID(full)
	prefix := string(s.appendOrderID(nil, 0))
	prefix = prefix[:len(prefix)-1]
	if len(id) <= len(prefix) || id[:len(prefix)] != prefix {
		return 0, false
	}
	number, err := strconv.ParseUint(id[len(prefix):], 10, 64)
	return number, err == nil
}

// appendBody appends the JSON of an order to b.
func (s shop) appendBody(b []byte, o madeOrder) []byte {
	b = append(b, `{"ItemIds":[`...)
	for i := range o.items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `"sku-`...)
		b = strconv.AppendUint(b, mix(o.number<<8+uint64(i))%100_000, 10)
		b = append(b, '"')
	}
	b = append(b, `],"paymentDetails":{"amount":"`...)
	b = strconv.AppendInt(b, o.minor/100, 10)
	b = append(b, '.', byte('0'+o.minor%100/10), byte('0'+o.minor%10))
	b = append(b, `","currency":"`...)
	b = append(b, o.currency...)
	b = append(b, `","method":"card"},"customerId":"`...)
	b = append(b, s.customerID(o.customer)...)
	return append(b, `"}`...)
}
