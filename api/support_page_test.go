package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"loyalty/api/auth"
	"loyalty/api/browsertest"
)

// desk is the support page in a tab of its own, with somebody signed in.
type desk struct {
	t *testing.T
	*browsertest.Tab
	url string
}

// sitDown opens the support page at a fragment.
func (s *stack) sitDown(t *testing.T, who auth.Claims, fragment string) *desk {
	t.Helper()
	return sitAt(t, s.url, who, fragment)
}

func sitAt(t *testing.T, url string, who auth.Claims, fragment string) *desk {
	t.Helper()
	d := &desk{t: t, Tab: browsertest.Open(t), url: url}
	d.signIn(who)
	d.at(fragment)
	return d
}

// signIn makes the tab's session somebody's.
func (d *desk) signIn(who auth.Claims) {
	d.t.Helper()
	d.Cookie(d.url, "loyalty_session", mint(d.t, who))
}

// at opens the page at a place, and waits until what waits for approval is known.
func (d *desk) at(fragment string) {
	d.t.Helper()
	d.Go("about:blank")
	d.Go(d.url + "/support" + fragment)
	d.shows("#approvals-title", "(")
}

// shows waits until an element is to be seen and holds a text.
func (d *desk) shows(selector, text string) {
	d.t.Helper()
	d.Wait(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.textContent.replaceAll("\u00a0", " ").includes(%q))`, selector, text))
}

// hides waits until no element is to be seen.
func (d *desk) hides(selector string) {
	d.t.Helper()
	d.Wait(fmt.Sprintf(`[...document.querySelectorAll(%q)].every((e) => e.getClientRects().length === 0)`, selector))
}

// focused waits until an element has the focus.
func (d *desk) focused(selector string) {
	d.t.Helper()
	d.Wait(fmt.Sprintf(`document.activeElement.matches(%q)`, selector))
}

// press clicks the button or link of that text, within an element.
func (d *desk) press(within, text string) {
	d.t.Helper()
	d.Eval(d.control(within, text)+".click()", nil)
}

// enter is press with the keyboard.
func (d *desk) enter(within, text string) {
	d.t.Helper()
	d.Eval(d.control(within, text)+".focus()", nil)
	d.Key("\r")
}

// control waits for the button or link of that text, within an element, and is the expression that finds it.
func (d *desk) control(within, text string) string {
	d.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll(%q)].flatMap((e) => [...e.querySelectorAll("button, a, summary")])`+
		`.find((e) => e.textContent.trim() === %q && e.getClientRects().length > 0)`, within, text)
	d.Wait("Boolean(" + find + ")")
	return find
}

func order(id, amount, customer string) exchange {
	return exchange{as: till, method: "POST", path: "/order/" + id, body: orderOf(amount, customer), status: 201}
}

func adjusting(as auth.Claims, customer string, points int, key string, status int) exchange {
	return exchange{as: as, method: "POST", path: "/loyalty/" + customer, status: status, header: http.Header{"Idempotency-Key": {key}},
		body: fmt.Sprintf(`{"loyalty-points": %d, "reason": "lost parcel"}`, points)}
}

var colleague = auth.Claims{Subject: "staff-5", Role: auth.RoleSupport, Rights: "reveal audit"}

// Given a customer who complains about an order
// When somebody of support looks for it and corrects its points, with the keyboard only
// Then the page explains the order's entry, shows what the correction will do, and then what it did.
func TestSupportFindsAnEntryAndCorrectsIt(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.do(t, order("o-1", `"129.99"`, "ann"))
	s.do(t, order("o-2", `20`, "ann"))
	s.do(t, order("o-3", `500`, "zoe"))
	s.do(t, exchange{as: support, method: "POST", path: "/order/store.o-1/returns/r-1", body: `{"amount": "40.00", "reason": "too small"}`, status: 201})
	d := s.sitDown(t, support, "")

	// What a key of the browser's own would write is not prevented.
	d.Eval(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true, cancelable: true}))`, nil)
	d.focused("#q")
	d.Key("o-1\r")
	d.focused("#entry-title")
	d.shows("#entry-title", "Order store.o-1")
	d.shows("#entry", "£129.99 ÷ £10.00 = 12.999 → 13")
	d.shows("#entry .banner.good", "everything agrees")
	d.shows("#customer-title", "ann")
	d.shows("#points", "11")
	d.shows("#rank", "2")
	d.shows("#neighbours", "this customer")
	d.Wait(`document.querySelectorAll("#trail tbody tr").length === 3`)
	d.shows("#trail tr.current", "Order store.o-1")

	d.enter("#entry", "£40.00 returned: net £89.99 ÷ £10.00 = 8.999 → 9, so 4 taken back")
	d.shows("#entry-title", "Return staff.r-1 of order store.o-1")
	d.enter("#entry", "Close")
	d.hides("#entry")
	d.focused("#trail tbody a")

	d.Eval(`document.querySelector("[name=loyalty-points]").focus()`, nil)
	d.Key("25\tparcel came late, ticket 7\t\r")
	d.shows("#adjust h4:focus", "This is what will happen")
	d.shows("#adjust form", "ann has 11 points. 11 + 25 = 36.")
	if points := get[trail](t, s, support, "/loyalty/ann/trail").Points; points != 11 {
		t.Fatalf("a preview made it %d points", points)
	}
	d.Key("\t\r")
	d.shows("#adjust .banner.good:focus", "Done: gave 25 points to ann.")
	d.shows("#points", "36")
	d.shows("#trail tbody tr:first-child", "“parcel came late, ticket 7”")
	d.shows("#trail tbody tr:first-child", "by staff-3")
	if entries := get[trail](t, s, support, "/loyalty/ann/trail").Entries; len(entries) != 4 || entries[0].Points != 25 {
		t.Errorf("the trail is %+v", entries)
	}
}

// A proxy name leads to a customer only for those who may ask, once they said why; it is recorded.
func TestSupportRevealsANameForAReason(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.do(t, order("o-1", `100`, "ann"))
	d := s.sitDown(t, support, "")
	d.Type("#q", strings.ToLower(nameOf(t, "ann")))
	d.press("#search", "Search")
	d.shows("#found", "1 customer has the name")
	d.shows("#found .banner", "is told only to support whose token has the right reveal")
	d.Wait(`!document.querySelector("#found form") && !document.querySelector("#found a")`)

	d = s.sitDown(t, colleague, "#q="+url.QueryEscape(nameOf(t, "ann")))
	d.Allow("400")
	d.press("#found", "Reveal who it is")
	d.shows("#found .fault", "say why")
	d.Type("#found input[name=reason]", "complaint 7731")
	d.press("#found", "Reveal who it is")
	d.shows("#found a:focus", "ann")
	d.press("#found", "ann")
	d.shows("#points", "10")
	d.press("#views", "Audit")
	d.shows("#audit tbody tr", "complaint 7731")
	d.shows("#audit tbody tr", "staff-5")
	d.Type("#audit [name=actor]", "not an id")
	d.press("#audit", "Filter")
	d.shows("#audit .fault", "may be named with")
	d.Type("#audit [name=actor]", "staff-9")
	d.press("#audit", "Filter")
	d.shows("#audit", "Nothing of the kind.")
	if got := get[acts](t, s, auditor, "/acts?kind=revealed"); len(got.Acts) != 1 || got.Acts[0].Reason != "complaint 7731" {
		t.Errorf("recorded is %+v", got.Acts)
	}
}

// Where somebody was, is where back and forward lead, and what the address says to a colleague; a trail is paged, filtered and
// downloaded.
func TestSupportGoesBackAndForward(t *testing.T) {
	s := startStack(t, loadDocument(t))
	for i := range 30 {
		s.do(t, order(fmt.Sprintf("o-%d", i), `10`, "ann"))
	}
	s.do(t, adjusting(support, "ann", -7, "slip", 201))
	s.do(t, order("z-1", `100`, "zoe"))
	d := s.sitDown(t, support, "#customer=ann")
	count := func(n int) {
		t.Helper()
		d.Wait(fmt.Sprintf(`document.querySelectorAll("#trail tbody tr").length === %d`, n))
	}
	count(25)
	d.press("#trail", "Older entries")
	count(31)
	d.focused("#trail tbody tr:nth-child(26) a")
	d.hides("#trail-older")
	d.Eval(`document.querySelector("#filter [name=kind]").value = "adjustment"`, nil)
	d.press("#filter", "Filter")
	count(1)
	d.shows("#trail tbody tr", "Adjustment staff.slip")
	d.shows("#trail tbody tr", "“lost parcel”")
	d.press("#trail", "Adjustment staff.slip")
	d.shows("#entry", "-7 points by staff-3: lost parcel")
	d.Type("#q", "zoe")
	d.press("#search", "Search")
	d.shows("#customer-title", "zoe")
	count(1)
	d.hides("#entry")
	d.Back()
	d.shows("#customer-title", "ann")
	d.shows("#entry-title", "Adjustment staff.slip")
	count(1)
	d.Back()
	d.hides("#entry")
	d.Back()
	count(25)
	d.Wait(`document.querySelector("#filter [name=kind]").value === ""`)
	d.Eval(`history.go(2)`, nil)
	d.shows("#entry-title", "Adjustment staff.slip")
	d.Wait(`location.search === ""`)
	var shared string
	d.Eval(`location.hash`, &shared)

	other := s.sitDown(t, colleague, shared)
	other.Allow("400", "ERR_INTERNET_DISCONNECTED")
	other.shows("#customer-title", "ann")
	other.shows("#entry-title", "Adjustment staff.slip")
	other.Wait(`document.querySelectorAll("#trail tbody tr").length === 1`)
	// What a download would be written to is looked at instead.
	other.Eval(`(() => { const make = URL.createObjectURL; URL.createObjectURL = (file) => { file.text().then((text) => { window.downloaded = text }); return make.call(URL, file) } })()`, nil)
	other.press("#trail", "Download CSV")
	other.Wait(`window.downloaded?.startsWith("entryId,occurredAt,kind,") && window.downloaded.trim().split("\n").length === 2 && window.downloaded.includes(",adjustment,")`)
	other.Type("#filter [name=order]", "not an id")
	other.press("#filter", "Filter")
	other.shows("#filter .fault", "id")
	other.press("#filter", "Clear")
	other.Wait(`document.querySelectorAll("#trail tbody tr").length === 25`)

	other.Offline(true)
	other.press("#trail", "Refresh")
	other.shows("#trouble", "Trying again")
	other.Offline(false)
	other.hides("#trouble")

	other.press("#since", "What has changed since a day")
	other.press("#since", "Show what changed")
	other.shows("#since .fault", "say since when")
}

// Each part of the page fits a phone and a desktop, and axe finds nothing wrong with it, light and dark.
func TestTheSupportPageFitsAndIsAccessible(t *testing.T) {
	s := startStack(t, loadDocument(t))
	long := strings.Repeat("long-id_", 8)
	for _, id := range []string{"ann", long} {
		s.do(t, order("o-"+id[:3], `"129.99"`, id))
		s.do(t, exchange{as: support, method: "POST", path: "/order/store.o-" + id[:3] + "/returns/" + id, body: `{"amount": "40.00", "reason": "` + strings.Repeat("w", 200) + `"}`, status: 201})
		s.do(t, adjusting(support, id, 5000, "big", 202))
		s.do(t, adjusting(colleague, id, 5000, "bigger", 202))
	}
	entries := get[trail](t, s, support, "/loyalty/"+long+"/trail").Entries
	d := s.sitDown(t, colleague, "")
	d.Allow("400")
	for _, place := range []struct{ fragment, until, shows string }{
		{"", "#approvals li", "asked by you"},
		{"#customer=ann", "#standing", "rank"},
		{"#customer=" + long + "&entry=" + entries[0].EntryID, "#entry .banner.good", "agrees"},
		{"#customer=nobody", "#standing", "no entries under this id"},
		{"#q=" + url.QueryEscape(nameOf(t, "ann")), "#found", "Reveal who it is"},
		{"#q=o-ann", "#found", "1 match"},
		{"#view=audit", "#audit tbody tr", "Requested"},
	} {
		d.at(place.fragment)
		d.shows(place.until, place.shows)
		if strings.Contains(place.fragment, "entry=") {
			d.Eval(`document.querySelectorAll("details").forEach((e) => { e.open = true })`, nil)
			d.Type("[name=loyalty-points]", "0")
			d.press("#adjust", "Preview")
			d.shows("#adjust .fault", "at least one point")
		}
		for _, width := range []int64{360, 1280} {
			d.Size(width, 800)
			d.Fits()
			for _, dark := range []bool{false, true} {
				d.Dark(dark)
				d.Accessible()
			}
		}
	}
}
