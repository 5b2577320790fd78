package api_test

import (
	"fmt"
	"slices"
	"testing"

	"loyalty/api/auth"
)

// Given each role, with and without what else a token may say
// When it tries each route, for itself and for another
// Then it gets through exactly where this table says so.
func TestWhoMayDoWhat(t *testing.T) {
	s := serve(t, loadDocument(t), fixed{}.all)
	ordering := customerWithOrder("ann")
	annAwarding := ann
	annAwarding.Scope = "award"
	supportAwarding, analystAwarding := support, analyst
	supportAwarding.Scope, analystAwarding.Scope = "award", "award"
	auditing := support
	auditing.Scope = "read audit"
	annScoped, channelScoped := ann, till
	annScoped.Scope, channelScoped.Scope = "reveal audit", "reveal audit"
	nearly := till
	nearly.Scope = "awards award-points"

	callers := []struct {
		name string
		auth.Claims
	}{
		{"ann", ann}, {"ann, scope order", ordering}, {"ann, scope award", annAwarding}, {"bob", customer("bob")}, {"channel", till}, {"channel, scope award", awarder},
		{"channel, other scopes", nearly}, {"support", support}, {"support, scope award", supportAwarding},
		{"analyst", analyst}, {"analyst, scope award", analystAwarding},
		{"support, scope reveal", revealer}, {"support, scope audit", auditing}, {"analyst, scope audit", auditor},
		{"ann, scopes of staff", annScoped}, {"channel, scopes of staff", channelScoped},
	}
	staff := []string{"support", "support, scope award", "support, scope reveal", "support, scope audit"}
	analysts := []string{"analyst", "analyst, scope award", "analyst, scope audit"}
	anns, channels := []string{"ann", "ann, scope order", "ann, scope award", "ann, scopes of staff"}, []string{"channel", "channel, scope award", "channel, other scopes", "channel, scopes of staff"}
	customersOwn := slices.Concat(anns, staff)
	for _, route := range []struct {
		exchange
		allowed []string
	}{
		{exchange{method: "POST", path: "/order/o-1", body: orderOf(`1`, "ann")}, append([]string{"ann, scope order"}, channels...)},
		{exchange{method: "POST", path: "/orders", body: lineOf("o-1", `1`, "ann"), header: ndjson, status: 200}, channels},
		{exchange{method: "POST", path: "/order/o-1/returns/r-1", body: `{"amount": 1}`}, slices.Concat(channels, staff)},
		{exchange{method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 1, "reason": "goodwill"}`},
			append([]string{"channel, scope award"}, staff...)},
		{exchange{method: "POST", path: "/loyalty/ann/adjustments/l-1/approval"}, staff},
		{exchange{method: "POST", path: "/loyalty/ann/adjustments/l-1/refusal", body: `{"reason": "no receipt"}`}, staff},
		{exchange{method: "GET", path: "/loyalty/ann"}, customersOwn},
		{exchange{method: "GET", path: "/loyalty/ann?asOf=2026-10-01"}, staff},
		{exchange{method: "GET", path: "/loyalty/ann/trail"}, customersOwn},
		{exchange{method: "GET", path: "/loyalty/ann/changes?since=2026-10-01"}, staff},
		{exchange{method: "GET", path: "/loyalty/ann/entries/" + entryID}, staff},
		{exchange{method: "GET", path: "/loyalty/ann?season=2026"}, customersOwn},
		{exchange{method: "GET", path: "/seasons"}, slices.Concat(anns, []string{"bob"}, staff, analysts)},
		{exchange{method: "GET", path: "/session"}, slices.Concat(anns, []string{"bob"}, channels, staff, analysts)},
		{exchange{method: "GET", path: "/search?q=ann"}, staff},
		{exchange{method: "POST", path: "/reveals", body: revealing(t, "ann").body}, []string{"support, scope reveal"}},
		{exchange{method: "GET", path: "/approvals"}, staff},
		{exchange{method: "GET", path: "/leaderboard?asOf=2026-10-01"}, slices.Concat(staff, analysts)},
		{exchange{method: "GET", path: "/earnings"}, slices.Concat(staff, analysts)},
		{whatIf, analysts},
		{exchange{method: "GET", path: "/acts"}, []string{"support, scope audit", "analyst, scope audit"}},
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
