package replay

import (
	"math"
	"time"
)

// stored is what is read of the payload of an event, without its Go type being made. Texts are parts of the payload.
type stored struct {
	customer, order   []byte
	at                int64 // microseconds since 1970
	points            int64
	paid              money
	netBefore, netNow money
}

type money struct {
	minor    int64
	currency currency
}

// The members that an event has had, so that none comes twice.
const (
	hasCustomer = 1 << iota
	hasTime
	hasOrder
	hasPoints
	hasPaid
	hasBefore
	hasAfter
)

// scan reads the JSON that this system writes for the changes of points. It is false for all it is not sure of: what the
// registry would refuse, escapes, members it does not know or that come twice. The registry then decides.
func (s *stored) scan(data []byte, wanted int) bool {
	*s = stored{}
	c := cursor{text: data}
	seen := 0
	ok := c.object(func(name []byte) bool {
		bit := 0
		fine := false
		switch string(name) {
		case "customerId":
			bit = hasCustomer
			s.customer, fine = c.plain()
			fine = fine && isID(s.customer)
		case "occurredAt":
			bit = hasTime
			s.at, fine = c.moment()
		case "orderId":
			bit = hasOrder
			s.order, fine = c.plain()
		case "points":
			bit = hasPoints
			s.points, fine = c.integer()
		case "paid":
			bit = hasPaid
			s.paid, fine = c.money()
		case "netBefore":
			bit = hasBefore
			s.netBefore, fine = c.money()
		case "netAfter":
			bit = hasAfter
			s.netNow, fine = c.money()
		case "reason", "actor", "loyaltyId", "returnId":
			_, fine = c.plain()
		case "policy":
			fine = c.policy()
		}
		if seen&bit != 0 {
			return false
		}
		seen |= bit
		return fine
	})
	return ok && c.at == len(data) && seen&wanted == wanted
}

// scanChannel reads what the metadata says of the channel. It is false for what it is not sure of.
func scanChannel(metadata []byte) (channel, bool) {
	if len(metadata) == 0 {
		return anyChannel, true
	}
	c := cursor{text: metadata}
	found, twice := anyChannel, false
	ok := c.object(func(name []byte) bool {
		value, fine := c.plain()
		switch string(name) {
		case "channel":
			if !fine || twice {
				return false
			}
			twice = true
			for i := range channels {
				if channelNames[i] == string(value) {
					found = i
					return true
				}
			}
			return false
		case "$correlationId", "$causationId", "actor":
			return fine
		}
		return false
	})
	return found, ok && c.at == len(metadata)
}

// cursor is a place in a JSON text without white space.
type cursor struct {
	text []byte
	at   int
}

func (c *cursor) is(b byte) bool {
	if c.at < len(c.text) && c.text[c.at] == b {
		c.at++
		return true
	}
	return false
}

// object hands the names of an object's members to member, which reads the value behind each.
func (c *cursor) object(member func(name []byte) bool) bool {
	if !c.is('{') {
		return false
	}
	if c.is('}') {
		return true
	}
	for {
		name, ok := c.plain()
		if !ok || !c.is(':') || !member(name) {
			return false
		}
		if !c.is(',') {
			return c.is('}')
		}
	}
}

// plain reads a text of printable ASCII without escapes.
func (c *cursor) plain() ([]byte, bool) {
	if !c.is('"') {
		return nil, false
	}
	for i, b := range c.text[c.at:] {
		switch {
		case b == '"':
			text := c.text[c.at : c.at+i]
			c.at += i + 1
			return text, true
		case b < ' ' || b == '\\' || b >= 0x7f:
			return nil, false
		}
	}
	return nil, false
}

func (c *cursor) integer() (n int64, ok bool) {
	negative := c.is('-')
	begin := c.at
	for c.at < len(c.text) && '0' <= c.text[c.at] && c.text[c.at] <= '9' {
		if n > (math.MaxInt64-9)/10 {
			return 0, false
		}
		n = n*10 + int64(c.text[c.at]-'0')
		c.at++
	}
	if c.at == begin || c.text[begin] == '0' && c.at > begin+1 {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

// money reads an amount as it is written, {"minor":1299,"currency":"GBP"}.
func (c *cursor) money() (m money, ok bool) {
	if !c.literal(`{"minor":`) {
		return m, false
	}
	if m.minor, ok = c.integer(); !ok || !c.literal(`,"currency":`) {
		return m, false
	}
	name, ok := c.plain()
	if !ok {
		return m, false
	}
	m.currency, ok = currencyOf(name)
	return m, ok && c.is('}')
}

func (c *cursor) literal(text string) bool {
	if len(c.text)-c.at < len(text) || string(c.text[c.at:c.at+len(text)]) != text {
		return false
	}
	c.at += len(text)
	return true
}

// policy passes over the policy of an award, which is not needed, if it is as it is written.
func (c *cursor) policy() bool {
	if !c.literal(`{"id":`) {
		return false
	}
	if _, ok := c.plain(); !ok || !c.literal(`,"spendPerPoint":`) {
		return false
	}
	return c.object(func([]byte) bool { _, ok := c.integer(); return ok }) && c.is('}')
}

// moment reads a time in UTC, as in "2026-10-01T09:30:00.123456Z", to the microsecond.
func (c *cursor) moment() (int64, bool) {
	text, ok := c.plain()
	if !ok || len(text) < len("2026-10-01T09:30:00Z") || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' || text[len(text)-1] != 'Z' {
		return 0, false
	}
	var bad bool
	two := func(i int) int64 {
		a, b := text[i]-'0', text[i+1]-'0'
		bad = bad || a > 9 || b > 9
		return int64(a)*10 + int64(b)
	}
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if bad || year < 1970 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	micros := (((daysBefore(year, month)+day-1)*24+hour)*60+minute)*60 + second
	micros *= 1_000_000
	fraction := text[19 : len(text)-1]
	if len(fraction) == 0 {
		return micros, true
	}
	if fraction[0] != '.' || len(fraction) < 2 || len(fraction) > 10 {
		return 0, false
	}
	unit := int64(100_000)
	for _, b := range fraction[1:] {
		if b < '0' || b > '9' {
			return 0, false
		}
		micros += int64(b-'0') * unit
		unit /= 10
	}
	return micros, true
}

func daysIn(year, month int64) int64 {
	return int64(time.Date(int(year), time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day())
}

// daysBefore counts the days from 1970 to the first of a month. With the year beginning in March, the day that a leap year has
// more is its last; the months before then have 153 days in every five.
func daysBefore(year, month int64) int64 {
	if month <= 2 {
		year, month = year-1, month+12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 - 719468
}

// isID tells whether a text is what domain.ParseID accepts.
func isID(text []byte) bool {
	if len(text) == 0 || len(text) > 64 {
		return false
	}
	for _, b := range text {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
			return false
		}
	}
	return true
}
