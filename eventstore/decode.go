package eventstore

import (
	"strconv"
	"strings"
	"sync/atomic"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
)

// parser reads JSON in exactly the form in which this program writes it: the members in their order, without white space, texts
// of printable ASCII without escapes. At anything else it fails, and the caller falls back to encoding/json, which is several
// times slower. So whatever the parser accepts must mean the same to encoding/json.
type parser struct {
	text     string // what is left to read
	failed   bool
	policies *policyCache
}

// parseEvent reads an event of one of the frequent types. It is false for every other type and every other form, and for an event
// that Registry.Decode rejects. The texts of the event are parts of data.
func parseEvent(name, data string, policies *policyCache) (domain.Event, bool) {
	p := parser{text: data, policies: policies}
	event := p.event(name)
	if event == nil || p.failed || p.text != "" {
		return nil, false
	}
	return event, checkEvent(event) == nil
}

// parseMetadata reads metadata. Like parseEvent it is false for every other form.
func parseMetadata(stored string) (Metadata, bool) {
	p := parser{text: stored}
	m := p.metadata()
	return m, !p.failed && p.text == ""
}

// event calls the parser of a type directly, so that the event is allocated once.
func (p *parser) event(name string) domain.Event {
	switch name {
	case order.TypePlaced:
		var e order.Placed
		p.placed(&e)
		return e
	case order.TypePointsAwarded:
		var e order.PointsAwarded
		p.pointsAwarded(&e)
		return e
	case order.TypeItemsReturned:
		var e order.ItemsReturned
		p.itemsReturned(&e)
		return e
	case order.TypePointsReversed:
		var e order.PointsReversed
		p.pointsReversed(&e)
		return e
	case account.TypePointsAdjusted:
		var e account.PointsAdjusted
		p.pointsAdjusted(&e)
		return e
	}
	return nil
}

func (p *parser) placed(e *order.Placed) {
	p.about(&e.About)
	p.expect(`,"orderId":`)
	e.OrderID = domain.OrderID(p.string())
	p.expect(`,"itemIds":`)
	e.Items = p.strings()
	p.expect(`,"paid":`)
	p.money(&e.Paid)
	e.Method = p.optional(`,"method":`)
	p.expect(`}`)
}

func (p *parser) pointsAwarded(e *order.PointsAwarded) {
	p.about(&e.About)
	p.expect(`,"orderId":`)
	e.OrderID = domain.OrderID(p.string())
	p.expect(`,"points":`)
	e.Points = domain.Points(p.int())
	p.expect(`,"paid":`)
	p.money(&e.Paid)
	p.expect(`,"policy":`)
	p.policy(&e.Policy)
	p.expect(`}`)
}

func (p *parser) itemsReturned(e *order.ItemsReturned) {
	p.about(&e.About)
	p.expect(`,"orderId":`)
	e.OrderID = domain.OrderID(p.string())
	p.expect(`,"returnId":`)
	e.ReturnID = domain.ReturnID(p.string())
	p.expect(`,"refunded":`)
	p.money(&e.Refunded)
	e.Reason = p.optional(`,"reason":`)
	p.expect(`}`)
}

func (p *parser) pointsReversed(e *order.PointsReversed) {
	p.about(&e.About)
	p.expect(`,"orderId":`)
	e.OrderID = domain.OrderID(p.string())
	p.expect(`,"returnId":`)
	e.ReturnID = domain.ReturnID(p.string())
	p.expect(`,"points":`)
	e.Points = domain.Points(p.int())
	p.expect(`,"netBefore":`)
	p.money(&e.NetBefore)
	p.expect(`,"netAfter":`)
	p.money(&e.NetAfter)
	p.expect(`,"policy":`)
	p.policy(&e.Policy)
	e.Reason = p.optional(`,"reason":`)
	p.expect(`}`)
}

func (p *parser) pointsAdjusted(e *account.PointsAdjusted) {
	p.about(&e.About)
	p.expect(`,"loyaltyId":`)
	e.LoyaltyID = domain.LoyaltyID(p.string())
	p.expect(`,"points":`)
	e.Points = domain.Points(p.int())
	p.expect(`,"reason":`)
	e.Reason = p.string()
	p.expect(`,"actor":`)
	e.Actor = p.string()
	p.expect(`}`)
}

// metadata reads the members that there are, in their order.
func (p *parser) metadata() (m Metadata) {
	p.expect(`{`)
	separator := ""
	member := func(key string) string {
		rest, found := strings.CutPrefix(p.text, separator)
		if found {
			rest, found = strings.CutPrefix(rest, key)
		}
		if !found {
			return ""
		}
		p.text, separator = rest, ","
		return p.string()
	}
	m.Correlation = member(`"$correlationId":`)
	m.Causation = member(`"$causationId":`)
	m.Actor = member(`"actor":`)
	m.Channel = constant(domain.Channel(member(`"channel":`)), domain.Mobile, domain.Website, domain.Store)
	p.expect(`}`)
	return m
}

func (p *parser) about(a *domain.About) {
	p.expect(`{"customerId":`)
	a.CustomerID = domain.CustomerID(p.string())
	p.expect(`,"occurredAt":`)
	if err := a.OccurredAt.UnmarshalText([]byte(p.string())); err != nil {
		p.failed = true
	}
}

func (p *parser) money(m *domain.Money) {
	p.expect(`{"minor":`)
	m.Minor = p.int()
	p.expect(`,"currency":`)
	m.Currency = constant(domain.Currency(p.string()), domain.GBP, domain.EUR)
	p.expect(`}`)
}

// constant returns the constant that equals text, if there is one. The text of the event can then be freed, however long the value
// is kept.
func constant[T ~string](text T, constants ...T) T {
	for _, c := range constants {
		if text == c {
			return c
		}
	}
	return text
}

// policyCache holds the policy that was parsed last: nearly all events have the policy of the one before them.
type policyCache struct{ last atomic.Pointer[cachedPolicy] }

type cachedPolicy struct {
	text   string // as it is written
	policy domain.Policy
}

// policy reads a policy. Events of one policy share its map, which nobody changes.
func (p *parser) policy(policy *domain.Policy) {
	if known := p.policies.last.Load(); known != nil && p.accept(known.text) {
		*policy = known.policy
		return
	}
	begin := p.text
	p.expect(`{"id":`)
	policy.ID = strings.Clone(p.string())
	p.expect(`,"spendPerPoint":{`)
	policy.SpendPerPoint = map[domain.Currency]int64{}
	for more := !p.accept(`}`); more && !p.failed; {
		currency := constant(domain.Currency(p.string()), domain.GBP, domain.EUR)
		p.expect(`:`)
		policy.SpendPerPoint[currency] = p.int()
		if more = p.accept(`,`); !more {
			p.expect(`}`)
		}
	}
	p.expect(`}`)
	if !p.failed {
		p.policies.last.Store(&cachedPolicy{text: strings.Clone(begin[:len(begin)-len(p.text)]), policy: *policy})
	}
}

func (p *parser) strings() []string {
	all := []string{}
	p.expect(`[`)
	for more := !p.accept(`]`); more && !p.failed; {
		all = append(all, p.string())
		if more = p.accept(`,`); !more {
			p.expect(`]`)
		}
	}
	return all
}

// string reads a text of printable ASCII without escapes.
func (p *parser) string() string {
	p.expect(`"`)
	for i := range len(p.text) {
		switch c := p.text[i]; {
		case c == '"':
			value := p.text[:i]
			p.text = p.text[i+1:]
			return value
		case c == '\\' || c < ' ' || c > '~':
			p.failed = true
			return ""
		}
	}
	p.failed = true
	return ""
}

// int reads an integer as JSON writes it.
func (p *parser) int() int64 {
	begin := p.text
	negative := p.accept(`-`)
	var value int64
	digits := 0
	for digits < len(p.text) && '0' <= p.text[digits] && p.text[digits] <= '9' {
		value = value*10 + int64(p.text[digits]-'0')
		digits++
	}
	p.failed = p.failed || digits == 0 || digits > 1 && p.text[0] == '0'
	p.text = p.text[digits:]
	if negative {
		value = -value
	}
	if digits > 18 { // it may have overflowed
		var err error
		value, err = strconv.ParseInt(begin[:len(begin)-len(p.text)], 10, 64)
		p.failed = p.failed || err != nil
	}
	return value
}

func (p *parser) optional(key string) string {
	if !p.accept(key) {
		return ""
	}
	return p.string()
}

// accept reads what may come next.
func (p *parser) accept(text string) bool {
	rest, found := strings.CutPrefix(p.text, text)
	p.text = rest
	return found
}

// expect reads what must come next.
func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.failed = true
	}
}
