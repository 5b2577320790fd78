package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/internal/strictjson"
)

var (
	channelOfTests  = Claims{Subject: "till-7", Role: RoleChannel, Channel: domain.Store}
	customerOfTests = Claims{Subject: "ann", Role: RoleCustomer, Channel: domain.Website}
)

// refusal makes sure that an error is one that a caller can act on.
func refusal(t testing.TB, body []byte, err error) {
	t.Helper()
	if !errors.Is(err, domain.ErrInvalid) && !errors.Is(err, strictjson.ErrMalformed) && !errors.Is(err, domain.ErrForbidden) {
		t.Fatalf("%q is refused with %v", body, err)
	}
	if p := problemOf(err); p.Status == 500 || len(p.Errors) > strictjson.MaxFaults {
		t.Fatalf("%q is answered with %+v", body, p)
	}
}

// again makes sure that a body which was read says the same when it is written plainly.
func again[C any](t testing.TB, got C, plain any, decode func([]byte) (C, error)) {
	t.Helper()
	body, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	back, err := decode(body)
	if err != nil || !reflect.DeepEqual(back, got) {
		t.Fatalf("%s is read as %+v, %v, want %+v", body, back, err, got)
	}
}

func FuzzDecodeReveal(f *testing.F) {
	f.Add([]byte(`{"proxyName": "Amber Otter 482913", "reason": "a complaint"}`))
	f.Add([]byte(`{"proxyName": " amber  OTTER 482913", "reason": null}`))
	f.Add([]byte(`{"proxyName": 1, "reason": "\u0000", "reason": ""}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		type reveal struct{ name, reason string }
		decode := func(body []byte) (reveal, error) {
			name, reason, err := decodeReveal(body)
			return reveal{name, reason}, err
		}
		got, err := decode(body)
		if err != nil {
			refusal(t, body, err)
			return
		}
		again(t, got, map[string]any{"proxyName": got.name, "reason": got.reason}, decode)
	})
}

func FuzzDecodeOrder(f *testing.F) {
	f.Add([]byte(`{"ItemIds": ["sku-1"], "paymentDetails": {"amount": "129.99", "currency": "GBP", "method": "card", "cvv": "1"}, "customerId": "ann"}`))
	f.Add([]byte(`{"ItemIds": [], "paymentDetails": {"amount": 1e400, "currency": null}}`))
	f.Add([]byte(`{"ItemIds": [null, 1], "paymentDetails": [], "ItemIds": 7, "x": {}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, caller := range []Claims{channelOfTests, customerOfTests} {
			got, err := decodeOrder(body, caller)
			if err != nil {
				refusal(t, body, err)
				continue
			}
			if caller.Role == RoleCustomer && string(got.Customer) != caller.Subject {
				t.Fatalf("%q is an order of %s", body, got.Customer)
			}
			again(t, got, map[string]any{
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
			refusal(t, body, err)
			return
		}
		again(t, got, map[string]any{"amount": domain.FormatMinor(got.Amount), "reason": got.Reason}, decodeReturn)
	})
}

func FuzzDecodeAdjustment(f *testing.F) {
	f.Add([]byte(`{"loyalty-points": 25, "reason": "goodwill"}`))
	f.Add([]byte(`{"loyalty-points": -9999999999999999999, "reason": null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeAdjustment(body)
		if err != nil {
			refusal(t, body, err)
			return
		}
		again(t, got, map[string]any{"loyalty-points": got.Points, "reason": got.Reason}, decodeAdjustment)
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
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"an order": {
			second(decodeOrder([]byte(`{"ItemIds": ["a b", ""], "paymentDetails": {"amount": "-1", "currency": "USD", "method": "a\u0000"}, "x": 1}`), channelOfTests)),
			"x field_unknown, customerId customer_id_missing, paymentDetails.amount amount_negative, paymentDetails.currency currency_unknown, " +
				"paymentDetails.method method_malformed, ItemIds[0] id_malformed, ItemIds[1] id_missing",
		},
		"a return": {
			second(decodeReturn([]byte(`{"reason": "a\u0000"}`))), "amount amount_missing, reason reason_malformed",
		},
		"an adjustment": {
			second(decodeAdjustment([]byte(`{"loyalty-points": "1", "y": 1}`))),
			"y field_unknown, loyalty-points points_malformed, reason reason_missing",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			p := problemOf(c.err)
			for _, f := range p.Errors {
				got = append(got, f.Field+" "+f.Code)
			}
			if p.Code != "invalid_input" || strings.Join(got, ", ") != c.want {
				t.Errorf("got  %s %s\nwant %s", p.Code, strings.Join(got, ", "), c.want)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestAnAnswerListsNoMoreFaultsThanItMay(t *testing.T) {
	body := `{"a` + strings.Repeat(`": 1, "a`, 5000) + `": 1}`
	_, err := decodeAdjustment([]byte(body))
	if p := problemOf(err); len(p.Errors) != strictjson.MaxFaults {
		t.Errorf("%d faults are listed, want %d", len(p.Errors), strictjson.MaxFaults)
	}
}
