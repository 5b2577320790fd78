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

// Policy is an earning policy to try out. An amount below the minimum of its currency earns nothing; any other earns the amount
// divided by the spend per point, times the factor of the order, rounded once, at the end, all in whole numbers. Of several
// multipliers that match an order the one with the largest factor counts, alone; without any, the factor is 1. An order in a
// currency without a spend per point earns nothing. It does not change after ParsePolicy made it.
type Policy struct {
	ID string
	// PointValue is what a point is worth in minor units, for the liability; 0 if the policy doesn't say.
	PointValue int64

	spend, minimum [currencies]int64
	rounding       rounding
	multipliers    []multiplier // the largest factor first
}

// currency is the place of a currency in a table; 0 is none.
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

// rounding is what becomes of a fraction of a point.
type rounding uint8

const (
	nearest  rounding = iota // halves up
	down                     // off
	up                       // a whole point
	halfEven                 // nearest, halves to the even neighbour
)

var roundings = map[string]rounding{"": nearest, "nearest": nearest, "down": down, "up": up, "half-even": halfEven}

// multiplier has orders of a channel and a time earn more, or less.
type multiplier struct {
	channel     channel // 0: any
	from, until int64   // microseconds since 1970; from on, before until
	factor      factor
}

// factor is a fraction in its lowest terms.
type factor struct{ num, den int64 }

// The limits of what a policy file says.
const (
	maxMultipliers = 255
	maxFactor      = 1000
	factorDecimals = 6
	maxPointValue  = 100_000
	microsDay      = 86_400_000_000
)

// policyFile is a policy as it is written. Its numbers are read from their texts, since the YAML library cuts 575.5 down to 575.
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

// ParsePolicy reads a policy from YAML:
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
		c.refuse("id", "name the policy")
	}
	if len(file.SpendPerPoint) == 0 {
		c.refuse("spendPerPoint", "state the spend per point of at least one currency, as in {GBP: 500}")
	}
	p.spend = c.amounts("spendPerPoint", file.SpendPerPoint, 1)
	p.minimum = c.amounts("minimum", file.Minimum, 0)
	rounding, known := roundings[file.Rounding]
	if !known {
		c.refuse("rounding", "it must be nearest, down, up or half-even")
	}
	p.rounding = rounding
	if file.PointValue != "" {
		p.PointValue = c.whole("pointValue", file.PointValue, 0, maxPointValue)
	}
	if len(file.Multipliers) > maxMultipliers {
		c.refuse("multipliers", fmt.Sprintf("there may be at most %d", maxMultipliers))
	}
	for i, m := range file.Multipliers {
		field := func(of string) string { return fmt.Sprintf("multipliers[%d].%s", i, of) }
		channel, known := knownChannel(m.Channel)
		if !known {
			c.refuse(field("channel"), "it must be website, mobile or store, or be left out for all")
		}
		from, until := c.moment(field("from"), m.From, minTime), c.moment(field("until"), m.Until, maxTime)
		if from >= until && c.errs == nil {
			c.refuse(field("until"), "it must be after from")
		}
		f, ok := parseFactor(m.Factor)
		if !ok {
			c.refuse(field("factor"), fmt.Sprintf(`it must be a decimal such as "1.5", or a fraction such as "4/3", from 0 to %d`, maxFactor))
			continue
		}
		for currency, spend := range p.spend {
			if high, low := bits.Mul64(uint64(spend), uint64(f.den)); high != 0 || low >= 1<<62 {
				c.refuse(field("factor"), "it is too fine for the spend per point of "+currencyNames[currency])
			}
		}
		p.multipliers = insert(p.multipliers, multiplier{channel, from, until, f})
	}
	return p, domain.JoinInvalid(c.errs...)
}

// insert keeps the multiplier with the largest factor first.
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

// malformed is what the reader of YAML has to say, with its line.
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

// checker gathers what is wrong with a policy file.
type checker struct {
	name string
	// parsed is the text as the lines of faults are found in it, once there is one; nil if it can't be.
	parsed func() *ast.File
	errs   []error
}

// maxFaults bounds how many faults are told of.
const maxFaults = 50

func (c *checker) refuse(field, detail string) {
	if len(c.errs) >= maxFaults {
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
			c.refuse(field+"."+name, "the currency must be GBP or EUR")
			continue
		}
		amounts[currency] = c.whole(field+"."+name, given[name], least, domain.MaxMinor)
	}
	return amounts
}

// whole reads a number of minor units.
func (c *checker) whole(field, text string, least, most int64) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		c.refuse(field, fmt.Sprintf("it must be a whole number of minor units, %d to %d", least, most))
	}
	return n
}

// The times before and after all others, in microseconds since 1970.
const (
	minTime = -1 << 63
	maxTime = 1<<63 - 1
)

// moment reads a day, which stands for its first moment in UTC, or a time.
func (c *checker) moment(field, text string, absent int64) int64 {
	if text == "" {
		return absent
	}
	if at, _, ok := domain.ParseTime(text); ok {
		return at.UnixMicro()
	}
	c.refuse(field, "say a day such as 2026-10-01, or a time such as 2026-10-01T09:30Z")
	return absent
}

// parseFactor reads "2", "1.25" or "4/3".
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

// multiplier is the number of the multiplier, from 1 on, that counts for an order, 0 for none or one of factor 1.
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

// points is what an amount of 0 or more earns with the multiplier of a number. More than domain.MaxTotal is domain.ErrPointsLimit.
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
	if points > uint64(domain.MaxTotal) {
		return 0, limit(p, amount, c)
	}
	return int64(points), nil
}

func limit(p *Policy, amount int64, c currency) error {
	return fmt.Errorf("%s under policy %q: %w (%d)", domain.Money{Minor: amount, Currency: domain.Currency(currencyNames[c])}, p.ID, domain.ErrPointsLimit, domain.MaxTotal)
}
