package api_test

import (
	"testing"

	"loyalty/api/auth"
	"loyalty/api/browsertest"
)

// signedOut is true on the page that signing out ends on.
const signedOut = `document.querySelector("h1")?.textContent === "You are signed out"`

// pressSignOut signs somebody out from the header.
func pressSignOut(tab *browsertest.Tab) {
	const button = `[...document.querySelectorAll("header.site button")].find((b) => b.textContent === "Sign out")`
	tab.Wait(button)
	do(tab, button+".click()")
	tab.Wait(signedOut)
}

// Given a page with somebody's data, which the browser keeps when they leave it
// When they sign out, and somebody goes back
// Then the page is there again for long enough to see that nobody is signed in, and shows nothing; its connection ended before.
func TestAPageThatTheBrowserKeptShowsNothingAfterSigningOut(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.do(t, exchange{as: webshop, method: "POST", path: "/order/o-1", body: orderOf(`1000`, "ann"), status: 201})
	for _, page := range []struct {
		who         auth.Claims
		path, shows string
	}{
		{ann, "/", live}, {support, "/support#customer=ann", `document.getElementById("customer-title").textContent.includes("ann")`},
		{analyst, "/analysis", `document.querySelector("#board tbody tr")`},
	} {
		t.Run(string(page.who.Role), func(t *testing.T) {
			tab := visit(t, s.site, page.who, page.path)
			tab.Wait(page.shows)
			tab.Allow("401", "404")
			// What the page shows from now on is kept where a page that is loaded anew finds it.
			do(tab, `addEventListener("pageshow", ({ persisted }) => { localStorage.setItem("persisted", persisted);
				localStorage.setItem("shown", document.documentElement.checkVisibility()); });`)
			pressSignOut(tab)
			if page.who.Role == auth.RoleCustomer {
				s.waitForMetric(t, "loyalty_live_pages_in_flight 0")
			}
			tab.Back()
			tab.Wait(`location.pathname === "/sign-in"`)
			if got := evaluate[string](tab, `localStorage.getItem("persisted") + " " + localStorage.getItem("shown")`); got != "true false" {
				t.Errorf("that the page came back from where the browser keeps pages, and that it showed something, is %s", got)
			}
		})
	}
}

// Given a page that comes from a sign-in
// When it is refused, again and again
// Then it says so, with the request to name, and does not go to the sign-in again by itself.
func TestAPageThatIsRefusedRightAfterASignInStops(t *testing.T) {
	s := startStack(t, loadDocument(t))
	for _, page := range []string{"/", "/support#customer=ann", "/analysis"} {
		tab := browsertest.Open(t)
		tab.Allow("401", "404")
		tab.Go(s.url + "/signed-out")
		tab.Cookie(s.url, "loyalty_session", "of-another-key")
		do(tab, `document.cookie = "loyalty_just_signed_in=true; path=/"`)
		tab.Go(s.url + page)
		tab.Wait(`document.getElementById("refused")?.textContent.match(/is not accepted here.*\(Request [^ ]+\.\)/) || location.pathname === "/sign-in"`)
		tab.Wait(`document.getElementById("refused").checkVisibility()`)
		tab.Accessible()
		tab.Fits()
		if page != "/" {
			continue
		}
		do(tab, `[...document.querySelectorAll("#refused a")].find((a) => a.textContent === "Try again").click()`)
		tab.Wait(atSignIn)
	}
	// Also what was well at first, and is refused by a call later.
	d := s.sitDown(t, support, "#customer=ann")
	d.Allow("401", "404")
	do(d.Tab, `document.cookie = "loyalty_just_signed_in=true; path=/"`)
	d.Eval(`fetch("/session", {method: "DELETE"}).then(() => {})`, nil)
	do(d.Tab, `document.getElementById("trail-again").click()`)
	d.shows("#refused", "perhaps your browser keeps no cookies of this site")
	d.hides("#customer")
	if evaluate[string](d.Tab, "location.pathname") != "/support" {
		t.Error("it went to the sign-in")
	}
}

// Given a page whose session ends when another tab has just renewed it
// Then it goes on with the session that there is, and nobody is told of a refusal.
func TestAPageWhoseSessionAnotherTabRenewedGoesOn(t *testing.T) {
	s := startBoard(t, true, nil)
	tab := visit(t, s.site, ann, "/")
	tab.Wait(live)
	do(tab, `document.cookie = "loyalty_just_signed_in=true; path=/"; window.before = true;
		document.querySelector("loyalty-dashboard").dispatchEvent(new CustomEvent("loyalty-token-expired", { detail: { code: "token_expired" } }))`)
	tab.Wait(`!window.before && ` + live)
	if evaluate[bool](tab, `Boolean(document.getElementById("refused")) || location.pathname !== "/"`) {
		t.Error("it says that it was refused, or went elsewhere")
	}
}

// Given fields of the support page in which something is typed that was not sent
// When the session ends, and the same person signs in again
// Then it is there; a filter is not for another customer.
func TestWhatWasTypedOutlivesARenewal(t *testing.T) {
	s := startStack(t, loadDocument(t))
	d := s.sitDown(t, support, "#customer=ann")
	d.Allow("401", "404")
	d.Type("#q", "amber otter 48")
	d.Type("#filter [name=order]", "o-7")
	d.Eval(`fetch("/session", {method: "DELETE"}).then((r) => r.status)`, nil)
	do(d.Tab, `document.getElementById("trail-again").click()`)
	d.Wait(`location.pathname === "/sign-in"`)
	d.signIn(support)
	d.Go(d.url + "/support")
	const typed = `document.querySelector("#q").value + " | " + document.querySelector("#filter [name=order]").value`
	d.Wait(typed + ` === "amber otter 48 | o-7"`)
	d.at("#customer=bob")
	d.Wait(typed + ` === "amber otter 48 | "`)
}
