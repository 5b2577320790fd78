package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// pageTimeout bounds every wait for a page. None takes nearly as long.
const pageTimeout = 20 * time.Second

// Tab is a page in a browser, with cookies and storage of its own. It is for one test, and one goroutine.
type Tab struct {
	t   testing.TB
	ctx context.Context

	dark, reduced bool

	mu      sync.Mutex
	said    []string
	wrong   []string
	allowed []string
}

// deepSource finds the first element for a selector, in open shadow roots too. Pages under test have it as deep.
const deepSource = `globalThis.deep = (selector, root = document) => {
  const hit = root.querySelector(selector);
  if (hit) return hit;
  for (const element of root.querySelectorAll("*")) {
    const inside = element.shadowRoot && deep(selector, element.shadowRoot);
    if (inside) return inside;
  }
  return null;
};`

// Open opens a tab of 1280×800 pixels, light, which is closed at the end of the test. The test then fails for everything that went
// wrong in it and was not allowed.
func Open(t testing.TB) *Tab {
	t.Helper()
	if browser.start == nil {
		t.Fatal("browsertest: TestMain must call browsertest.Main")
	}
	if err := browser.start(); err != nil {
		t.Fatalf("browsertest: %v", err)
	}
	tab := &Tab{t: t}
	ctx, stop := chromedp.NewContext(browser.context, chromedp.WithNewBrowserContext(), chromedp.WithListener(tab.listen))
	tab.ctx = ctx
	t.Cleanup(func() {
		err := chromedp.Cancel(ctx)
		stop()
		if err != nil {
			t.Errorf("browsertest: close the tab: %v", err)
		}
		for _, wrong := range tab.unexpected() {
			t.Errorf("in the browser: %s", wrong)
		}
	})
	// The first run makes the tab, which lives as long as the context it is given.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("browsertest: open a tab: %v", err)
	}
	tell(tab, network.Enable, network.EnableParams{})
	tell(tab, log.Enable, cdp.Empty{})
	tell(tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: deepSource})
	tab.Size(1280, 800)
	tab.media()
	return tab
}

// listen keeps what the page says and what goes wrong in it.
func (tab *Tab) listen(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil && thrown.Description != "" {
			text = thrown.Description
		}
		tab.wrong = append(tab.wrong, "uncaught: "+text)
	case *runtime.EventConsoleAPICalled:
		words := make([]string, len(e.Args))
		for i, argument := range e.Args {
			words[i] = string(argument.Value)
			if argument.Description != "" {
				words[i] = argument.Description
			}
		}
		line := fmt.Sprintf("console.%s: %s", e.Type, strings.Join(words, " "))
		tab.said = append(tab.said, line)
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			tab.wrong = append(tab.wrong, line)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			tab.wrong = append(tab.wrong, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	}
}

// Allow expects things to go wrong whose text contains one of parts: an answer "401", say, or a connection that is lost.
func (tab *Tab) Allow(parts ...string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.allowed = append(tab.allowed, parts...)
}

// unexpected is what went wrong and was not allowed.
func (tab *Tab) unexpected() (all []string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	for _, wrong := range tab.wrong {
		known := false
		for _, part := range tab.allowed {
			known = known || strings.Contains(wrong, part)
		}
		if !known {
			all = append(all, wrong)
		}
	}
	return all
}

// do does something with the tab, and fails the test if it can't be done in time.
func do[T any](tab *Tab, what string, action chromedp.Action[T]) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, pageTimeout)
	defer cancel()
	done, err := chromedp.Run(ctx, action)
	if err != nil {
		tab.t.Fatalf("%s: %v\n%s", what, err, tab.state())
	}
	return done
}

// tell gives the tab a command of the DevTools protocol.
func tell[P, R any](tab *Tab, command cdp.Command[P, R], parameters P) R {
	tab.t.Helper()
	return do(tab, command.Method, func(ctx context.Context, target *chromedp.Target) (R, error) {
		return cdp.Call(ctx, target, command, parameters)
	})
}

// state is what the page looks like, for those who read of a failure.
func (tab *Tab) state() string {
	ctx, cancel := context.WithTimeout(tab.ctx, 2*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.body?.innerText ?? "").slice(0, 3000)`))
	if err != nil {
		text = err.Error()
	}
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return "the page is at " + text + "\n" + strings.Join(append(tab.said, tab.wrong...), "\n")
}

// Go opens an address and waits until it is loaded. An address that differs from the page's only behind the # does not load again.
func (tab *Tab) Go(url string) {
	tab.t.Helper()
	do(tab, "go to "+url, chromedp.Navigate(url))
}

// Reload loads the page again.
func (tab *Tab) Reload() {
	tab.t.Helper()
	do(tab, "reload", chromedp.Reload())
}

// Back goes back in the tab's history.
func (tab *Tab) Back() { tab.t.Helper(); tab.Eval(`history.back()`, nil) }

// Eval evaluates an expression of JavaScript in the page, waits if it is a promise, and reads its value into out, which may be nil.
func (tab *Tab) Eval(expression string, out any) {
	tab.t.Helper()
	value := do(tab, "evaluate "+cut(expression), chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise, chromedp.EvalAsValue))
	if out == nil {
		return
	}
	if err := json.Unmarshal(value, out); err != nil {
		tab.t.Fatalf("evaluate %s: %v in %s", cut(expression), err, value)
	}
}

// Wait waits until an expression of JavaScript is true. While it throws it is not.
func (tab *Tab) Wait(expression string) {
	tab.t.Helper()
	var last error
	for deadline := time.Now().Add(pageTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(tab.ctx, pageTimeout)
		var is bool
		is, last = chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		cancel()
		if last == nil && is {
			return
		}
	}
	tab.t.Fatalf("waited in vain for %s (%v)\n%s", cut(expression), last, tab.state())
}

// Text is the text of the first element for a selector as it is shown, once there is one.
func (tab *Tab) Text(selector string) (text string) {
	tab.t.Helper()
	tab.Wait(fmt.Sprintf("deep(%q)", selector))
	tab.Eval(fmt.Sprintf("deep(%q).innerText", selector), &text)
	return text
}

// Cookie sets a cookie of an address, as an answer from there would.
func (tab *Tab) Cookie(url, name, value string) {
	tab.t.Helper()
	hidden := true
	tell(tab, network.SetCookie, network.SetCookieParams{URL: url, Name: name, Value: value, HTTPOnly: &hidden, SameSite: network.CookieSameSiteStrict})
}

// Cookies are those that the page's address is sent, by name.
func (tab *Tab) Cookies() map[string]string {
	tab.t.Helper()
	all := map[string]string{}
	for _, cookie := range tell(tab, network.GetCookies, network.GetCookiesParams{}).Cookies {
		all[cookie.Name] = cookie.Value
	}
	return all
}

// Size gives the tab another size, in CSS pixels.
func (tab *Tab) Size(width, height int64) {
	tab.t.Helper()
	tell(tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// Dark has the reader prefer dark pages, or light ones.
func (tab *Tab) Dark(dark bool) { tab.t.Helper(); tab.dark = dark; tab.media() }

// ReducedMotion has the reader prefer pages in which little moves, or not.
func (tab *Tab) ReducedMotion(reduced bool) { tab.t.Helper(); tab.reduced = reduced; tab.media() }

func (tab *Tab) media() {
	tab.t.Helper()
	scheme, motion := "light", "no-preference"
	if tab.dark {
		scheme = "dark"
	}
	if tab.reduced {
		motion = "reduce"
	}
	tell(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion},
	}})
}

// Offline cuts the tab off, or connects it again. Connections that are open are cut, too, but for those of streams: to cut these, stop
// their server. What a page asks for while it is cut off may fail: that is allowed.
func (tab *Tab) Offline(offline bool) {
	tab.t.Helper()
	tab.Allow("ERR_INTERNET_DISCONNECTED")
	tell(tab, emulateOffline, offlineParameters{offline, []*network.Conditions{{Offline: offline, DownloadThroughput: -1, UploadThroughput: -1}}})
	tell(tab, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: offline, DownloadThroughput: -1, UploadThroughput: -1})
}

// offlineParameters are those of Network.emulateNetworkConditionsByRule in browsers old and new: the older ones, as Chromium 148, want
// to be told in Offline.
type offlineParameters struct {
	Offline                  bool                  `json:"offline"`
	MatchedNetworkConditions []*network.Conditions `json:"matchedNetworkConditions"`
}

var emulateOffline = cdp.Command[offlineParameters, cdp.Empty]{Method: network.CommandEmulateNetworkConditionsByRule}

// cut is a text short enough for a message.
func cut(text string) string {
	const most = 300
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
