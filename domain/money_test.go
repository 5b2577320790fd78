package domain_test

import (
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"loyalty/domain"

	"pgregory.net/rapid"
)

func TestParseAmount_reads_pounds_and_pence_exactly(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "0.0": 0, "0.00": 0, "0.01": 1, "0.1": 10, "0.10": 10, "1": 100, "10": 1000, "4.99": 499, "5.00": 500,
		"129": 129_00, "129.9": 129_90, "129.99": 129_99,
		"0.29": 29, "1.15": 115, "4.35": 435, "8.20": 820, "1234567.89": 1234567_89, // each is a float's classic mistake
		"999999999999": 999999999999_00, "999999999999.99": domain.MaxMinor,
	} {
		got, err := domain.ParseAmount("amount", text)
		if err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestParseAmount_refuses_everything_else_by_a_code_of_its_own(t *testing.T) {
	for code, texts := range map[string][]string{
		"amount_missing": {""},
		"amount_malformed": {
			" ", "-", ".", "-.", "--1", "+1", "1.", ".5", "-.5", "01", "00", "-01", "00.10", "1..2", "1.2.3", "1,50", "1,000.00",
			" 1", "1 ", "1\n", "1\x00", "1e2", "1E2", "1e400", "1.5e1", "NaN", "nan", "Inf", "-Inf", "Infinity", "0x10", "1_000", "£5", "5GBP",
			"five", "null", "true", "１", "٣", "1.２", "−1", "\xff", "1.-5", "1.+5",
		},
		"amount_negative":    {"-1", "-0", "-0.00", "-0.01", "-129.99", "-1.234", "-1000000000000"},
		"amount_too_precise": {"1.234", "0.001", "1.000", "129.990", "1000000000000.001", "0." + strings.Repeat("0", 1000)},
		"amount_too_large":   {"1000000000000", "1000000000000.00", "9223372036854775807", "9223372036854775808", "1" + strings.Repeat("0", 1000)},
	} {
		for _, text := range texts {
			got, err := domain.ParseAmount("paymentDetails.amount", text)
			if got != 0 {
				t.Errorf("%.40q is refused and still %d", text, got)
			}
			t.Run(code, func(t *testing.T) { wantRefusals(t, err, "paymentDetails.amount "+code) })
		}
	}
}

var plainDecimal = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]{1,2})?$`)

// FuzzParseAmount compares with a model of two lines: the grammar as a regular expression, the value as an exact fraction.
func FuzzParseAmount(f *testing.F) {
	for _, seed := range []string{"", "0", "-0", "129.99", "129.9", "129", "1.005", "01", "1e400", "NaN", "999999999999.99", "1000000000000", ".5", "5."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := domain.ParseAmount("amount", text)
		var pence *big.Int
		if plainDecimal.MatchString(text) {
			value, _ := new(big.Rat).SetString(text)
			pence = value.Mul(value, big.NewRat(100, 1)).Num()
		}
		accepted := pence != nil && pence.Cmp(big.NewInt(domain.MaxMinor)) <= 0
		switch {
		case accepted != (err == nil):
			t.Fatalf("%q: %v; the model accepts it: %v", text, err, accepted)
		case !accepted:
			if fields := refusals(err); len(fields) != 1 || !strings.HasPrefix(fields[0], "amount amount_") {
				t.Fatalf("%q is refused without naming its field: %v", text, err)
			}
		case pence.Cmp(big.NewInt(got)) != 0:
			t.Fatalf("%q is %d; the model says %s", text, got, pence)
		}
	})
}

func TestParseAmount_reads_back_what_FormatMinor_writes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64Range(0, domain.MaxMinor).Draw(t, "minor")
		got, err := domain.ParseAmount("amount", domain.FormatMinor(minor))
		if err != nil || got != minor {
			t.Fatalf("%d is written %q and read %d, %v", minor, domain.FormatMinor(minor), got, err)
		}
	})
}

func TestFormatMinor_writes_two_decimals(t *testing.T) {
	for minor, want := range map[int64]string{
		0: "0.00", 1: "0.01", 5: "0.05", 10: "0.10", 99: "0.99", 100: "1.00", 12999: "129.99", domain.MaxMinor: "999999999999.99",
		-1: "-0.01", -5: "-0.05", -100: "-1.00", -12999: "-129.99",
		math.MaxInt64: "92233720368547758.07", math.MinInt64: "-92233720368547758.08",
	} {
		if got := domain.FormatMinor(minor); got != want {
			t.Errorf("%d is %q, want %q", minor, got, want)
		}
	}
}

func TestFormatMinor_is_the_exact_quotient_of_any_amount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64().Draw(t, "minor")
		if got, want := domain.FormatMinor(minor), big.NewRat(minor, 100).FloatString(2); got != want {
			t.Fatalf("%d is %q, want %q", minor, got, want)
		}
	})
}

func TestMoney_reads_with_its_currency(t *testing.T) {
	money := domain.Money{Minor: 129_99, Currency: domain.GBP}
	if got := money.String(); got != "129.99 GBP" {
		t.Errorf("got %q", got)
	}
	if got, err := json.Marshal(money); err != nil || string(got) != `{"minor":12999,"currency":"GBP"}` {
		t.Errorf("stored as %s, %v", got, err)
	}
}

func TestParseCurrency_knows_the_United_Kingdom_and_Ireland(t *testing.T) {
	for _, want := range []domain.Currency{domain.GBP, domain.EUR} {
		if got, err := domain.ParseCurrency("currency", string(want)); err != nil || got != want {
			t.Errorf("%s is %s, %v", want, got, err)
		}
	}
	for text, code := range map[string]string{
		"": "currency_missing", "USD": "currency_unknown", "gbp": "currency_unknown", "GBP ": "currency_unknown", "£": "currency_unknown", "GBX": "currency_unknown",
	} {
		_, err := domain.ParseCurrency("paymentDetails.currency", text)
		wantRefusals(t, err, "paymentDetails.currency "+code)
	}
}

func TestParseAmount_does_not_allocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _, _ = domain.ParseAmount("amount", "999999999999.99") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParseAmount(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := domain.ParseAmount("amount", "129.99"); err != nil {
			b.Fatal(err)
		}
	}
}
