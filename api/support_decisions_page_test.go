package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"loyalty/api/auth"
	"loyalty/commands"
	"loyalty/domain"
)

// Given an adjustment that is more than one person may make
// When it is asked for
// Then it waits; whoever asked can't approve it; a colleague does, and sees before what will happen.
func TestALargeAdjustmentIsApprovedByAColleague(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.do(t, order("o-1", `100`, "ann"))
	d := s.sitDown(t, support, "#customer=ann")
	d.Type("[name=loyalty-points]", "2,500")
	d.Type("textarea[name=reason]", "lost parcel, ticket 9")
	d.press("#adjust", "Preview")
	d.shows("#adjust h4", "This will wait for a second person")
	d.shows("#adjust form", "Once approved: 10 + 2,500 = 2,510.")
	d.press("#adjust", "Ask to give 2,500 points")
	d.shows("#adjust .banner.warn", "waits until a colleague approves it")
	d.shows("#waits", "An adjustment of +2,500 points waits for a second person.")
	d.Wait(`document.title === "(1) ann · Support · Loyalty"`)
	d.shows("#points", "10")
	d.press("#waits", "See what waits")
	d.shows("#approvals-title", "Waiting for a second person (1)")
	d.shows("#approvals li", "You asked for this: a colleague has to approve it.")
	d.Wait(`!document.querySelector("#approvals button[aria-label^=Approve]")`)
	s.do(t, adjusting(support, "zoe", 2000, "zoe-1", 202))
	s.do(t, adjusting(support, "zoe", 3000, "zoe-2", 202))

	other := s.sitDown(t, colleague, "")
	other.Allow("409", "400")
	other.Wait(`document.querySelectorAll("#approvals li").length === 3`)
	other.shows("#approvals li:last-child", "asked by staff-3")
	other.press("#approvals li:last-child", "Approve")
	other.shows("#approvals h3:focus", "This is what will happen")
	other.shows("#approvals li:last-child", "ann has 10 points. 10 + 2,500 = 2,510.")
	other.press("#approvals li:last-child .panel", "Give 2,500 points")
	other.shows("#approvals .banner.good:focus", "Approved: +2,500 for ann.")
	other.shows("#approvals-title", "(2)")
	other.Eval(`document.querySelector("#approvals li a").focus()`, nil)
	other.Wait(`dispatchEvent(new Event("focus")) && document.querySelectorAll("#approvals li").length === 2`)
	if points := get[trail](t, s, support, "/loyalty/ann/trail").Points; points != 2510 {
		t.Errorf("approved made it %d points", points)
	}

	// What was decided meanwhile is said in words, and nothing of it done.
	other.press("#approvals li[data-key='zoe/staff.zoe-2']", "Decline")
	other.Type("#approvals input[name=reason]", "no receipt")
	s.do(t, exchange{as: auth.Claims{Subject: "staff-6", Role: auth.RoleSupport}, method: "POST", path: "/loyalty/zoe/adjustments/staff.zoe-2/approval", status: 201})
	other.press("#approvals li[data-key='zoe/staff.zoe-2'] .panel", "Decline")
	other.shows("#approvals .fault-summary", "A colleague has decided this meanwhile, the other way.")
	other.shows("#approvals li[data-key='zoe/staff.zoe-2'] .banner", "This was decided meanwhile.")
	other.press("#approvals li[data-key='zoe/staff.zoe-2']", "Remove")
	other.press("#approvals li[data-key='zoe/staff.zoe-1']", "Decline")
	other.press("#approvals li[data-key='zoe/staff.zoe-1'] .panel", "Decline")
	other.shows("#approvals .fault", "say why")
	other.Type("#approvals input[name=reason]", "no receipt")
	other.press("#approvals li[data-key='zoe/staff.zoe-1'] .panel", "Decline")
	other.shows("#approvals .banner.good", "Declined: +2,000 for zoe.")
	other.shows("#approvals-age", "Nothing waits.")

	// Whoever comes back to their tab sees that nothing waits any more.
	d.Wait(`dispatchEvent(new Event("focus")) && document.title === "Support · Loyalty"`)
}

// What waits, and what staff did, is shown a page at a time, and going on keeps the focus where the new begins.
func TestWhatWaitsIsPaged(t *testing.T) {
	s := startStack(t, loadDocument(t))
	for i := range 51 {
		s.do(t, adjusting(support, "ann", 2000+i, fmt.Sprintf("big-%d", i), 202))
	}
	d := s.sitDown(t, colleague, "")
	d.shows("#approvals-title", "Waiting for a second person (50+)")
	d.shows("#waiting", "50+")
	d.press("#approvals", "Older requests")
	d.shows("#approvals-title", "Waiting for a second person (51)")
	d.shows("#approvals li:last-child", "+2,000 points for ann")
	d.focused("#approvals li:last-child a")
	d.press("#views", "Audit")
	d.Wait(`document.querySelectorAll("#audit tbody tr").length === 50`)
	d.press("#audit", "Older")
	d.Wait(`document.querySelectorAll("#audit tbody tr").length === 51`)
	d.focused("#audit tbody tr:last-child a")
}

// dropping is a proxy between browser and site, which while told to lets writes through and nobody hear what came of them.
type dropping struct {
	*httptest.Server
	on      atomic.Bool
	mu      sync.Mutex
	targets []string
}

func drop(t *testing.T, s *site) *dropping {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	d := new(dropping)
	through := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.targets = append(d.targets, r.RequestURI+" from "+r.Referer())
		d.mu.Unlock()
		if r.Method == http.MethodPost && r.URL.RawQuery == "" && d.on.Load() {
			through.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(d.Close)
	return d
}

// Given an adjustment whose answer is lost
// When it is sent again, after other things were typed or the page was opened anew
// Then it counts once.
func TestAnAdjustmentWhoseAnswerIsLostCountsOnce(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := startStack(t, loadDocument(t))
	s.do(t, order("o-1", `100`, "ann"))
	proxy := drop(t, s.site)
	d := sitAt(t, proxy.URL, support, "#customer=ann")
	d.Allow("ERR_EMPTY_RESPONSE", "409")
	lose := func(points, label string) {
		t.Helper()
		d.Type("[name=loyalty-points]", points)
		d.Type("textarea[name=reason]", "ticket 9")
		d.press("#adjust", "Preview")
		d.shows("#adjust h4", "This is what will happen")
		proxy.on.Store(true)
		d.press("#adjust", label)
		d.shows("#adjust .banner.warn", "Sending it again is safe")
		proxy.on.Store(false)
	}
	total := func(want domain.Points) {
		t.Helper()
		if got := get[trail](t, s, support, "/loyalty/ann/trail").Points; got != int64(want) {
			t.Errorf("ann has %d points, want %d", got, want)
		}
	}
	lose("5", "Give 5 points")
	d.press("#adjust", "Send it again")
	d.shows("#adjust .banner.good", "Done: gave 5 points to ann.")
	d.shows("#points", "15")
	total(15)

	lose("7", "Give 7 points")
	d.at("#customer=zoe")
	d.at("#customer=ann")
	d.Wait(`document.querySelector("[name=loyalty-points]").value === "7"`)
	d.shows("#adjust .banner.warn", "Sending it again is safe")
	d.press("#adjust", "Preview")
	d.shows("#adjust .banner.good", "Done: gave 7 points to ann.")
	total(22)

	lose("8", "Give 8 points")
	d.Type("[name=loyalty-points]", "9")
	d.press("#adjust", "Preview")
	d.shows("#adjust .fault-summary", "What you sent before did arrive")
	total(30)
	d.press("#adjust", "Preview")
	d.shows("#adjust form", "30 + 9 = 39")
	d.press("#adjust", "Give 9 points")
	d.shows("#adjust .banner.good", "Done: gave 9 points to ann.")
	total(39)

	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	for _, target := range proxy.targets {
		if strings.Contains(target, "customer=") {
			t.Errorf("the place went out: %s", target)
		}
	}
}

// Bad input is told beside its field, and neither that nor a session that ends loses what was typed.
func TestSupportLosesNothingTyped(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.do(t, order("o-1", `100`, "ann"))
	d := s.sitDown(t, support, "#customer=ann")
	d.Allow("400", "401", "404", "410")
	beside := func(field, value, fault string) {
		t.Helper()
		d.Type("[name="+field+"]", value)
		d.press("#adjust", "Preview")
		d.Wait(fmt.Sprintf(`(() => { const i = document.querySelector("#adjust [name=%s]"); const f = document.getElementById(i.getAttribute("aria-describedby"));
			return i.getAttribute("aria-invalid") === "true" && f?.classList.contains("fault") && f.textContent.includes(%q) })()`, field, fault))
	}
	beside("loyalty-points", "many", "say how many points")
	beside("loyalty-points", "1.5", "without decimals")
	beside("loyalty-points", "0", "at least one point")
	d.Type("[name=loyalty-points]", "−12")
	beside("reason", " ", "say why")
	d.Wait(`document.querySelector("[name=loyalty-points]").value === "−12" && !document.querySelector("[name=loyalty-points]").hasAttribute("aria-invalid")`)
	d.Type("textarea[name=reason]", "ticket 4, told by phone")

	d.press("#search", "Search")
	d.shows("#search .fault", "say what to search for")
	d.Type("#q", "nobody-there")
	d.press("#search", "Search")
	d.shows("#found", "Nothing has this id.")

	d.Eval(`fetch("/session", {method: "DELETE"}).then(() => {})`, nil)
	d.Back()
	d.Wait(`location.pathname === "/sign-in" && !location.href.includes("ann")`)
	d.signIn(support)
	d.Go(d.url + "/support")
	d.Wait(`location.hash === "#customer=ann"`)
	d.Wait(`document.querySelector("[name=loyalty-points]").value === "−12" && document.querySelector("textarea[name=reason]").value === "ticket 4, told by phone"`)
	d.signIn(colleague)
	d.at("#customer=ann")
	d.Wait(`document.querySelector("[name=loyalty-points]").value === ""`)

	if _, err := s.commands.ForgetCustomer(t.Context(), commands.ForgetCustomer{Customer: "ann", Reason: "asked to be"}); err != nil {
		t.Fatal(err)
	}
	d.Type("[name=loyalty-points]", "3")
	d.Type("textarea[name=reason]", "ticket 5")
	d.press("#adjust", "Preview")
	d.shows("#adjust .fault-summary", "This customer was forgotten: their points can't be changed any more.")
}
