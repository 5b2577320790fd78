package export

import (
	"strconv"
	"strings"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

// scanner reads the most frequent events in exactly the form in which this program stores them, several times as fast as a decoder
// of JSON at large. It is bad as soon as it meets anything else: another order of fields, white space, an escaped or other than
// ASCII character, a field left out or one too many. Whoever uses it then has the registry decode the event, so what it takes
// must mean the same to both.
type scanner struct {
	text string
	bad  bool
	// policy is the one last read, and policyText how it was written: it is nearly always the same.
	policy     domain.Policy
	policyText string
}

// scan reads an event and its metadata; false where the registry has to.
func (s *scanner) scan(name, data, stored string) (event domain.Event, m eventstore.Metadata, ok bool) {
	s.text, s.bad = stored, false
	if stored != "" {
		m = s.metadata()
	}
	if s.bad || s.text != "" {
		return nil, m, false
	}
	s.text = data
	event = s.event(name)
	if s.bad || s.text != "" || event == nil || event.Occurred().IsZero() {
		return nil, m, false
	}
	_, err := domain.ParseID[domain.CustomerID]("customerId", string(event.Customer()))
	return event, m, err == nil
}

func (s *scanner) event(name string) domain.Event {
	switch name {
	case order.TypePlaced:
		var e order.Placed
		e.About = s.about()
		s.want(`,"orderId":`)
		e.OrderID = domain.OrderID(s.string())
		s.want(`,"itemIds":`)
		e.Items = s.strings()
		s.want(`,"paid":`)
		e.Paid = s.money()
		e.Method = s.optional(`,"method":`)
		s.want(`}`)
		return e
	case order.TypePointsAwarded:
		var e order.PointsAwarded
		e.About = s.about()
		s.want(`,"orderId":`)
		e.OrderID = domain.OrderID(s.string())
		s.want(`,"points":`)
		e.Points = domain.Points(s.int())
		s.want(`,"paid":`)
		e.Paid = s.money()
		s.want(`,"policy":`)
		e.Policy = s.pricing()
		s.want(`}`)
		return e
	case order.TypeItemsReturned:
		var e order.ItemsReturned
		e.About = s.about()
		s.want(`,"orderId":`)
		e.OrderID = domain.OrderID(s.string())
		s.want(`,"returnId":`)
		e.ReturnID = domain.ReturnID(s.string())
		s.want(`,"refunded":`)
		e.Refunded = s.money()
		e.Reason = s.optional(`,"reason":`)
		s.want(`}`)
		return e
	case order.TypePointsReversed:
		var e order.PointsReversed
		e.About = s.about()
		s.want(`,"orderId":`)
		e.OrderID = domain.OrderID(s.string())
		s.want(`,"returnId":`)
		e.ReturnID = domain.ReturnID(s.string())
		s.want(`,"points":`)
		e.Points = domain.Points(s.int())
		s.want(`,"netBefore":`)
		e.NetBefore = s.money()
		s.want(`,"netAfter":`)
		e.NetAfter = s.money()
		s.want(`,"policy":`)
		e.Policy = s.pricing()
		e.Reason = s.optional(`,"reason":`)
		s.want(`}`)
		return e
	case account.TypePointsAdjusted:
		var e account.PointsAdjusted
		e.About = s.about()
		s.want(`,"loyaltyId":`)
		e.LoyaltyID = domain.LoyaltyID(s.string())
		s.want(`,"points":`)
		e.Points = domain.Points(s.int())
		s.want(`,"reason":`)
		e.Reason = s.string()
		s.want(`,"actor":`)
		e.Actor = s.string()
		s.want(`}`)
		return e
	}
	return nil
}

func (s *scanner) metadata() (m eventstore.Metadata) {
	s.want(`{`)
	var channel string
	another := false
	for _, member := range []struct {
		key   string
		value *string
	}{{`"$correlationId":`, &m.Correlation}, {`"$causationId":`, &m.Causation}, {`"actor":`, &m.Actor}, {`"channel":`, &channel}} {
		begin := s.text
		if another && !s.has(`,`) || !s.has(member.key) {
			s.text = begin
			continue
		}
		*member.value = s.string()
		another = true
	}
	m.Channel = domain.Channel(channel)
	s.want(`}`)
	return m
}

func (s *scanner) about() (a domain.About) {
	s.want(`{"customerId":`)
	a.CustomerID = domain.CustomerID(s.string())
	s.want(`,"occurredAt":`)
	s.bad = s.bad || a.OccurredAt.UnmarshalText([]byte(s.string())) != nil
	return a
}

func (s *scanner) money() (m domain.Money) {
	s.want(`{"minor":`)
	m.Minor = s.int()
	s.want(`,"currency":`)
	m.Currency = domain.Currency(s.string())
	s.want(`}`)
	return m
}

func (s *scanner) pricing() domain.Policy {
	if s.policyText != "" && s.has(s.policyText) {
		return s.policy
	}
	begin := s.text
	s.want(`{"id":`)
	p := domain.Policy{ID: s.string(), SpendPerPoint: map[domain.Currency]int64{}}
	s.want(`,"spendPerPoint":{`)
	for more := !s.has(`}`); more && !s.bad; {
		currency := domain.Currency(s.string())
		s.want(`:`)
		p.SpendPerPoint[currency] = s.int()
		if more = s.has(`,`); !more {
			s.want(`}`)
		}
	}
	s.want(`}`)
	if !s.bad {
		s.policy, s.policyText = p, strings.Clone(begin[:len(begin)-len(s.text)])
	}
	return p
}

func (s *scanner) strings() []string {
	all := []string{}
	s.want(`[`)
	for more := !s.has(`]`); more && !s.bad; {
		all = append(all, s.string())
		if more = s.has(`,`); !more {
			s.want(`]`)
		}
	}
	return all
}

// string reads a text of plain ASCII.
func (s *scanner) string() string {
	if !s.has(`"`) {
		s.bad = true
		return ""
	}
	for i := range len(s.text) {
		switch c := s.text[i]; {
		case c == '"':
			value := s.text[:i]
			s.text = s.text[i+1:]
			return value
		case c == '\\' || c < ' ' || c > '~':
			s.bad = true
			return ""
		}
	}
	s.bad = true
	return ""
}

// int reads a whole number as JSON writes it.
func (s *scanner) int() int64 {
	n := 0
	for n < len(s.text) && (s.text[n] >= '0' && s.text[n] <= '9' || n == 0 && s.text[n] == '-') {
		n++
	}
	digits := strings.TrimPrefix(s.text[:n], "-")
	value, err := strconv.ParseInt(s.text[:n], 10, 64)
	s.bad = s.bad || err != nil || len(digits) > 1 && digits[0] == '0'
	s.text = s.text[n:]
	return value
}

func (s *scanner) optional(key string) string {
	if !s.has(key) {
		return ""
	}
	return s.string()
}

// has reads what may be next.
func (s *scanner) has(text string) bool {
	rest, found := strings.CutPrefix(s.text, text)
	s.text = rest
	return found
}

// want reads what must be next.
func (s *scanner) want(text string) { s.bad = !s.has(text) || s.bad }
