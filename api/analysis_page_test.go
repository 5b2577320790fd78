package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	gocmp "github.com/google/go-cmp/cmp"

	"loyalty/api/auth"
	"loyalty/api/browsertest"
)

// analyse opens the analysis page at a fragment, in a tab of its own with an analyst signed in.
func analyse(t *testing.T, url, fragment string) *desk {
	t.Helper()
	d := &desk{t: t, Tab: browsertest.Open(t), url: url}
	d.signIn(analyst)
	d.Go(url + "/analysis" + fragment)
	return d
}

// tabTo goes on with the keyboard to an element.
func (d *desk) tabTo(selector string) {
	d.t.Helper()
	there := false
	for i := 0; !there; i++ {
		if i > 60 {
			d.t.Fatalf("the Tab key does not lead to %s", selector)
		}
		d.Key("\t")
		d.Eval(fmt.Sprintf(`document.activeElement.matches(%q)`, selector), &there)
	}
}

// then is what the page shows of a leaderboard: its moment as the page has it in its address, and its rows.
func (d *desk) then() (asOf string, rows []best) {
	d.t.Helper()
	d.Eval(`new URLSearchParams(location.hash.slice(1)).get("at") ?? ""`, &asOf)
	d.Eval(`[...document.querySelectorAll("#board tbody tr")].map((row) => ({ Rank: Number(row.cells[0].textContent),
		ProxyName: row.cells[2].textContent, Points: Number(row.cells[3].firstChild.textContent.replaceAll(",", "")) }))`, &rows)
	return asOf, rows
}

// fraction is where on the slider a moment is, 0 to 1.
func (d *desk) fraction(at time.Time) (f float64) {
	d.t.Helper()
	d.Eval(fmt.Sprintf(`(%d - Date.parse(document.querySelector("#slider-from time").dateTime)) / Number(document.getElementById("slider").max)`, at.UnixMilli()), &f)
	return f
}

// Given a leaderboard on which places changed
// When an analyst drags the slider back and forth
// Then they see the leaderboard of each moment, and in words who moved between the two.
func TestAnAnalystDragsTheSliderThroughThePast(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.do(t, order("o-1", `200`, "zoe"))
	s.do(t, order("o-2", `129.99`, "ann"))
	before := time.Now()
	// So much that a pixel of the slider is less.
	eventually(t, "half a second to pass", func() bool { return time.Since(before) > 500*time.Millisecond })
	s.do(t, order("o-3", `300`, "dan"))
	s.do(t, exchange{as: support, method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 10, "reason": "goodwill"}`, status: 201})

	d := analyse(t, s.url, "")
	d.shows("#customers", "3 customers")
	d.shows("#moment-text", "Now")
	d.Wait(`document.querySelector("#board tbody tr").dataset.name === ` + fmt.Sprintf("%q", nameOf(t, "dan")))

	d.Drag("#slider", d.fraction(before.Add(250*time.Millisecond)))
	d.shows("#customers", "2 customers")
	asOf, rows := d.then()
	if diff := gocmp.Diff(get[leaderboardOf](t, s, analyst, "/leaderboard?asOf="+asOf).Top, rows); diff != "" {
		t.Errorf("as of %s (-answer +page):\n%s", asOf, diff)
	}
	if asOf == "" || len(rows) != 2 || rows[0].ProxyName != nameOf(t, "zoe") || rows[0].Points != 20 || rows[1].Points != 13 {
		t.Errorf("as of %s it was %+v", asOf, rows)
	}
	d.shows("#board caption", "what is different from now")
	d.press("#views", "Points over time")
	d.shows("#points-totals tfoot", "All")
	d.press("#views", "The past")
	d.shows("#customers", "2 customers")
	d.Reload()
	d.shows("#customers", "2 customers")
	d.press("#moment", "Now")
	d.shows("#customers", "3 customers")
	d.Drag("#slider", d.fraction(before.Add(250*time.Millisecond)))
	d.shows("#customers", "2 customers")
	d.shows("#board tbody tr:nth-child(1) .moved", "▲ 2 up")
	d.shows("#board tbody tr:nth-child(2) .moved", "same")
	d.shows("#board tbody tr:nth-child(2) .gained", "-10")

	d.Drag("#slider", 1)
	d.shows("#moment-text", "Now")
	d.shows("#customers", "3 customers")
	if asOf, rows = d.then(); asOf != "" || len(rows) != 3 || rows[0].Points != 30 || rows[1].ProxyName != nameOf(t, "ann") || rows[1].Points != 23 {
		t.Errorf("as of %q now it is %+v", asOf, rows)
	}
	d.shows("#board tbody tr:nth-child(1) .moved", "▲ new")
	d.shows("#board tbody tr:nth-child(3) .moved", "▼ 2 down")
	d.shows("[role=status]", "now: 3 customers. First is "+nameOf(t, "dan")+" with 30 points.")
}

// Given an analyst without a mouse
// Then they choose moments with the keys, with buttons and exactly, and what is no moment of the past is said beside the field.
func TestMomentsAreChosenWithoutAMouse(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.twoMoments(t)
	d := analyse(t, s.url, "")
	d.shows("#customers", "1 customer")

	var step, value, least float64
	d.tabTo("#slider")
	d.Eval(`document.getElementById("slider").valueAsNumber`, &value)
	d.Key(kb.ArrowRight)
	d.Wait(`document.getElementById("moment-text").textContent === "Now"`)
	d.Key(kb.ArrowLeft)
	d.Eval(fmt.Sprintf(`%f - document.getElementById("slider").valueAsNumber`, value), &step)
	d.Key(kb.PageDown)
	d.Wait(fmt.Sprintf(`document.getElementById("slider").valueAsNumber <= Math.max(0, %f)`, value-10*step))
	if step <= 0 {
		t.Errorf("a step to the left is %f ms", step)
	}
	d.Wait(`document.getElementById("slider").getAttribute("aria-valuetext") === document.getElementById("moment-text").textContent`)

	d.tabTo("[data-step='-86400']")
	d.Key("\r")
	d.Eval(`document.getElementById("slider").valueAsNumber`, &least)
	if least != 0 {
		t.Errorf("a day back is %f ms after the first moment", least)
	}
	d.shows("#customers", "1 customer")
	d.tabTo("#to-now")
	d.Key(" ")
	d.shows("#customers", "1 customer")

	d.Allow("400 (Bad Request)")
	d.Type("[name=asOf]", "2001-01-01T12:00:00")
	d.press("#moment", "Go")
	d.shows("#moment-text", "1 Jan 2001, 12:00:00")
	d.shows("#customers", "Nobody had points yet")
	d.shows("#board", "The leaderboard was empty.")
	d.Type("[name=asOf]", "2190-01-01T12:00:00")
	d.press("#moment", "Go")
	d.shows("#moment .fault", "nothing is known beyond")
	d.Wait(`document.activeElement.name === "asOf" && document.activeElement.getAttribute("aria-invalid") === "true"`)
	d.Type("[name=top]", "50")
	d.press("#moment", "Now")
	d.hides("#moment .fault")
	d.Wait(`location.hash === "#view=past&top=50"`)
	d.Go(s.url + "/analysis#view=past&at=2001-01-01T12%3A00%3A00.000Z&top=20")
	d.shows("#moment-text", "1 Jan 2001")
	d.Wait(`document.querySelector("[name=top]").value === "20"`)
}

// twoMoments are two orders of zoe's, so far apart that there is a past to move in.
func (s *stack) twoMoments(t *testing.T) {
	t.Helper()
	s.do(t, order("o-1", `200`, "zoe"))
	before := time.Now()
	eventually(t, "a moment to pass", func() bool { return time.Since(before) > 200*time.Millisecond })
	s.do(t, order("o-2", `10`, "zoe"))
}

// between is a proxy between browser and site, which answers what interfere wants instead.
func between(t *testing.T, s *site, interfere func(w http.ResponseWriter, r *http.Request) (done bool)) *httptest.Server {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	through := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !interfere(w, r) {
			through.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// soonFrom is what comes over a channel, soon.
func soonFrom(t *testing.T, from <-chan string) string {
	t.Helper()
	select {
	case text := <-from:
		return text
	case <-time.After(20 * time.Second):
		t.Fatal("waited in vain")
		return ""
	}
}

// Given a system that takes long, or has no time at all
// When an analyst moves on before the answer
// Then the newest moment is shown, the older question is not asked any more, and the page tries again where that helps.
func TestOnlyTheNewestMomentCounts(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.twoMoments(t)
	var slow, busy atomic.Bool
	asked, gone := make(chan string, 100), make(chan string, 100)
	proxy := between(t, s.site, func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.URL.Path != "/leaderboard" || r.URL.Query().Get("top") == "1":
		case busy.Load():
			w.Header().Set("Retry-After", "1")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"title": "Overloaded", "status": 503, "code": "overloaded", "detail": "too much is under way"}`)
			busy.Store(false)
			return true
		case slow.Load():
			asked <- r.URL.RawQuery
			<-r.Context().Done()
			gone <- r.URL.RawQuery
			return true
		}
		return false
	})
	d := analyse(t, proxy.URL, "")
	d.shows("#customers", "1 customer")
	d.Allow("503")

	slow.Store(true)
	d.Drag("#slider", 0.9)
	first := soonFrom(t, asked)
	d.shows("#past-working", "Looking back…")
	if d.Text("#board tbody tr .num:last-child") != "21" {
		t.Error("what was shown before is gone while the page waits")
	}
	d.Drag("#slider", 0)
	if left := soonFrom(t, gone); left != first {
		t.Errorf("given up is %s, asked was %s", left, first)
	}
	soonFrom(t, asked)
	slow.Store(false)
	busy.Store(true)
	d.press("#moment", "Now")
	d.shows("#past-working", "too much is under way Trying again…")
	d.shows("#customers", "1 customer")
	d.Wait(`document.getElementById("past-working").textContent === "" && document.querySelector("#board .scroll").getAttribute("aria-busy") === "false"`)
}

// Before the first entry, and for those who are no analysts, the page says so.
func TestTheAnalysisPageWithoutEntriesOrWithoutLeave(t *testing.T) {
	s := startStack(t, loadDocument(t))
	d := analyse(t, s.url, "")
	d.shows("#past .empty", "Nobody has points yet.")
	d.hides("#moment, #board")
	d.Accessible()
	d.press("#views", "Points over time")
	d.shows("#points-totals tfoot", "All")
	d.Eval(`document.querySelector("[name=range][value=all]").click()`, nil)
	d.hides("#chart")
	s.do(t, order("o-1", `200`, "zoe"))
	d.Go(s.url + "/analysis#view=past")
	d.shows("#customers", "1 customer")

	for _, who := range []auth.Claims{support, ann} {
		other := &desk{t: t, Tab: browsertest.Open(t), url: s.url}
		other.signIn(who)
		other.Go(s.url + "/analysis")
		other.shows("h1", "This page is not for you")
	}
}

// Everybody can use all of it: by axe's checks, on a phone, in light and dark.
func TestTheAnalysisPageIsForEverybody(t *testing.T) {
	s := startStack(t, loadDocument(t))
	for i := range 30 {
		s.do(t, order(fmt.Sprintf("o-%d", i), fmt.Sprint(100*i), shopper(i)))
	}
	d := analyse(t, s.url, "")
	d.shows("#customers", "customers")
	d.ReducedMotion(true)
	for _, view := range []struct{ fragment, ready string }{
		{"#view=past&top=20", `document.querySelectorAll("#board tbody tr").length === 20`},
		{"#view=points&range=day", `document.querySelector("#chart .bars") && document.querySelector("#points-totals tfoot")`},
		{"#view=points&range=week&as=table", `document.querySelectorAll("#points-table tbody tr").length === 168`},
		{"#view=what-if", `document.querySelector("#policy").getClientRects().length > 0`},
	} {
		d.Go(s.url + "/analysis" + view.fragment)
		d.Wait(view.ready)
		if view.fragment == "#view=what-if" {
			d.press("#multipliers", "Add a multiplier")
			d.Type("[name='policy.id']", "double")
			d.press("#policy", "Try it out")
			d.shows("#report-title", "Under double")
		}
		for _, size := range [][2]int64{{360, 740}, {1280, 800}} {
			d.Size(size[0], size[1])
			for _, dark := range []bool{false, true} {
				d.Dark(dark)
				d.Fits()
				d.Accessible()
			}
		}
	}
}
