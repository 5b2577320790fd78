package main

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"loyalty/api/browsertest"
	"loyalty/internal/cli"
)

// Given the operators' page
// When orders come in, and when the process stops and is there again
// Then the page shows how things are, says so when it is asked in vain, and recovers by itself.
func TestOperatorsSeeHowAProcessFares(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	c := newClient(t, p, data)
	f := newFront(t, &process{base: p.admin})
	tab := browsertest.Open(t)
	tab.Go(f.url + "/status")
	shows(tab, "#verdict", "Ready")
	shows(tab, "#stores", "embedded")
	tab.Wait(`document.querySelectorAll("#projections tr").length === 3 && document.querySelectorAll("#projections .chip.good").length === 3`)
	orders := 0
	place := func() {
		c.must(http.StatusCreated, nil, webshop, http.MethodPost, fmt.Sprintf("/order/o-%d", orders), orderBody("alice", 10))
		orders++
	}
	rate := `[...document.querySelectorAll("#rates li")].find((e) => e.textContent.includes("Orders/s")).querySelector(".value").textContent`
	for moved := false; !moved; {
		place()
		tab.Eval("Number("+rate+") > 0", &moved)
	}
	lookedAt(tab)
	tab.Allow("502", "503")
	if status := p.stop(syscall.SIGTERM); status != cli.ExitOK {
		t.Fatalf("it stops with %d", status)
	}
	shows(tab, "#silent", "The process does not answer. These figures are")
	p = startDev(t, data)
	f.lead(t, &process{base: p.admin})
	tab.Wait(`document.querySelector("#silent").textContent === ""`)
	shows(tab, "#verdict", "Ready")
}

// Given a process without two of its stores
// When an operator looks
// Then the page says which, and why, whatever the width and the light.
func TestOperatorsSeeWhichStoresAreDown(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := openSite(t)
	p := s.role("command,query,project")
	tab := browsertest.Open(t)
	tab.Go(p.admin + "/status")
	shows(tab, "#verdict", "Ready")
	s.redis.Stop()
	s.postgres.Stop()
	shows(tab, "#why", "It answers, without: ledger, leaderboard.")
	tab.Wait(`document.querySelectorAll("#stores .chip.bad").length === 2 && document.querySelectorAll("#stores .chip.good").length === 1`)
	tab.Wait(`document.querySelector(".verdict").classList.contains("bad")`)
	lookedAt(tab)
	// A reason is to be read, on a phone too.
	tab.Size(360, 800)
	tab.Wait(`[...document.querySelectorAll("#stores .note .small")].filter((e) => e.getBoundingClientRect().width > 220).length === 2`)
	s.redis.Start()
	s.postgres.Start()
	shows(tab, "#verdict", "Ready")
	tab.Wait(`document.querySelectorAll("#stores .chip.good").length === 3 && document.querySelectorAll("#stores .note").length === 0`)
}
