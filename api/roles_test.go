package api_test

import (
	"fmt"
	"testing"

	"loyalty/api"
)

// Given each role, with and without what else a token may say
// When it tries each route, for itself and for another
// Then it gets through exactly where this table says so.
func TestWhoMayDoWhat(t *testing.T) {
	s := serve(t, loadDocument(t), func(c *api.Config) {
		working := fixed{}
		c.Commands, c.Leaderboard, c.Ledger = working, working, working
	})
	annAwarding := ann
	annAwarding.Scope = "award"
	supportAwarding, analystAwarding := support, analyst
	supportAwarding.Scope, analystAwarding.Scope = "award", "award"
	nearly := till
	nearly.Scope = "awards award-points"

	callers := []struct {
		name string
		api.Claims
	}{
		{"ann", ann}, {"ann, scope award", annAwarding}, {"bob", customer("bob")}, {"channel", till}, {"channel, scope award", awarder},
		{"channel, other scopes", nearly}, {"support", support}, {"support, scope award", supportAwarding},
		{"analyst", analyst}, {"analyst, scope award", analystAwarding},
	}
	customersOwn := []string{"ann", "ann, scope award", "support", "support, scope award"}
	for _, route := range []struct {
		exchange
		allowed []string
	}{
		{exchange{method: "POST", path: "/order/o-1", body: orderOf(`1`, "ann")},
			[]string{"ann", "ann, scope award", "channel", "channel, scope award", "channel, other scopes"}},
		{exchange{method: "POST", path: "/orders", body: lineOf("o-1", `1`, "ann"), header: ndjson, status: 200},
			[]string{"channel", "channel, scope award", "channel, other scopes"}},
		{exchange{method: "POST", path: "/order/o-1/returns/r-1", body: `{"amount": 1}`},
			[]string{"channel", "channel, scope award", "channel, other scopes", "support", "support, scope award"}},
		{exchange{method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 1, "reason": "goodwill"}`},
			[]string{"channel, scope award", "support", "support, scope award"}},
		{exchange{method: "POST", path: "/loyalty/ann/adjustments/l-1/approval"}, []string{"support", "support, scope award"}},
		{exchange{method: "POST", path: "/loyalty/ann/adjustments/l-1/refusal", body: `{"reason": "no receipt"}`}, []string{"support", "support, scope award"}},
		{exchange{method: "GET", path: "/loyalty/ann"}, customersOwn},
		{exchange{method: "GET", path: "/loyalty/ann/trail"}, customersOwn},
	} {
		allowed := make(map[string]bool)
		for _, name := range route.allowed {
			allowed[name] = true
		}
		for _, caller := range callers {
			t.Run(fmt.Sprintf("%s %s by %s", route.method, route.path, caller.name), func(t *testing.T) {
				x := route.exchange
				x.as = caller.Claims
				if x.status == 0 {
					x.status = map[string]int{"GET": 200, "POST": 201}[x.method]
				}
				if !allowed[caller.name] {
					x.status, x.code = 403, "forbidden"
				}
				if got := s.send(t, x); got.status != x.status || got.problem.Code != x.code {
					t.Errorf("got %d %s, want %d %s", got.status, got.problem.Code, x.status, x.code)
				}
			})
		}
	}
}
