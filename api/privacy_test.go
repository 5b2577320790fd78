package api_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Given orders whose payment holds card data, accepted and refused for every kind of reason
// When all is said and done
// Then nothing of the card is in an answer, in the log, or in any file of the stores, and no line of the log names a
// customer, an order or a token.
func TestCardDataAndCustomersLeaveNoTrace(t *testing.T) {
	s := startStack(t, loadDocument(t))
	const card, cvv, holder = "4929123412341234", "cvv-917", "Ann Elizabeth Shopper"
	body := func(amount string) string {
		return `{"ItemIds": ["sku-1"], "customerId": "ann-7Q", "paymentDetails": {"amount": ` + amount + `, "currency": "GBP", "method": "card",
			"cardNumber": "` + card + `", "cvv": "` + cvv + `", "card": {"number": ` + card + `, "holder": "` + holder + `"}, "` + card + `": 1, "` + card + `": 2}}`
	}
	last := decode[placed](t, s.do(t, exchange{as: till, method: "POST", path: "/order/order-7Q", body: body(`"20"`), status: 201})).Position
	answers := [][]byte{}
	for _, x := range []exchange{
		{body: body(`"20"`), status: 200},
		{body: body(`"30"`), status: 409, code: "conflict"},
		{body: body(`"-1"`), status: 400, code: "amount_negative"},
		{body: body(`"` + card + `.001"`), status: 400, code: "amount_too_precise"},
		{body: body(`"20"`) + card, status: 400, code: "json_malformed"},
	} {
		x.as, x.method, x.path = till, "POST", "/order/order-7Q"
		answers = append(answers, s.do(t, x).body)
	}
	for _, path := range []string{"/loyalty/ann-7Q", "/loyalty/ann-7Q/trail"} {
		answers = append(answers, s.do(t, exchange{as: customer("ann-7Q"), method: "GET", path: path, header: after(last), status: 200}).body)
	}
	award := decode[trail](t, answer{body: answers[len(answers)-1]}).Entries[0].EntryID
	for _, path := range []string{"/search?q=order-7Q", "/loyalty/ann-7Q/entries/" + award, "/loyalty/ann-7Q?asOf=" + last.String(), "/loyalty/ann-7Q/changes?since=" + last.String()} {
		answers = append(answers, s.do(t, exchange{as: support, method: "GET", path: path, header: after(last), status: 200}).body)
	}
	answers = append(answers, s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann-7Q/trail", status: 403, code: "forbidden"}).body)
	answers = append(answers, s.do(t, revealing(t, "ann-7Q")).body)
	traces := []string{card, cvv, holder}
	holds := func(where string, data []byte, words ...string) {
		t.Helper()
		for _, word := range words {
			if bytes.Contains(data, []byte(word)) {
				t.Errorf("%s holds %q", where, word)
			}
		}
	}
	for _, answer := range answers {
		holds("an answer", answer, traces...)
	}
	holds("the log", []byte(s.log.String()), append(traces, "ann-7Q", "order-7Q", "eyJ")...)
	if lines := strings.Count(s.log.String(), `"msg":"request"`); lines != 1+len(answers) {
		t.Errorf("the log has %d lines of requests, want %d", lines, 1+len(answers))
	}
	events, _, err := s.store.Load(t.Context(), "order-store.order-7Q")
	if err != nil || len(events) != 2 {
		t.Fatalf("the stream of the order has %d events, %v", len(events), err)
	}
	for _, event := range events {
		holds("an event", event.Data, traces...)
	}
	err = filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		holds(path, data, traces...)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
