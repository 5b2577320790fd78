package main

import (
	"net/http"
	"slices"
	"testing"

	"loyalty/internal/cli"
)

// Given a database for which a DBA has set limits of time that are short for any work on many rows
// When all roles are started, a leaderboard in memory is loaded, and the ledger is verified and folded anew
// Then all goes well, as without limits.
func TestLimitsThatADBAHasSetEndNothing(t *testing.T) {
	s := openSite(t)
	at := slices.IndexFunc(s.settings, func(each string) bool { return each[:len(theLedger)] == theLedger })
	s.settings[at] = theLedger + "=" + s.postgres.URL("statement_timeout = '10ms'", "lock_timeout = '10ms'", "idle_in_transaction_session_timeout = '50ms'")
	p := s.role("command,query,project")
	const orders, customers = 5000, 1000
	p.batchOf(t, []byte(siteTokenSecret), "limited", orders, func([]byte) {})
	c := s.client(p)
	var placed placedAnswer
	c.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/last", orderBody("c-0", "10.00"))
	local := s.client(s.role("query", "LOYALTY_LEADERBOARD=memory:"))
	for _, screen := range []*client{c, local} {
		var shown dashboardAnswer
		screen.must(http.StatusOK, &shown, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil, "Loyalty-Min-Position: "+placed.Position)
		if shown.Customers < customers {
			t.Errorf("it shows %d customers", shown.Customers)
		}
	}
	for _, found := range s.verified().Findings {
		if found.Drifted != 0 {
			t.Errorf("%+v", found)
		}
	}
	if stdout, stderr, status := runIn(t, s.settings, "rebuild", "ledger"); status != cli.ExitOK {
		t.Errorf("rebuild exits with %d: %s %s", status, stdout, stderr)
	}
}
