package replay

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"loyalty/domain"
)

// Policy is an earning policy to try out. An amount below the minimum of its currency earns nothing. Any other amount earns
// amount / spend per point × factor, computed in integers and rounded once, at the end. If several multipliers match an order, the
// one with the largest factor applies; if none does, the factor is 1. An order in a currency without a spend per point earns
// nothing. A Policy is immutable and safe for concurrent use.
type Policy struct {
	ID string
	// PointValue is the value of a point in minor units, for the liability; 0 if the policy does not state it.
	PointValue int64

	spend, minimum [currencies]int64
	rounding       rounding
	multipliers    []multiplier // the largest factor first
}

// currency is an index in currencyNames; 0 is none.
type currency uint8

const (
	noCurrency currency = iota
	gbp
	eur
	currencies
)

func currencyOf(text string) (currency, bool) {
	switch text {
	case string(domain.GBP):
		return gbp, true
	case string(domain.EUR):
		return eur, true
	}
	return noCurrency, false
}

var currencyNames = [currencies]string{"", string(domain.GBP), string(domain.EUR)}

// rounding is how a fraction of a point is rounded.
type rounding uint8

const (
	nearest rounding = iota // halves up
	down
	up
	halfEven // nearest, halves to the even neighbour
)

var roundings = map[string]rounding{"": nearest, "nearest": nearest, "down": down, "up": up, "half-even": halfEven}

// multiplier is the factor of orders in a channel and a period.
type multiplier struct {
	channel     channel // 0: any
	from, until int64   // microseconds since 1970; from on, before until
	factor      factor
}

// factor is a fraction in its lowest terms.
type factor struct{ num, den int64 }

// The limits of a policy file.
const (
	maxMultipliers = 255
	maxFactor      = 1000
	factorDecimals = 6
	maxPointValue  = 100_000
	microsDay      = 86_400_000_000
)

// policyFile is the YAML of a policy. Numbers are texts here, because the YAML library truncates 575.5 to 575.
type policyFile struct {
	ID            string            `yaml:"id"`
	SpendPerPoint map[string]string `yaml:"spendPerPoint"`
	Rounding      string            `yaml:"rounding"`
	Minimum       map[string]string `yaml:"minimum"`
	Multipliers   []struct {
		Channel string `yaml:"channel"`
		From    string `yaml:"from"`
		Until   string `yaml:"until"`
		Factor  string `yaml:"factor"`
	} `yaml:"multipliers"`
	PointValue string `yaml:"pointValue"`
}

// ParsePolicy parses a policy in YAML:
//
//	id: double-autumn
//	spendPerPoint: {GBP: 500, EUR: 575}   # minor units, 1 to domain.MaxMinor
//	rounding: nearest                      # or down, up, half-even
//	minimum: {GBP: 500}                    # minor units; orders below earn nothing
//	multipliers:                           # from on, before until, by when the order occurred
//	  - {channel: mobile, from: 2026-10-01, until: 2026-11-01, factor: "1.5"}
//	pointValue: 1                          # minor units a point, for the liability
//
// The error is domain.ErrInvalid and names the field and the line in the file called name.
func ParsePolicy(name string, text []byte) (*Policy, error) {
	var file policyFile
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		return nil, malformed(name, err)
	}
	c := checker{name: name, parsed: sync.OnceValue(func() *ast.File {
		parsed, err := parser.ParseBytes(text, 0)
		if err != nil {
			return nil
		}
		return parsed
	})}
	p := &Policy{ID: file.ID}
	if file.ID == "" {
		c.invalid("id", "name the policy")
	}
	if len(file.SpendPerPoint) == 0 {
		c.invalid("spendPerPoint", "state the spend per point of at least one currency, as in {GBP: 500}")
	}
	p.spend = c.amounts("spendPerPoint", file.SpendPerPoint, 1)
	p.minimum = c.amounts("minimum", file.Minimum, 0)
	rounding, known := roundings[file.Rounding]
	if !known {
		c.invalid("rounding", "it must be nearest, down, up or half-even")
	}
	p.rounding = rounding
	if file.PointValue != "" {
		p.PointValue = c.whole("pointValue", file.PointValue, 0, maxPointValue)
	}
	if len(file.Multipliers) > maxMultipliers {
		c.invalid("multipliers", fmt.Sprintf("there may be at most %d", maxMultipliers))
	}
	for i, m := range file.Multipliers {
		field := func(of string) string { return fmt.Sprintf("multipliers[%d].%s", i, of) }
		channel, known := channelOf(m.Channel)
		if !known {
			c.invalid(field("channel"), "it must be website, mobile or store, or be left out for all")
		}
		from, until := c.time(field("from"), m.From, minTime), c.time(field("until"), m.Until, maxTime)
		if from >= until && c.errs == nil {
			c.invalid(field("until"), "it must be after from")
		}
		f, ok := parseFactor(m.Factor)
		if !ok {
			c.invalid(field("factor"), fmt.Sprintf(`it must be a decimal such as "1.5", or a fraction such as "4/3", from 0 to %d`, maxFactor))
			continue
		}
		for currency, spend := range p.spend {
			if high, low := bits.Mul64(uint64(spend), uint64(f.den)); high != 0 || low >= 1<<62 {
				c.invalid(field("factor"), "it is too fine for the spend per point of "+currencyNames[currency])
			}
		}
		p.multipliers = insert(p.multipliers, multiplier{channel, from, until, f})
	}
	return p, domain.JoinInvalid(c.errs...)
}

// insert adds a multiplier and keeps the largest factor first.
func insert(all []multiplier, m multiplier) []multiplier {
	i := 0
	for i < len(all) && all[i].factor.num*m.factor.den >= m.factor.num*all[i].factor.den {
		i++
	}
	all = append(all, multiplier{})
	copy(all[i+1:], all[i:])
	all[i] = m
	return all
}

// malformed is the error for invalid YAML, with the line.
func malformed(name string, err error) error {
	detail, line := err.Error(), ""
	var at yaml.Error
	if errors.As(err, &at) {
		detail = at.GetMessage()
		if token := at.GetToken(); token != nil && token.Position != nil {
			line = fmt.Sprintf(":%d", token.Position.Line)
		}
	}
	return domain.Invalid(name+line, "policy_malformed", detail)
}

// checker collects the errors in a policy file.
type checker struct {
	name string
	// parsed parses the file when the line of the first error is looked up; nil if that fails.
	parsed func() *ast.File
	errs   []error
}

// maxErrors is how many errors are reported at most.
const maxErrors = 50

func (c *checker) invalid(field, detail string) {
	if len(c.errs) >= maxErrors {
		return
	}
	line, parsed := "", c.parsed()
	if path, err := yaml.PathString("$." + field); err == nil && parsed != nil {
		if node, err := path.FilterFile(parsed); err == nil && node.GetToken() != nil {
			line = fmt.Sprintf(":%d", node.GetToken().Position.Line)
		}
	}
	c.errs = append(c.errs, domain.Invalid(c.name+line, "policy_invalid", field+": "+detail))
}

func (c *checker) amounts(field string, given map[string]string, least int64) (amounts [currencies]int64) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		currency, known := currencyOf(name)
		if !known {
			c.invalid(field+"."+name, "the currency must be GBP or EUR")
			continue
		}
		amounts[currency] = c.whole(field+"."+name, given[name], least, domain.MaxMinor)
	}
	return amounts
}

// whole parses an integer of minor units.
func (c *checker) whole(field, text string, least, most int64) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		c.invalid(field, fmt.Sprintf("it must be a whole number of minor units, %d to %d", least, most))
	}
	return n
}

// The earliest and the latest time, in microseconds since 1970.
const (
	minTime = -1 << 63
	maxTime = 1<<63 - 1
)

// time parses a time, or a day, which means its beginning in UTC. The result is in microseconds since 1970.
func (c *checker) time(field, text string, absent int64) int64 {
	if text == "" {
		return absent
	}
	if at, _, ok := domain.ParseTime(text); ok {
		return at.UnixMicro()
	}
	c.invalid(field, "say a day such as 2026-10-01, or a time such as 2026-10-01T09:30Z")
	return absent
}

// parseFactor parses "2", "1.25" or "4/3".
func parseFactor(text string) (factor, bool) {
	whole := func(text string) (int64, bool) {
		n, err := strconv.ParseUint(text, 10, 40)
		return int64(n), err == nil
	}
	numerator, denominator, fraction := strings.Cut(text, "/")
	f := factor{den: 1}
	var ok, fine bool
	if fraction {
		f.num, ok = whole(numerator)
		f.den, fine = whole(denominator)
	} else {
		before, after, pointed := strings.Cut(text, ".")
		fine = !pointed || after != "" && len(after) <= factorDecimals
		for range after {
			f.den *= 10
		}
		f.num, ok = whole(before + after)
		fine = fine && before != ""
	}
	if !ok || !fine || f.den < 1 || f.den > 1_000_000 || f.num > maxFactor*f.den {
		return factor{}, false
	}
	a, b := f.num, f.den
	for b != 0 {
		a, b = b, a%b
	}
	return factor{f.num / a, f.den / a}, true
}

// multiplier is the number of the multiplier that applies to an order, from 1. It is 0 for none, and for one of factor 1.
func (p *Policy) multiplier(c channel, at int64) uint8 {
	for i := range p.multipliers {
		m := &p.multipliers[i]
		if (m.channel == anyChannel || m.channel == c) && m.from <= at && at < m.until {
			if m.factor.num == m.factor.den {
				return 0
			}
			return uint8(i + 1)
		}
	}
	return 0
}

// points is what an amount, 0 or more, earns with a multiplier, which multiplier returned. More than domain.MaxChange is
// domain.ErrOrderPoints.
func (p *Policy) points(amount int64, c currency, multiplier uint8) (int64, error) {
	spend := uint64(p.spend[c])
	if spend == 0 || amount < p.minimum[c] {
		return 0, nil
	}
	f := factor{1, 1}
	if multiplier > 0 {
		f = p.multipliers[multiplier-1].factor
	}
	high, low := bits.Mul64(uint64(amount), uint64(f.num))
	per := spend * uint64(f.den)
	if high >= per {
		return 0, limit(p, amount, c)
	}
	var points, rest uint64
	if high == 0 {
		points, rest = low/per, low%per
	} else {
		points, rest = bits.Div64(high, low, per)
	}
	over, tie := rest > per-rest, rest == per-rest
	switch {
	case p.rounding == nearest && (over || tie), p.rounding == up && rest > 0, p.rounding == halfEven && (over || tie && points%2 == 1):
		points++
	}
	if points > uint64(domain.MaxChange) {
		return 0, limit(p, amount, c)
	}
	return int64(points), nil
}

func limit(p *Policy, amount int64, c currency) error {
	return fmt.Errorf("%s under policy %q: %w", domain.Money{Minor: amount, Currency: domain.Currency(currencyNames[c])}, p.ID,
		&domain.PointsLimitError{Kind: domain.ErrOrderPoints, Limit: domain.MaxChange})
}
