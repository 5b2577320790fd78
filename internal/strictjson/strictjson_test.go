package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/domain/order"
)

var orderFields = []string{"ItemIds", "paymentDetails", "customerId"}

// anOrder is what an order's members say.
type anOrder struct {
	customer domain.CustomerID
	items    []string
	paid     domain.Money
	method   string
}

func decodeOrder(data []byte) (anOrder, error) {
	o := Parse(data, orderFields)
	got := anOrder{customer: ID[domain.CustomerID](&o, "customerId")}
	got.items, _ = o.Items()
	got.paid, got.method = o.Payment()
	return got, o.Err()
}

func encodeOrder(t testing.TB, o anOrder) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"customerId": o.customer, "ItemIds": o.items,
		"paymentDetails": map[string]any{"amount": domain.FormatMinor(o.paid.Minor), "currency": o.paid.Currency, "method": o.method},
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// faults are the fields and codes of an error.
func faults(t testing.TB, err error) string {
	t.Helper()
	var invalid *domain.InvalidError
	if !errors.As(err, &invalid) {
		return fmt.Sprint(err)
	}
	var all []string
	for _, f := range invalid.Fields {
		all = append(all, f.Field+" "+f.Code)
	}
	return strings.Join(all, ", ")
}

// What is accepted is a valid order that is written and read again as the same, and JSON to encoding/json too. What is not is an
// error that the caller can act on.
func FuzzDecodeOrder(f *testing.F) {
	f.Add([]byte(`{"ItemIds": ["sku-1"], "paymentDetails": {"amount": "129.99", "currency": "GBP", "method": "card", "cvv": "1"}, "customerId": "ann"}`))
	f.Add([]byte(`{"ItemIds": ["\ud800", "a"], "paymentDetails": {"amount": 1e400, "currency": null}, "customerId": 7}`))
	f.Add([]byte(`{"ItemIds": [null, 1], "paymentDetails": [], "ItemIds": 7, "x": {}}`))
	f.Add([]byte(` {"customerId": "a"} {}`))
	f.Add([]byte("{\"\xff\": 1}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeOrder(data)
		if err != nil {
			if !errors.Is(err, domain.ErrInvalid) && err != ErrMalformed && err != ErrTooLarge {
				t.Fatalf("%q fails with %v", data, err)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q is no JSON to encoding/json", data)
		}
		if _, err := domain.ParseID[domain.CustomerID]("", string(got.customer)); err != nil || got.paid.Minor < 0 || got.paid.Minor > domain.MaxMinor {
			t.Fatalf("%q is read as %+v", data, got)
		}
		place := order.Place{Order: "o", Customer: got.customer, Items: got.items, Paid: got.paid, Method: got.method, Policy: domain.DefaultPolicy()}
		if _, err := order.Decide(place, order.State{}); err != nil && !errors.Is(err, domain.ErrInvalid) && !errors.Is(err, domain.ErrOrderPoints) {
			t.Fatalf("%q leads to %v", data, err)
		}
		plain := encodeOrder(t, got)
		if again, err := decodeOrder(plain); err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("%s is read as %+v, %v, want %+v", plain, again, err, got)
		}
	})
}

// The members that are found are those that encoding/json finds, as it finds them, and so are the strings in them.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a": 1, "b\u0062": [1, "\"]", {"c": "}"}], "": {}, "a" :null}`))
	f.Add([]byte(" {\t} "))
	f.Add([]byte(`{"ItemIds": ["\ud800", "\ud83d\ude00", "x"], "a": "\ud800\u0041"}`))
	f.Add([]byte(`{"a": {"a": {"a": [` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fields := []string{"a", "bb", "", "ItemIds"}
		o := Parse(data, fields)
		if err := o.Err(); errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge) {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("%q is accepted, and encoding/json says %v", data, err)
		}
		for _, field := range fields {
			raw, present := o.Raw(field)
			if given, has := want[field]; present != (has && string(given) != "null") || present && !bytes.Equal(raw, given) {
				t.Fatalf("%q: the member %q is %s, want %s", data, field, raw, given)
			}
			var wantText string
			isString := json.Unmarshal(raw, &wantText) == nil
			if got, ok := o.String(field, "code"); present && (ok != isString || got != wantText) {
				t.Fatalf("%q: the member %q says %q, want %q", data, field, got, wantText)
			}
		}
		var wantItems []*string
		if items, ok := o.Items(); ok && items != nil {
			if err := json.Unmarshal(want["ItemIds"], &wantItems); err != nil || len(items) != len(wantItems) {
				t.Fatalf("%q: items %q, want %s", data, items, want["ItemIds"])
			}
			for i := range items {
				if items[i] != *wantItems[i] {
					t.Fatalf("%q: items %q, want %s", data, items, want["ItemIds"])
				}
			}
		}
	})
}

func TestWhatIsNotOneObjectIsMalformed(t *testing.T) {
	for _, data := range []string{
		"", " ", "null", "[]", "1", `"a"`, "{", "}", "{} {}", "{}x", `{"a":}`, `{"a"}`, `{"a":1,}`, `{a:1}`, `{'a':1}`, `{"a":1 "b":2}`, `{"a":NaN}`,
		`{"a":01}`, `{"a":+1}`, `{"a":.5}`, `{"a":"` + "\n" + `"}`, `{"a":"\x"}`, `{"a":tru}`, `{"a":[1,]}`, "\ufeff{}", "{\"\xff\":1}", "{\"a\":\"\xff\"}",
		`{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, `{1:2}`, `{"a":1}/**/`,
	} {
		o := Parse([]byte(data), []string{"a"})
		if _, present := o.Raw("a"); o.Err() != ErrMalformed || present {
			t.Errorf("%.40q: %v", data, o.Err())
		}
	}
	for _, data := range []string{"{}", " {\t\r\n} ", `{"a": 1}`, `{"a":"` + strings.Repeat("x", MaxBytes-8) + `"}`} {
		if o := Parse([]byte(data), []string{"a"}); o.Err() != nil {
			t.Errorf("%.40q: %v", data, o.Err())
		}
	}
	if o := Parse([]byte(`{"a":"`+strings.Repeat("x", MaxBytes-7)+`"}`), []string{"a"}); o.Err() != ErrTooLarge {
		t.Errorf("one byte too many: %v", o.Err())
	}
}

func TestNamesAreExactAndOccurOnce(t *testing.T) {
	for data, want := range map[string]string{
		`{"a": 1, "\u0061": 2}`:                 "a field_repeated",
		`{"A": 1}`:                              "A field_unknown",
		`{"a": null, "a": null}`:                "a field_repeated",
		`{"b": 1, "a": 1, "c d": 2, "": 3}`:     "b field_unknown, c d field_unknown,  field_unknown",
		`{"b": {"a": 1, "a": 2}, "b": 1}`:       "b field_unknown, b field_unknown",
		`{"a": {"b": 1, "b": 2, "c": [{}, 1]}}`: "<nil>",
	} {
		o := Parse([]byte(data), []string{"a"})
		if got := faults(t, o.Err()); got != want {
			t.Errorf("%s: got %s, want %s", data, got, want)
		}
	}
}

func TestEveryMistakeOfAnOrderIsToldAtOnce(t *testing.T) {
	for data, want := range map[string]string{
		`{}`: "customerId id_missing, paymentDetails payment_missing",
		`{"x": 1, "ItemIds": [7, "a", null], "paymentDetails": {"amount": "1", "amount": -1, "currency": 1, "method": 2}}`: "x field_unknown, customerId id_missing, " +
			"ItemIds[0] id_malformed, ItemIds[2] id_malformed, paymentDetails.amount field_repeated, " +
			"paymentDetails.amount amount_negative, paymentDetails.currency currency_malformed, paymentDetails.method method_malformed",
		`{"customerId": "a", "ItemIds": {}, "paymentDetails": []}`: "ItemIds items_malformed, paymentDetails payment_malformed",
	} {
		if _, err := decodeOrder([]byte(data)); faults(t, err) != want {
			t.Errorf("%s:\ngot  %s\nwant %s", data, faults(t, err), want)
		}
	}
}

func TestOfAPaymentNothingElseIsKept(t *testing.T) {
	got, err := decodeOrder([]byte(`{"customerId": "a", "ItemIds": ["i"],
		"paymentDetails": {"card": {"number": "4929138475551234"}, "Amount": 7, "amount": 5, "currency": "EUR", "card": 1, "method": "card"}}`))
	if err != nil || strings.Contains(fmt.Sprintf("%+v", got), "4929") || got.paid != (domain.Money{Minor: 500, Currency: domain.EUR}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestPointsAreANumberWrittenAsAnInteger(t *testing.T) {
	for text, want := range map[string]string{
		`25`: "<nil>", `-25`: "<nil>", `0`: "<nil>", `-0`: "<nil>", `99999999999999999999`: "<nil>",
		`25.0`: "p points_malformed", `1e2`: "p points_malformed", `"25"`: "p points_malformed", `true`: "p points_malformed", `[1]`: "p points_malformed",
		`null`: "p points_missing",
	} {
		o := Parse([]byte(`{"p": `+text+`}`), []string{"p"})
		points, ok := o.Points("p")
		if got := faults(t, o.Err()); got != want || ok != (want == "<nil>") {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
		if len(text) > 15 && points <= domain.MaxChange {
			t.Errorf("%s is read as %d", text, points)
		}
	}
}

// No float is between an amount and its digits.
func TestAmountsAreReadExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64Range(0, domain.MaxMinor).Draw(t, "minor")
		text := domain.FormatMinor(minor)
		for _, written := range []string{text, `"` + text + `"`} {
			o := Parse(fmt.Appendf(nil, `{"amount": %s}`, written), []string{"amount"})
			if got, ok := o.Amount("amount"); !ok || got != minor {
				t.Fatalf("%s is read as %d, %v", written, got, o.Err())
			}
		}
	})
}

func TestAWholeNumberHasBoundsAndADefault(t *testing.T) {
	for data, want := range map[string]string{
		`{}`: "10 <nil>", `{"top": null}`: "10 <nil>", `{"top": 1}`: "1 <nil>", `{"top": 100}`: "100 <nil>",
		`{"top": 0}`: "top top_out_of_range", `{"top": 101}`: "top top_out_of_range", `{"top": 1.0}`: "top top_out_of_range", `{"top": "5"}`: "top top_out_of_range",
	} {
		o := Parse([]byte(data), []string{"top"})
		n := o.Int("top", 10, 1, 100)
		got := faults(t, o.Err())
		if o.Err() == nil {
			got = fmt.Sprint(n, " ", got)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", data, got, want)
		}
	}
}

func TestMistakesAreBounded(t *testing.T) {
	for _, data := range []string{
		`{"a` + strings.Repeat(`": 1, "a`, 5000) + `": 1}`,
		`{"customerId": "a", "ItemIds": [1` + strings.Repeat(`,1`, 5000) + `]}`,
	} {
		_, err := decodeOrder([]byte(data))
		var invalid *domain.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Fields) < MaxFaults || len(invalid.Fields) > MaxFaults+5 {
			t.Errorf("%.20s: %d mistakes", data, len(invalid.Fields))
		}
	}
}

func TestAnErrorOfTheCallerIsNeverLost(t *testing.T) {
	o := Parse([]byte(`{"a`+strings.Repeat(`": 1, "a`, 5000)+`": 1}`), []string{"b"})
	o.AddInvalid(domain.ErrConflict)
	o.Add(domain.ErrForbidden)
	if err := o.Err(); err != domain.ErrForbidden {
		t.Errorf("got %v", err)
	}
}

// A reader that is used again must hold nothing of what others read.
func TestManyReadAtOnce(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			want := anOrder{customer: domain.CustomerID(fmt.Sprint("c-", i)), items: make([]string, i+1), paid: domain.Money{Minor: int64(i), Currency: domain.GBP}}
			for j := range want.items {
				want.items[j] = fmt.Sprint("sku-", i, "-", j)
			}
			plain := encodeOrder(t, want)
			for range 500 {
				if got, err := decodeOrder(plain); err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("got %+v, %v", got, err)
				}
			}
		})
	}
}

func BenchmarkDecodeOrder(b *testing.B) {
	for _, items := range []int{1, 20} {
		data := fmt.Appendf(nil, `{"ItemIds": ["sku-100200"%s], "paymentDetails": {"amount": "129.99", "currency": "GBP", "method": "card"}, "customerId": "c-4711"}`,
			strings.Repeat(`, "sku-100200"`, items-1))
		b.Run(fmt.Sprintf("items=%d", items), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := decodeOrder(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
