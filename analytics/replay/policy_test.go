package replay

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
)

const full = `id: double-autumn
spendPerPoint: {GBP: 500, EUR: 575}
rounding: half-even
minimum: {GBP: 500}
multipliers:
  - {channel: mobile, from: 2026-10-01, until: 2026-11-01, factor: "1.5"}
  - {from: "2026-12-01T18:00Z", factor: 4/3}
  - {channel: store, factor: 2}
pointValue: 1
`

func TestAPolicyIsReadWhole(t *testing.T) {
	p, err := ParsePolicy("policy.yaml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != "double-autumn" || p.PointValue != 1 || p.rounding != halfEven || p.spend != [currencies]int64{gbp: 500, eur: 575} || p.minimum != [currencies]int64{gbp: 500} {
		t.Errorf("got %+v", p)
	}
	october, november := moment(t, "2026-10-01T00:00:00Z"), moment(t, "2026-11-01T00:00:00Z")
	christmas := moment(t, "2026-12-24T00:00:00Z")
	for _, c := range []struct {
		channel channel
		at      int64
		want    string
	}{
		{mobile, october, "3/2"}, {mobile, october - 1, "1"}, {mobile, november, "1"}, {mobile, november - 1, "3/2"}, {website, october, "1"},
		{inStore, christmas, "2"}, {website, christmas, "4/3"}, {mobile, christmas, "4/3"}, {anyChannel, christmas, "4/3"},
	} {
		got := big.NewRat(1, 1)
		if m := p.multiplier(c.channel, c.at); m > 0 {
			f := p.multipliers[m-1].factor
			got.SetFrac64(f.num, f.den)
		}
		if got.RatString() != c.want {
			t.Errorf("%s at %d: the factor is %s, want %s", channelNames[c.channel], c.at, got, c.want)
		}
	}
}

func moment(t *testing.T, text string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMicro()
}

func TestAMistakeInAPolicyIsNamedWithItsLine(t *testing.T) {
	for _, c := range []struct{ change, to, says string }{
		{"rounding: half-even", "roundig: up", "policy.yaml:3 (policy_malformed): unknown field \"roundig\""},
		{"rounding: half-even", "rounding: bankers", "policy.yaml:3 (policy_invalid): rounding:"},
		{"id: double-autumn", "", "(policy_invalid): id: name the policy"},
		{"spendPerPoint: {GBP: 500, EUR: 575}", "", "(policy_invalid): spendPerPoint: state"},
		{"EUR: 575", "EUR: 0", "policy.yaml:2 (policy_invalid): spendPerPoint.EUR: it must be a whole number of minor units, 1 to 99999999999999"},
		{"EUR: 575", "EUR: -1", "policy.yaml:2 (policy_invalid): spendPerPoint.EUR"},
		{"EUR: 575", "USD: 575", "policy.yaml:2 (policy_invalid): spendPerPoint.USD: the currency must be GBP or EUR"},
		{"EUR: 575", "EUR: 575.5", "policy.yaml:2 (policy_invalid): spendPerPoint.EUR"},
		{"EUR: 575", "EUR: [5]", "policy.yaml:2 (policy_malformed)"},
		{"EUR: 575", "EUR: 999999999999999", "policy.yaml:2 (policy_invalid): spendPerPoint.EUR"},
		{"minimum: {GBP: 500}", "minimum: {GBP: -5}", "policy.yaml:4 (policy_invalid): minimum.GBP"},
		{"channel: mobile", "channel: post", "policy.yaml:6 (policy_invalid): multipliers[0].channel"},
		{"channel: mobile", "chanel: mobile", "policy.yaml:6 (policy_malformed): unknown field \"chanel\""},
		{"2026-10-01", "2026-10-32", "policy.yaml:6 (policy_invalid): multipliers[0].from"},
		{"2026-11-01", "2026-09-01", "policy.yaml:6 (policy_invalid): multipliers[0].until: it must be after from"},
		{`"1.5"`, `"-1.5"`, "policy.yaml:6 (policy_invalid): multipliers[0].factor"},
		{`"1.5"`, `"1.1234567"`, "policy.yaml:6 (policy_invalid): multipliers[0].factor"},
		{`"1.5"`, `"1001"`, "policy.yaml:6 (policy_invalid): multipliers[0].factor"},
		{"4/3", "4/0", "policy.yaml:7 (policy_invalid): multipliers[1].factor"},
		{"factor: 2", "from: 2026-01-01", "multipliers[2].factor"},
		{"pointValue: 1", "pointValue: -1", "policy.yaml:9 (policy_invalid): pointValue"},
		{"pointValue: 1", "pointValue: 1\nid: again", "policy.yaml:10 (policy_malformed)"},
	} {
		_, err := ParsePolicy("policy.yaml", []byte(strings.Replace(full, c.change, c.to, 1)))
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v\nwant %s", c.to, err, c.says)
		}
	}
	if _, err := ParsePolicy("policy.yaml", []byte("id: a\nspendPerPoint: {GBP: 99999999999999}\nmultipliers: [{factor: 1/999999}]")); err == nil || !strings.Contains(err.Error(), "too fine") {
		t.Errorf("a factor that is too fine: %v", err)
	}
}

// TestPointsAreExact compares with rational numbers of any size.
func TestPointsAreExact(t *testing.T) {
	half := big.NewRat(1, 2)
	floor := func(r *big.Rat) *big.Int { return new(big.Int).Div(r.Num(), r.Denom()) }
	rapid.Check(t, func(r *rapid.T) {
		spend := rapid.OneOf(rapid.Int64Range(1, 3000), rapid.Int64Range(1, domain.MaxMinor)).Draw(r, "spend")
		amount := rapid.OneOf(rapid.Int64Range(0, 30_000), rapid.Int64Range(0, domain.MaxMinor)).Draw(r, "amount")
		minimum := rapid.SampledFrom([]int64{0, 1, 500}).Draw(r, "minimum")
		factor := rapid.SampledFrom([]string{"", "0", "0.5", "1", "1.5", "2", "4/3", "0.000001", "1000", "7/11", "2.25"}).Draw(r, "factor")
		name := rapid.SampledFrom([]string{"nearest", "down", "up", "half-even"}).Draw(r, "rounding")
		text := fmt.Sprintf("id: p\nspendPerPoint: {GBP: %d}\nrounding: %s\nminimum: {GBP: %d}\n", spend, name, minimum)
		exact := big.NewRat(amount, spend)
		if factor != "" {
			text += fmt.Sprintf("multipliers: [{factor: %q}]\n", factor)
			times, _ := new(big.Rat).SetString(factor)
			exact.Mul(exact, times)
		}
		p, err := ParsePolicy("p", []byte(text))
		if err != nil {
			if strings.Contains(err.Error(), "too fine") {
				return
			}
			r.Fatal(err)
		}
		want := floor(exact)
		rest := new(big.Rat).Sub(exact, new(big.Rat).SetInt(want))
		odd := want.Bit(0) == 1
		if c := rest.Cmp(half); name == "up" && rest.Sign() > 0 || name == "nearest" && c >= 0 || name == "half-even" && (c > 0 || c == 0 && odd) {
			want.Add(want, big.NewInt(1))
		}
		if amount < minimum {
			want.SetInt64(0)
		}
		got, err := p.points(amount, gbp, p.multiplier(website, 0))
		if want.Cmp(big.NewInt(int64(domain.MaxChange))) > 0 {
			if !errors.Is(err, domain.ErrOrderPoints) {
				r.Fatalf("%s: got %d, %v, want domain.ErrOrderPoints", want, got, err)
			}
		} else if err != nil || want.Cmp(big.NewInt(got)) != 0 {
			r.Fatalf("got %d, %v, want %s", got, err, want)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte("id: [a, b]\nmultipliers: {a: *x}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy("p", text)
		if err != nil {
			return
		}
		for _, amount := range []int64{0, 1, domain.MaxMinor} {
			for m := range len(p.multipliers) + 1 {
				for _, c := range []currency{gbp, eur} {
					if points, err := p.points(amount, c, uint8(m)); err == nil && (points < 0 || points > int64(domain.MaxChange)) {
						t.Errorf("%d minor units earn %d points", amount, points)
					}
				}
			}
		}
	})
}

// A policy of thousands of faults, such as a program may send, is told of the first of them, and soon.
func TestOfVeryManyFaultsTheFirstAreTold(t *testing.T) {
	var text strings.Builder
	text.WriteString("id: p\nspendPerPoint:\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "  X%04d: 1\n", i)
	}
	_, err := ParsePolicy("p.yaml", []byte(text.String()))
	var invalid *domain.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Fields) != 50 || invalid.Fields[0].Field != "p.yaml:3" || invalid.Fields[49].Field != "p.yaml:52" {
		t.Errorf("the faults are %v", invalid)
	}
}
