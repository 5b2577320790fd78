// Package replay folds the history again, from the log or from an export, as of any moment and under any earning policy. It does not
// touch the read models. It takes about 120 bytes of memory per customer.
package replay

import (
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
)

// entry is an event in the form in which it is folded. order is valid during the call only.
type entry struct {
	kind          kind
	customer      int32 // an index in History.customers
	currency      currency
	channel       channel
	at            int64 // when it occurred, microseconds since 1970
	points        int64 // by how much they change
	before, after int64 // what is paid for the order before and after, in minor units; before is 0 for an award
	order         []byte
}

// kind is what an event changes.
type kind uint8

const (
	other kind = iota // nothing that is folded
	award
	reversal
	adjustment
	forgotten
)

// channel is an index in channelNames; 0 is any channel, or none.
type channel uint8

const (
	anyChannel channel = iota
	website
	mobile
	inStore
	channels
)

var channelNames = [channels]string{"", string(domain.Website), string(domain.Mobile), string(domain.Store)}

func channelOf(text string) (channel, bool) {
	for c, name := range channelNames {
		if name == text {
			return channel(c), true
		}
	}
	return anyChannel, false
}

// A history is folded in two ways: with the points as they were given, and under the policy that is tried out.
const (
	actual = iota
	tried
	ways
)

// total is a customer's total in one of the ways.
type total struct {
	reached int64 // microseconds since 1970, when it last changed
	points  int64
}

// customer is the folded state of a customer.
type customer struct {
	id      domain.CustomerID
	totals  [ways]total
	entries int32
	moved   [ways]bool // whether the total has ever changed
	gone    bool       // forgotten
}

// Sums are the sums over the entries of a history, or of a part of it.
type Sums struct {
	Orders      int64 `json:"orders"`
	Returns     int64 `json:"returns"`
	Adjustments int64 `json:"adjustments"`
	// Awarded and Reversed are the points given for orders and taken back for returns, Adjusted is the sum of all adjustments, and Net
	// is Awarded − Reversed + Adjusted: for a whole history, the points outstanding.
	Awarded  int64 `json:"awarded"`
	Reversed int64 `json:"reversed"`
	Adjusted int64 `json:"adjusted"`
	Net      int64 `json:"net"`
}

// By is the dimension of a breakdown.
type By string

// The dimensions of a breakdown. A return counts in its own month and channel, not in those of its order.
const (
	ByNothing  By = ""
	ByChannel  By = "channel"
	ByMonth    By = "month"
	ByCurrency By = "currency"
)

// ParseBy parses a By. The error is domain.ErrInvalid and names field.
func ParseBy(field, text string) (By, error) {
	switch by := By(text); by {
	case ByNothing, ByChannel, ByMonth, ByCurrency:
		return by, nil
	}
	return "", domain.Invalid(field, "by_unknown", "say channel, month or currency")
}

// History is a folded history. It is not safe for concurrent use.
type History struct {
	policy    *Policy
	by        By
	numbers   map[string]int32
	customers []customer
	sums      [ways]Sums
	parts     map[int64]*[ways]Sums // by channel, currency, or the first moment of a month
	month     struct {
		from, until int64
		sums        *[ways]Sums
	}
	factors  factors // the multipliers of orders
	buffer   []byte
	unpriced int64
	events   uint64
	position domain.Position
	stored   time.Time
	// quarantined are the events that were left out by decision.
	quarantined []eventstore.Quarantined
}

func newHistory(p *Policy, by By) *History {
	return &History{policy: p, by: by, numbers: map[string]int32{}, parts: map[int64]*[ways]Sums{}}
}

// Position is the position up to which the history is folded.
func (h *History) Position() domain.Position { return h.position }

// Stored is when the event store stored the last event folded, UTC.
func (h *History) Stored() time.Time { return h.stored }

// Events is the number of events folded.
func (h *History) Events() uint64 { return h.events }

// number is the index of a customer in customers. A new customer is added.
func (h *History) number(id []byte) int32 {
	if n, known := h.numbers[string(id)]; known {
		return n
	}
	n, name := int32(len(h.customers)), string(id)
	h.numbers[name] = n
	h.customers = append(h.customers, customer{id: domain.CustomerID(name)})
	return n
}

// add folds an entry. An order that would earn too much under the policy is domain.ErrOrderPoints.
func (h *History) add(e *entry) error {
	c := &h.customers[e.customer]
	switch e.kind {
	case forgotten:
		c.gone = true
		return nil
	case other:
		return nil
	}
	c.entries++
	h.count(actual, c, e, e.points)
	if h.policy == nil {
		return nil
	}
	points, err := h.tried(e)
	if err != nil {
		return err
	}
	h.count(tried, c, e, points)
	return nil
}

// tried is the change of points under the policy. For a reversal it is f(net after) − f(net before) with the multiplier of the order,
// so that the award and all reversals of an order sum to f(net after the last).
func (h *History) tried(e *entry) (int64, error) {
	var multiplier uint8
	switch e.kind {
	case adjustment:
		return e.points, nil
	case award:
		if h.policy.spend[e.currency] == 0 {
			h.unpriced++
		}
		if len(h.policy.multipliers) > 0 {
			if multiplier = h.policy.multiplier(e.channel, e.at); multiplier > 0 {
				h.factors.set(e.order, multiplier)
			}
		}
		return h.policy.points(e.after, e.currency, multiplier)
	}
	multiplier = h.factors.of(e.order)
	before, err := h.policy.points(e.before, e.currency, multiplier)
	if err != nil {
		return 0, err
	}
	after, err := h.policy.points(e.after, e.currency, multiplier)
	return after - before, err
}

func (h *History) count(way int, c *customer, e *entry, points int64) {
	if points != 0 {
		t := &c.totals[way]
		t.points, t.reached, c.moved[way] = t.points+points, e.at, true
	}
	h.sums[way].add(e.kind, points)
	if h.by != ByNothing {
		h.part(e)[way].add(e.kind, points)
	}
}

func (s *Sums) add(k kind, points int64) {
	switch k {
	case award:
		s.Orders++
		s.Awarded += points
	case reversal:
		s.Returns++
		s.Reversed -= points
	case adjustment:
		s.Adjustments++
		s.Adjusted += points
	}
	s.Net += points
}

// part is the part of the breakdown in which an entry counts.
func (h *History) part(e *entry) *[ways]Sums {
	var key int64
	switch h.by {
	case ByChannel:
		key = int64(e.channel)
	case ByCurrency:
		key = int64(e.currency)
	case ByMonth:
		if h.month.from <= e.at && e.at < h.month.until {
			return h.month.sums
		}
		at := time.UnixMicro(e.at).UTC()
		first := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
		key = first.UnixMicro()
		h.month.from, h.month.until = key, first.AddDate(0, 1, 0).UnixMicro()
	}
	sums := h.parts[key]
	if sums == nil {
		sums = &[ways]Sums{}
		h.parts[key] = sums
	}
	if h.by == ByMonth {
		h.month.sums = sums
	}
	return sums
}
