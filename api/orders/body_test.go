package orders

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"loyalty/api/auth"
	"loyalty/api/bodytest"
	"loyalty/commands"
	"loyalty/domain"
)

var (
	channelOfTests  = auth.Claims{Subject: "till-7", Role: auth.RoleChannel, Channel: domain.Store}
	customerOfTests = auth.Claims{Subject: "ann", Role: auth.RoleCustomer, Channel: domain.Website}
)

func FuzzDecodeOrder(f *testing.F) {
	f.Add([]byte(`{"ItemIds": ["sku-1"], "paymentDetails": {"amount": "129.99", "currency": "GBP", "method": "card", "cvv": "1"}, "customerId": "ann"}`))
	f.Add([]byte(`{"ItemIds": [], "paymentDetails": {"amount": 1e400, "currency": null}}`))
	f.Add([]byte(`{"ItemIds": [null, 1], "paymentDetails": [], "ItemIds": 7, "x": {}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, caller := range []auth.Claims{channelOfTests, customerOfTests} {
			got, err := decodeOrder(body, caller)
			if err != nil {
				bodytest.Invalid(t, body, err)
				continue
			}
			if caller.Role == auth.RoleCustomer && string(got.Customer) != caller.Subject {
				t.Fatalf("%q is an order of %s", body, got.Customer)
			}
			bodytest.ReadsAlike(t, got, map[string]any{
				"ItemIds":    got.Items,
				"customerId": got.Customer,
				"paymentDetails": map[string]any{
					"amount": domain.FormatMinor(got.Paid.Minor), "currency": got.Paid.Currency, "method": got.Method,
				},
			}, func(body []byte) (commands.PlaceOrder, error) { return decodeOrder(body, caller) })
		}
	})
}

func FuzzDecodeReturn(f *testing.F) {
	f.Add([]byte(`{"amount": "40.00", "reason": "too small"}`))
	f.Add([]byte(`{"amount": -0, "reason": "\ud800"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeReturn(body)
		if err != nil {
			bodytest.Invalid(t, body, err)
			return
		}
		bodytest.ReadsAlike(t, got, map[string]any{"amount": domain.FormatMinor(got.Amount), "reason": got.Reason}, decodeReturn)
	})
}

// Amounts reach the domain digit by digit: no float is between.
func TestAmountsAreReadExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64Range(0, domain.MaxMinor).Draw(t, "minor")
		text := domain.FormatMinor(minor)
		for _, written := range []string{text, `"` + text + `"`} {
			got, err := decodeReturn(fmt.Appendf(nil, `{"amount": %s}`, written))
			if err != nil || got.Amount != minor {
				t.Fatalf("%s is read as %d, %v", written, got.Amount, err)
			}
		}
	})
}

func TestEveryFaultOfABodyIsToldAtOnce(t *testing.T) {
	t.Run("an order", func(t *testing.T) {
		_, err := decodeOrder([]byte(`{"ItemIds": ["a b", ""], "paymentDetails": {"amount": "-1", "currency": "USD", "method": "a\u0000"}, "x": 1}`), channelOfTests)
		bodytest.Faults(t, err, "x field_unknown, customerId customer_id_missing, paymentDetails.amount amount_negative, paymentDetails.currency currency_unknown, "+
			"paymentDetails.method method_malformed, ItemIds[0] id_malformed, ItemIds[1] id_missing")
	})
	t.Run("a return", func(t *testing.T) {
		_, err := decodeReturn([]byte(`{"reason": "a\u0000"}`))
		bodytest.Faults(t, err, "amount amount_missing, reason reason_malformed")
	})
}
