package domain_test

import (
	"strings"
	"testing"

	"loyalty/domain"
)

const idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

func TestParseID_accepts_1_to_64_of_its_alphabet(t *testing.T) {
	for _, text := range []string{"c", "-", "_", "customer-42", "A_b-9", idAlphabet, strings.Repeat("x", domain.MaxIDLength)} {
		if got, err := domain.ParseID[domain.CustomerID]("customerId", text); err != nil || string(got) != text {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
}

func TestParseID_refuses_by_field(t *testing.T) {
	for code, texts := range map[string][]string{
		"id_missing":   {""},
		"id_too_long":  {strings.Repeat("x", domain.MaxIDLength+1), strings.Repeat("é", domain.MaxIDLength), strings.Repeat("x", 1<<16)},
		"id_malformed": {" ", "a b", "a.b", "a/b", "..", "a\x00", "a\n", "é", "a@b", "a:b", "$all", "a%20b", "\xff", "Ａ"},
	} {
		for _, text := range texts {
			got, err := domain.ParseID[domain.OrderID]("orderId", text)
			wantRefusals(t, err, "orderId "+code)
			if got != "" {
				t.Errorf("%.20q is refused and still %q", text, got)
			}
		}
	}
}

func TestParseID_accepts_no_other_byte(t *testing.T) {
	for c := range 256 {
		text := "a" + string([]byte{byte(c)}) + "z"
		_, err := domain.ParseID[domain.ReturnID]("returnId", text)
		if want := strings.IndexByte(idAlphabet, byte(c)) >= 0; (err == nil) != want {
			t.Errorf("byte %#x: %v; want it accepted: %v", c, err, want)
		}
	}
}

func TestParseChannel_knows_the_channels_of_the_shop(t *testing.T) {
	for _, want := range []domain.Channel{domain.Website, domain.Mobile, domain.Store} {
		if got, err := domain.ParseChannel("channel", string(want)); err != nil || got != want {
			t.Errorf("%s is %s, %v", want, got, err)
		}
	}
	for _, text := range []string{"", "Website", "phone", "store "} {
		_, err := domain.ParseChannel("channel", text)
		wantRefusals(t, err, "channel channel_unknown")
	}
}

func TestParseActor_accepts_who_acts_as_providers_name_them(t *testing.T) {
	for _, text := range []string{"s-1", "_x", "auth0|65f1c0ffee", "waad|AbC.d-e_f@shop", "f:0f1e2d3c:mary", "mary@shop.example", strings.Repeat("x", domain.MaxIDLength)} {
		if got, err := domain.ParseActor("actor", text); err != nil || got != text {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	for code, texts := range map[string][]string{
		"id_missing":   {""},
		"id_too_long":  {strings.Repeat("x", domain.MaxIDLength+1), strings.Repeat("é", domain.MaxIDLength)},
		"id_malformed": {" ", "a b", "a/b", "a\x00", "é", "a=b", "@SUM(A1)", "|a", ".a", ":a", "a\n", "\xff", "a+b"},
	} {
		for _, text := range texts {
			got, err := domain.ParseActor("actor", text)
			wantRefusals(t, err, "actor "+code)
			if got != "" {
				t.Errorf("%.20q is refused and still %q", text, got)
			}
		}
	}
}
