package main

import (
	"net/http"
	"os"
	"slices"
	"testing"

	"loyalty/domain"
)

// The whole program keeps its history, across a restart, and has a season.
func TestDashboardsOfThePastAndOfASeasonOutliveARestart(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data, "--seasons", "century=2000-01-01/2100-01-01")
	shop := &desk{newClient(t, p, data), p, data}
	place := func(id, customer, amount string) (at placedAnswer) {
		t.Helper()
		shop.must(http.StatusCreated, &at, webshop, http.MethodPost, "/order/"+id, orderBody(customer, amount))
		return at
	}
	// Given that bob was ahead of alice, until she bought more
	place("o-1", "alice", "20.00")
	then := place("o-2", "bob", "50.00")
	now := place("o-3", "alice", "100.00")

	look := func(name string) {
		t.Helper()
		var past, present, ofCentury dashboardAnswer
		shop.must(http.StatusOK, &past, supportClaims, http.MethodGet, "/loyalty/alice?asOf="+then.Position, nil, "Loyalty-Min-Position: "+now.Position)
		shop.must(http.StatusOK, &present, supportClaims, http.MethodGet, "/loyalty/alice", nil, "Loyalty-Min-Position: "+now.Position)
		shop.must(http.StatusOK, &ofCentury, supportClaims, http.MethodGet, "/loyalty/alice?season=century", nil, "Loyalty-Min-Position: "+now.Position)
		if past.You.Rank != 2 || past.You.Points != 2 || past.Position != then.Position {
			t.Errorf("%s: then alice saw %+v", name, past)
		}
		if present.You.Rank != 1 || present.You.Points != 12 || ofCentury.You.Rank != 1 || ofCentury.You.Points != 12 {
			t.Errorf("%s: now alice sees %+v, and of the century %+v", name, present, ofCentury)
		}
		if present.You.ProxyName != "" || ofCentury.You.ProxyName != "" {
			t.Errorf("%s: support sees her name: %+v, %+v", name, present.You, ofCentury.You)
		}
		var changes struct {
			Then, Now struct{ Rank int64 }
			Awarded   domain.Points
			Overtook  int64
			Text      []string
		}
		shop.must(http.StatusOK, &changes, supportClaims, http.MethodGet, "/loyalty/alice/changes?since="+then.Position, nil)
		if changes.Then.Rank != 2 || changes.Now.Rank != 1 || changes.Awarded != 10 || changes.Overtook != 1 || !slices.Contains(changes.Text, "You passed 1 customer.") {
			t.Errorf("%s: since then %+v", name, changes)
		}
	}
	look("at first")
	p.stop(os.Interrupt)
	p = startDev(t, data, "--seasons", "century=2000-01-01/2100-01-01")
	shop = &desk{newClient(t, p, data), p, data}
	look("after a restart")
}
