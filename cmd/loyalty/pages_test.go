package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"loyalty/api/browsertest"
)

// browse opens a tab in which somebody has signed in with one click on the page for developers, who then are where they wanted.
func browse(t *testing.T, base, page, who string) *browsertest.Tab {
	t.Helper()
	tab := browsertest.Open(t)
	// Nobody is signed in at first, and the page finds that out by asking.
	tab.Allow("401 (Unauthorized)")
	tab.Go(base + page)
	tab.Wait(`location.pathname === "/sign-in" && document.readyState !== "loading"`)
	form := "#as-" + who
	var isCustomer bool
	if tab.Eval(fmt.Sprintf("!document.querySelector(%q)", form), &isCustomer); isCustomer {
		form = "#as-shopper-050"
		tab.Type(form+" input[name=sub]", who)
	}
	tab.Click(form + " button")
	tab.Wait(fmt.Sprintf(`location.pathname === %q && document.querySelector("header.site .who")?.textContent.includes(%q)`, page, who))
	return tab
}

// press clicks the button or link of a text once it is there.
func press(tab *browsertest.Tab, within, text string) {
	find := fmt.Sprintf(`[...document.querySelectorAll(%q)].flatMap((e) => [...e.querySelectorAll("button, a")]).find((e) => e.textContent.trim() === %q && e.getClientRects().length > 0 && !e.disabled)`, within, text)
	tab.Wait(find)
	tab.Eval(find+".click()", nil)
}

// shows waits until an element has a text.
func shows(tab *browsertest.Tab, selector, text string) {
	tab.Wait(fmt.Sprintf(`deep(%q)?.textContent.replaceAll("\u00a0", " ").includes(%q)`, selector, text))
}

// Given a customer who signs in and looks at their dashboard
// When a channel posts orders of theirs, and when the process is killed and another takes its place
// Then their row moves without a reload, and at no time does their browser learn another customer's id.
func TestACustomerSeesTheirOrdersArrive(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	f := newFront(t, p)
	c := newClient(t, p, data)
	for i, id := range []string{"alice-7731", "bob-4412", "carol-9081"} {
		c.must(http.StatusCreated, nil, webshop, http.MethodPost, "/order/first-"+id, orderBody(id, 100*(i+1)))
	}
	tab := browse(t, f.url, "/", "alice-7731")
	shows(tab, "tr.self td.rank", "3")
	shows(tab, "tr.self", "10")
	tab.Eval(`globalThis.stayed = true`, nil)

	c.must(http.StatusCreated, nil, webshop, http.MethodPost, "/order/second", orderBody("alice-7731", 150))
	tab.Wait(`deep("tr.self td.rank").textContent.trim() === "2"`)
	shows(tab, "tr.self", "25")

	tab.Allow("502", "ERR_INCOMPLETE_CHUNKED_ENCODING", "network error")
	p.kill()
	tab.Wait(`deep(".status.warn")`)
	p = startDev(t, data)
	f.lead(t, p)
	c = newClient(t, p, data)
	c.must(http.StatusCreated, nil, webshop, http.MethodPost, "/order/third", orderBody("alice-7731", 1000))
	tab.Wait(`deep("tr.self td.rank").textContent.trim() === "1" && !deep(".status.warn")`)
	shows(tab, "tr.self", "125")
	var stayed bool
	if tab.Eval(`globalThis.stayed === true`, &stayed); !stayed {
		t.Error("the page was loaded again")
	}
	answered := f.said()
	if !strings.Contains(answered, "alice-7731") || strings.Count(answered, "proxyName") < 9 {
		t.Errorf("what went through the front was not kept: %d bytes", len(answered))
	}
	for _, other := range []string{"bob-4412", "carol-9081"} {
		if strings.Contains(answered, other) {
			t.Errorf("an answer holds %s, another customer's id", other)
		}
	}
	lookedAt(tab)
}

// lookedAt checks what the page is like for everybody: narrow and wide, light and dark.
func lookedAt(tab *browsertest.Tab) {
	for _, width := range []int64{360, 1280} {
		tab.Size(width, 800)
		tab.Fits()
		for _, dark := range []bool{true, false} {
			tab.Dark(dark)
			tab.Accessible()
		}
	}
}

// Given a customer who says that an order gave too little
// When somebody of support looks for the order
// Then they see how its points came about, and correct it; what is too much for one person, a colleague approves.
func TestSupportCorrectsAnEntryAndAColleagueApproves(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data, "--adjustment-limit", "support=500")
	c := newClient(t, p, data)
	c.must(http.StatusCreated, nil, webshop, http.MethodPost, "/order/order-1", orderBody("alice", "129.99"))
	tab := browse(t, p.base, "/support", "agent-1")
	tab.Type("#q", "order-1")
	press(tab, "#search", "Search")
	shows(tab, "#entry", "£129.99 ÷ £10.00 = 12.999 → 13")
	lookedAt(tab)
	correct := func(points, reason string) {
		tab.Type("[name=loyalty-points]", points)
		tab.Type("textarea[name=reason]", reason)
		press(tab, "#adjust", "Preview")
	}
	correct("25", "parcel came late, ticket 7")
	shows(tab, "#adjust form", "13 + 25 = 38")
	press(tab, "#adjust", "Give 25 points")
	shows(tab, "#points", "38")
	correct("2,500", "parcel lost, ticket 8")
	press(tab, "#adjust", "Ask to give 2,500 points")
	shows(tab, "#waits", "+2,500 points waits")
	shows(tab, "#points", "38")

	other := browse(t, p.base, "/support", "agent-2")
	press(other, "#approvals li", "Approve")
	shows(other, "#approvals li", "38 + 2,500 = 2,538")
	press(other, "#approvals li .panel", "Give 2,500 points")
	shows(other, "#approvals .banner.good", "Approved")
	waitFor(t, "three entries", func() bool { return len(c.trail("alice", "").Entries) == 3 })
	if trail := c.trail("alice", ""); trail.Points != 2538 {
		t.Errorf("the trail is %+v", trail)
	}
}

// Given orders of an hour
// When an analyst drags the slider back, and then tries another policy
// Then the page shows how the leaderboard stood, and what would have been beside what was.
func TestAnAnalystLooksBackAndTriesAPolicy(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	c := newClient(t, p, data)
	for i, id := range []string{"alice", "bob", "carol"} {
		c.must(http.StatusCreated, nil, webshop, http.MethodPost, "/order/first-"+id, orderBody(id, 100*(i+1)))
	}
	tab := browse(t, p.base, "/analysis", "analyst-1")
	tab.Wait(`document.querySelectorAll("#board tbody tr").length === 3`)
	var last placedAnswer
	c.must(http.StatusCreated, &last, webshop, http.MethodPost, "/order/second", orderBody("dave", 900))
	c.must(http.StatusOK, nil, analystClaims, http.MethodGet, "/earnings", nil, "Loyalty-Min-Position: "+last.Position)
	press(tab, "#moment", "Now")
	tab.Wait(`document.querySelectorAll("#board tbody tr").length === 4`)
	tab.Drag("#slider", 0)
	tab.Wait(`document.querySelectorAll("#board tbody tr").length < 4`)
	lookedAt(tab)
	press(tab, "#views", "Points over time")
	tab.Wait(`document.querySelector("#chart svg")`)
	shows(tab, "#points-totals", "150")
	lookedAt(tab)
	press(tab, "#views", "What if")
	tab.Type("[name='policy.id']", "double")
	tab.Type("[name='policy.spendPerPoint.GBP']", "5.00")
	press(tab, "#policy", "Try it out")
	shows(tab, "#report", "300")
	lookedAt(tab)
}

func TestAPageThatIsForOthersSaysSoAndSigningOutEndsTheSession(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	tab := browse(t, p.base, "/support", "agent-1")
	tab.Go(p.base + "/analysis")
	shows(tab, "main", "It is for an analyst. You are signed in as support staff, agent-1.")
	lookedAt(tab)
	press(tab, "header.site", "Sign out")
	tab.Wait(`location.pathname === "/sign-out" && document.querySelector("h1")?.textContent === "You are signed out"`)
	lookedAt(tab)
	if left := tab.Cookies(); len(left) != 0 {
		t.Errorf("the cookies left are %v", left)
	}
	press(tab, "main", "Sign in")
	tab.Wait(`location.pathname === "/sign-in" && location.search === "?afresh=true&to=%2Fanalysis"`)
}
