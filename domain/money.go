package domain

import "strings"

// Currency is an ISO 4217 code.
type Currency string

// The currencies of the United Kingdom and Ireland. Both have two decimals.
const (
	GBP Currency = "GBP"
	EUR Currency = "EUR"
)

// ParseCurrency accepts GBP and EUR, in upper case. The error names field and has the code currency_missing or currency_unknown.
func ParseCurrency(field, text string) (Currency, error) {
	switch c := Currency(text); c {
	case GBP, EUR:
		return c, nil
	case "":
		return "", Invalid(field, "currency_missing", "say the currency: GBP or EUR")
	}
	return "", Invalid(field, "currency_unknown", "the currency must be GBP or EUR")
}

// Money is an exact amount in minor units (pence, cents) of one currency.
type Money struct {
	Minor    int64    `json:"minor"`
	Currency Currency `json:"currency"`
}

// String writes the amount with its sign, two decimals and the currency: "129.99 GBP".
func (m Money) String() string { return FormatMinor(m.Minor) + " " + string(m.Currency) }

// MaxMinor is the largest amount accepted, in minor units: 999,999,999,999.99.
const MaxMinor = 99_999_999_999_999

// ParseAmount parses a decimal such as "129.99", "129.9" or "129" into minor units (pence, cents), exactly, without floating point. It accepts
// the JSON number grammar (RFC 8259) without exponent and with at most two decimals, from 0 to MaxMinor. Everything else is an *InvalidError
// that names field, with the code amount_missing, amount_malformed, amount_negative, amount_too_precise or amount_too_large.
func ParseAmount(field, text string) (int64, error) {
	if text == "" {
		return 0, Invalid(field, "amount_missing", `say the amount as a decimal, such as "129.99"`)
	}
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, pointed := strings.Cut(digits, ".")
	if !isDigits(whole) || (len(whole) > 1 && whole[0] == '0') || (pointed && !isDigits(fraction)) {
		return 0, Invalid(field, "amount_malformed", `the amount must be a plain decimal, such as "129.99"`)
	}
	if negative {
		return 0, Invalid(field, "amount_negative", "the amount must not be negative")
	}
	if len(fraction) > 2 {
		return 0, Invalid(field, "amount_too_precise", "the amount must have at most two decimals")
	}
	if len(whole) > 12 {
		return 0, Invalid(field, "amount_too_large", "the amount must be at most 999999999999.99")
	}
	var minor int64
	for _, digit := range []byte((whole + fraction + "00")[:len(whole)+2]) {
		minor = minor*10 + int64(digit-'0')
	}
	return minor, nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// FormatMinor writes minor units as a decimal with two places: 12999 is "129.99", -5 is "-0.05".
func FormatMinor(minor int64) string {
	sign, abs := "", uint64(minor)
	if minor < 0 {
		sign, abs = "-", -uint64(minor)
	}
	buf := [24]byte{}
	i := len(buf)
	for n := 0; n < 3 || abs > 0; n++ {
		if n == 2 {
			i--
			buf[i] = '.'
		}
		i--
		buf[i] = byte('0' + abs%10)
		abs /= 10
	}
	return sign + string(buf[i:])
}
