// Package replay folds the history again, from the log or from an export of it, as of any moment and under any earning policy,
// without touching a read model. What it takes for a customer is about what projections.Fold does, 120 bytes.
package replay

import (
	"fmt"
	"time"

	"loyalty/domain"
)

// entry is an event as the fold takes it. Its texts are valid during the call only.
type entry struct {
	kind          kind
	customer      int32 // its number in the fold
	currency      currency
	channel       channel // of the event
	at            int64   // when it occurred, microseconds since 1970
	points        int64   // by how much they change
	before, after int64   // minor units of an order before and after: an award's before is 0, a reversal's after what is left
	order         []byte
}

// kind is what an event does.
type kind uint8

const (
	other kind = iota // nothing that counts here
	award
	reversal
	adjustment
	forgotten
)

// channel is the place of a channel in a table; 0 is any, or none.
type channel uint8

const (
	anyChannel channel = iota
	website
	mobile
	inStore
	channels
)

var channelNames = [channels]string{"", string(domain.Website), string(domain.Mobile), string(domain.Store)}

func knownChannel(text string) (channel, bool) {
	for c, name := range channelNames {
		if name == text {
			return channel(c), true
		}
	}
	return anyChannel, false
}

// The two ways in which a history is folded: as it was, and under the policy that is tried out.
const (
	actual = iota
	tried
	ways
)

// total is what a customer has in one of the ways.
type total struct {
	reached int64 // microseconds since 1970, when it last changed
	points  int32
	moved   bool // it has ever changed
}

// customer is all that the history says of one.
type customer struct {
	id      domain.CustomerID
	totals  [ways]total
	entries int32
	gone    bool // forgotten
}

// Sums are what the entries of a history, or of a part of it, come to.
type Sums struct {
	Orders      int64 `json:"orders"`
	Returns     int64 `json:"returns"`
	Adjustments int64 `json:"adjustments"`
	// Awarded and Reversed are points given for orders and taken back for returns, Adjusted the sum of all changes by hand, and
	// Net what is left: of a whole history, the points outstanding.
	Awarded  int64 `json:"awarded"`
	Reversed int64 `json:"reversed"`
	Adjusted int64 `json:"adjusted"`
	Net      int64 `json:"net"`
}

// By is what a history is broken down by.
type By string

// The ways to break a history down. An entry counts where it belongs by itself: a return in the month and channel of the return.
const (
	ByNothing  By = ""
	ByChannel  By = "channel"
	ByMonth    By = "month"
	ByCurrency By = "currency"
)

// ParseBy reads a By. The error is domain.ErrInvalid and names field.
func ParseBy(field, text string) (By, error) {
	switch by := By(text); by {
	case ByNothing, ByChannel, ByMonth, ByCurrency:
		return by, nil
	}
	return "", domain.Invalid(field, "by_unknown", "say channel, month or currency")
}

// History is a history that was folded. It is for one goroutine.
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
	factors  factors // of the orders that have a multiplier
	buffer   []byte
	unpriced int64
	events   uint64
	position domain.Position
	stored   time.Time
}

func newHistory(p *Policy, by By) *History {
	return &History{policy: p, by: by, numbers: map[string]int32{}, parts: map[int64]*[ways]Sums{}}
}

// Position is that of the last event folded, and Stored when the event store stored it.
func (h *History) Position() domain.Position { return h.position }

// Stored is when the last event folded was stored, UTC.
func (h *History) Stored() time.Time { return h.stored }

// Events counts those that were folded.
func (h *History) Events() uint64 { return h.events }

// number is the number of a customer, who may be new.
func (h *History) number(id []byte) int32 {
	if n, known := h.numbers[string(id)]; known {
		return n
	}
	n, name := int32(len(h.customers)), string(id)
	h.numbers[name] = n
	h.customers = append(h.customers, customer{id: domain.CustomerID(name)})
	return n
}

// add folds an entry in. A total that would pass ±domain.MaxTotal, in either way, is domain.ErrPointsLimit.
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
	if err := h.count(actual, c, e, e.points); err != nil {
		return err
	}
	if h.policy == nil {
		return nil
	}
	points, err := h.tried(e)
	if err != nil {
		return err
	}
	if err := h.count(tried, c, e, points); err != nil {
		return fmt.Errorf("under policy %q: %w", h.policy.ID, err)
	}
	return nil
}

// tried is the change that an entry would have been under the policy: f(net before) − f(net after) with the multiplier of the
// order, so that the reversals of an order sum to its award.
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

func (h *History) count(way int, c *customer, e *entry, points int64) error {
	if points != 0 {
		t := &c.totals[way]
		sum, err := domain.Points(t.points).Plus(domain.Points(points))
		if err != nil {
			return err
		}
		t.points, t.reached, t.moved = int32(sum), e.at, true
	}
	h.sums[way].add(e.kind, points)
	if h.by != ByNothing {
		h.part(e)[way].add(e.kind, points)
	}
	return nil
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

// part is where an entry counts.
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
