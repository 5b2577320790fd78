package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"loyalty/api"
	"loyalty/api/browsertest"
)

// status asks the process how it fares.
func (p *process) status() (s api.Status) {
	p.t.Helper()
	response, err := http.Get(p.admin + "/status.json")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// down is what is wrong with each store that is not up, by name.
func down(s api.Status) map[string]string {
	all := map[string]string{}
	for _, store := range s.Stores {
		if !store.Up {
			all[store.Name] = store.Why
		}
	}
	return all
}

// Given a process on three stores
// When one of them is stopped, and then started again
// Then the status says which, and that the others are there; and then that all are.
func TestTheStatusSaysWhichStoreIsDown(t *testing.T) {
	s := openSite(t)
	p := s.role("command,query,project")
	got := p.status()
	if kinds := fmt.Sprint(got.Stores[0].Kind, " ", got.Stores[1].Kind, " ", got.Stores[2].Kind); kinds != "esdb postgres redis" || len(down(got)) != 0 || len(got.Projections) != 2 {
		t.Fatalf("at first the status is %+v", got)
	}
	if strings.Join(got.Roles, " ") != "command query project" || got.Started.IsZero() || got.NotReady != "" {
		t.Errorf("it is %+v", got)
	}
	s.redis.Stop()
	waitFor(t, "the leaderboard to be down", func() bool {
		is := down(p.status())
		return len(is) == 1 && is["leaderboard"] != ""
	})
	s.redis.Start()
	s.postgres.Stop()
	waitFor(t, "the ledger to be down and not the leaderboard", func() bool {
		is := down(p.status())
		return len(is) == 1 && is["ledger"] != ""
	})
	s.postgres.Start()
	waitFor(t, "all to be up", func() bool { return len(down(p.status())) == 0 })
	text, err := json.Marshal(p.status())
	if err != nil || strings.Contains(string(text), "://") {
		t.Errorf("the status holds an address: %s, %v", text, err)
	}
}

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
	if status := p.stop(syscall.SIGTERM); status != exitFine {
		t.Fatalf("it stops with %d", status)
	}
	shows(tab, "#silent", "The process does not answer. These figures are")
	p = startDev(t, data)
	f.lead(t, &process{base: p.admin})
	tab.Wait(`document.querySelector("#silent").textContent === ""`)
	shows(tab, "#verdict", "Ready")
}
