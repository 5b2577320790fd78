package bus_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/bus"
	"loyalty/bus/bustest"
	"loyalty/commands"
	"loyalty/domain"
)

func TestACommandIsReadAsItWasWritten(t *testing.T) {
	for _, c := range []any{bustest.Mug("o-1", "alice"), bustest.Back("o-1", "r-1"), bustest.Goodwill("alice", "l-1", -25)} {
		m, err := bus.Marshaler{}.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		into := reflect.New(reflect.TypeOf(c))
		if err := (bus.Marshaler{}).Unmarshal(m, into.Interface()); err != nil {
			t.Fatalf("%s: %v", m.Payload, err)
		}
		if got := into.Elem().Interface(); !reflect.DeepEqual(got, c) {
			t.Errorf("%s is read as\n%+v, want\n%+v", m.Payload, got, c)
		}
		if (bus.Marshaler{}).NameFromMessage(m) != (bus.Marshaler{}).Name(c) {
			t.Errorf("names %s and %s", bus.Marshaler{}.NameFromMessage(m), bus.Marshaler{}.Name(c))
		}
	}
	if _, err := (bus.Marshaler{}).Marshal(42); err == nil {
		t.Error("42 is no command")
	}
}

func TestTheWrittenFormOfACommandStaysAsItIs(t *testing.T) {
	for want, c := range map[string]any{
		`{"orderId":"o-1","customerId":"alice","ItemIds":["mug"],"paymentDetails":{"amount":"129.99","currency":"GBP","method":"card"},"channel":"store","actor":"till-7"}`: bustest.Mug("o-1", "alice"),
		`{"orderId":"o-1","returnId":"r-1","amount":"40.00","reason":"too small","channel":"store","actor":"till-7"}`:                                                       bustest.Back("o-1", "r-1"),
		`{"customerId":"alice","loyaltyId":"l-1","loyalty-points":25,"reason":"a late parcel","actor":"agent-1"}`:                                                           bustest.Goodwill("alice", "l-1", 25),
	} {
		if m, err := (bus.Marshaler{}).Marshal(c); err != nil || string(m.Payload) != want {
			t.Errorf("got\n%s, want\n%s (%v)", m.Payload, want, err)
		}
	}
}

func TestEveryMistakeInACommandIsNamed(t *testing.T) {
	const order = `"orderId":"o","customerId":"c","ItemIds":["i"],"channel":"store","actor":"t"`
	const paid = `"paymentDetails":{"amount":"1","currency":"GBP"}`
	for _, c := range []struct {
		into    any
		payload string
		want    string
	}{
		{new(commands.PlaceOrder), `{`, "payload json_malformed"},
		{new(commands.PlaceOrder), `[]`, "payload json_malformed"},
		{new(commands.PlaceOrder), `{} {}`, "payload json_malformed"},
		{new(commands.PlaceOrder), "{\"\xff\":1}", "payload json_malformed"},
		{new(commands.PlaceOrder), `{"a":"` + strings.Repeat("x", 64<<10) + `"}`, "payload payload_too_large"},
		{new(commands.PlaceOrder), `{}`, "actor id_missing, channel channel_unknown, orderId id_missing, customerId id_missing, paymentDetails payment_missing"},
		{new(commands.PlaceOrder), `{` + order + `,"paymentDetails":7}`, "paymentDetails payment_malformed"},
		{new(commands.PlaceOrder), `{` + order + `,"paymentDetails":{"amount":1.234,"currency":"USD"}}`, "paymentDetails.amount amount_too_precise, paymentDetails.currency currency_unknown"},
		{new(commands.PlaceOrder), `{` + order + `,` + paid + `,"OrderId":"o"}`, "OrderId field_unknown"},
		{new(commands.PlaceOrder), `{` + order + `,` + paid + `,"Alice Smith":1}`, "? field_unknown"},
		{new(commands.PlaceOrder), `{` + order + `,` + paid + `,"orderId":"p"}`, "orderId field_repeated"},
		{new(commands.PlaceOrder), `{"orderId":1,"customerId":null,"ItemIds":"i","channel":"shop","actor":"a b",` + paid + `}`,
			"actor id_malformed, channel channel_unknown, orderId id_malformed, customerId id_missing, ItemIds items_malformed"},
		{new(commands.PlaceOrder), `{"orderId":"o","customerId":"c","ItemIds":["i",7],"channel":"store","actor":"t",` + paid + `}`, "ItemIds[1] id_malformed"},
		{new(commands.ReturnItems), `{"orderId":"o","returnId":"","amount":"-1","reason":5,"channel":"mobile","actor":"t"}`,
			"returnId id_missing, amount amount_negative, reason reason_malformed"},
		{new(commands.ReturnItems), `{"orderId":"o","returnId":"r","channel":"mobile","actor":"t"}`, "amount amount_missing"},
		{new(commands.AdjustPoints), `{"customerId":"c","loyalty-points":1.0,"reason":"r","actor":"t"}`, "loyaltyId id_missing, loyalty-points points_malformed"},
		{new(commands.AdjustPoints), `{"customerId":"c","loyaltyId":"l","reason":"r","actor":"t","channel":""}`, "channel channel_unknown, loyalty-points points_missing"},
	} {
		err := bus.Marshaler{}.Unmarshal(message.NewMessage("m", []byte(c.payload)), c.into)
		var invalid *domain.InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%.80s: got %v", c.payload, err)
			continue
		}
		var got []string
		for _, f := range invalid.Fields {
			got = append(got, f.Field+" "+f.Code)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%.80s:\ngot  %s\nwant %s", c.payload, strings.Join(got, ", "), c.want)
		}
	}
}

func TestOfAPaymentOnlyAmountCurrencyAndMethodAreKept(t *testing.T) {
	var c commands.PlaceOrder
	payload := `{"orderId":"o","customerId":"c","ItemIds":["i"],"channel":"store","actor":"t","paymentDetails":{"card":"4111111111111111","amount":"5","currency":"EUR","method":"card"}}`
	if err := (bus.Marshaler{}).Unmarshal(message.NewMessage("m", []byte(payload)), &c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprintf("%+v", c), "4111") || c.Paid != (domain.Money{Minor: 500, Currency: domain.EUR}) {
		t.Errorf("got %+v", c)
	}
}

func TestACorrelationThatIsNotFitToStoreIsTheMessagesOwnId(t *testing.T) {
	for given, want := range map[string]string{"": "m", "req-1": "req-1", "a\nb": "m", strings.Repeat("x", 129): "m"} {
		m, err := bus.Marshaler{}.Marshal(bustest.Mug("o-1", "alice"))
		if err != nil {
			t.Fatal(err)
		}
		m.UUID = "m"
		m.Metadata.Set(bus.MetadataCorrelation, given)
		var c commands.PlaceOrder
		if err := (bus.Marshaler{}).Unmarshal(m, &c); err != nil || c.Correlation != want {
			t.Errorf("%q: got %q, %v", given, c.Correlation, err)
		}
	}
}

// fuzz reads a payload as a command: what is read is written and read again as the same; what isn't is domain.ErrInvalid.
func fuzz[C any](f *testing.F, sample any) {
	m, err := bus.Marshaler{}.Marshal(sample)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(m.Payload))
	f.Add([]byte(`{"paymentDetails":{"amount":1e400},"loyalty-points":99999999999999999999}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var c C
		if err := (bus.Marshaler{}).Unmarshal(message.NewMessage("m", payload), &c); err != nil {
			if !errors.Is(err, domain.ErrInvalid) {
				t.Fatalf("got %v", err)
			}
			return
		}
		written, err := bus.Marshaler{}.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		written.UUID = "m"
		var again C
		if err := (bus.Marshaler{}).Unmarshal(written, &again); err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", c) {
			t.Errorf("%s is read as\n%+v, and written and read again\n%+v (%v)", payload, c, again, err)
		}
	})
}

func FuzzPlaceOrderIsReadOrInvalid(f *testing.F) {
	fuzz[commands.PlaceOrder](f, bustest.Mug("o-1", "c"))
}
func FuzzReturnItemsIsReadOrInvalid(f *testing.F) {
	fuzz[commands.ReturnItems](f, bustest.Back("o", "r"))
}
func FuzzAdjustPointsIsReadOrInvalid(f *testing.F) {
	fuzz[commands.AdjustPoints](f, bustest.Goodwill("c", "l", 5))
}

func FuzzAResultIsReadOrInvalid(f *testing.F) {
	f.Add([]byte(`{"commandId":"m","command":"place-order.v1","status":"placed","orderId":"o","points":13,"position":"42"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if _, err := bus.DecodeResult(message.NewMessage("m", payload)); err != nil && err.Error() == "" {
			t.Error("an error without a word")
		}
	})
}
