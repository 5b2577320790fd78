package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Given a customer with an entry of every kind, for which staff and channels gave reasons, and decisions about them
// When they ask for all that a customer may see
// Then nothing of it tells a reason, and every entry says of what kind it is.
func TestACustomerIsToldNoReason(t *testing.T) {
	s := startStack(t, loadDocument(t))
	const why = "suspicion"
	colleague := named(support, "staff-9")
	do := func(x exchange) answer { x.method = "POST"; return s.do(t, x) }
	keyed := func(key string) http.Header { return http.Header{"Idempotency-Key": {key}} }
	do(exchange{as: till, path: "/order/o-1", body: orderOf(`"129.99"`, "ann"), status: 201})
	do(exchange{as: till, path: "/order/o-1/returns/r-1", body: `{"amount": "10.00", "reason": "` + why + ` of the till"}`, status: 201})
	do(exchange{as: support, path: "/order/store.o-1/returns/r-2", body: `{"amount": "10.00", "reason": "` + why + ` of support"}`, status: 201})
	gives := func(points, reason string) string {
		return `{"loyalty-points": ` + points + `, "reason": "` + why + reason + `"}`
	}
	do(exchange{as: support, path: "/loyalty/ann", body: gives("7", ""), header: keyed("k-1"), status: 201})
	do(exchange{as: awarder, path: "/loyalty/ann", body: gives("-3", ""), header: keyed("k-2"), status: 201})
	approved := decode[adjusted](t, do(exchange{as: support, path: "/loyalty/ann", body: gives("5000", " one"), header: keyed("k-3"), status: 202}))
	declined := decode[adjusted](t, do(exchange{as: support, path: "/loyalty/ann", body: gives("5000", " two"), header: keyed("k-4"), status: 202}))
	do(exchange{as: colleague, path: "/loyalty/ann/adjustments/" + declined.LoyaltyID + "/refusal", body: `{"reason": "` + why + `"}`, status: 201})
	last := decode[adjusted](t, do(exchange{as: colleague, path: "/loyalty/ann/adjustments/" + approved.LoyaltyID + "/approval", status: 201})).Position
	do(revealing(t, "ann"))

	for path, accept := range map[string]string{
		"/loyalty/ann/trail": "", "/loyalty/ann/trail?kind=adjustment": "text/csv", "/loyalty/ann": "",
	} {
		header := after(last)
		if accept != "" {
			header.Set("Accept", accept)
		}
		got := s.do(t, exchange{as: ann, method: "GET", path: path, header: header, status: 200})
		if strings.Contains(string(got.body), why) || accept == "" && strings.Contains(string(got.body), `"reason"`) {
			t.Errorf("%s tells the customer %s", path, got.body)
		}
	}
	var kinds []string
	for _, e := range decode[trail](t, s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann/trail", header: after(last), status: 200})).Entries {
		kinds = append(kinds, e.Kind)
	}
	if want := []string{"adjustment", "adjustment", "adjustment", "reversal", "reversal", "award"}; !slices.Equal(kinds, want) {
		t.Errorf("the kinds are %v, want %v", kinds, want)
	}
	for _, e := range decode[trail](t, s.do(t, exchange{as: support, method: "GET", path: "/loyalty/ann/trail", header: after(last), status: 200})).Entries {
		if (e.Kind == "award") != (e.Reason == "") {
			t.Errorf("support is told of %s: %q", e.Kind, e.Reason)
		}
	}
}
