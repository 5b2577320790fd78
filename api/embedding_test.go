package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/api/browsertest"
)

// embeddedCustomer is the customer of the page in the documentation.
var embeddedCustomer = customer("c-1001")

// shop is another site's server, with the complete page that docs/embedding.md gives.
type shop struct {
	url string
	// loyalty is the address of the system.
	loyalty string
	// token answers the nth request for a token, from 1 on; no token is a failure.
	token  func(n int64) string
	tokens atomic.Int64
	files  map[string]string
}

var fenced = regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```")

func openShop(t *testing.T) *shop {
	t.Helper()
	text, err := os.ReadFile("../docs/embedding.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(text), "\n## A complete page\n")
	if !found {
		t.Fatal("docs/embedding.md has no complete page")
	}
	s := &shop{files: map[string]string{}, token: func(int64) string { return mint(t, embeddedCustomer) }}
	for _, block := range fenced.FindAllStringSubmatch(example, -1) {
		s.files[block[1]] = block[2]
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	// By another name than the system's, so that it is another site.
	s.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return s
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	send := func(kind, text string) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, strings.ReplaceAll(text, "https://loyalty.example", s.loyalty))
	}
	switch r.URL.Path {
	case "/account":
		send("text/html", s.files["html"])
	case "/account.css":
		send("text/css", s.files["css"])
	case "/account.js":
		send("text/javascript", s.files["js"])
	case "/account/loyalty-token":
		if token := s.token(s.tokens.Add(1)); r.Method == http.MethodPost && token != "" {
			send("text/plain", token)
			return
		}
		http.Error(w, "no token", http.StatusServiceUnavailable)
	default:
		http.NotFound(w, r)
	}
}

// startEmbedded starts a system that the pages of a shop may ask, in which their customer has 25 points.
func startEmbedded(t *testing.T, shop *shop) *boardSite {
	t.Helper()
	s := startBoard(t, true, func(c *api.Config, _ *http.Server) { c.AllowOrigins = []string{shop.url} })
	s.give(t, "c-1001", 25)
	shop.loyalty = s.url
	return s
}

// heard collects the events of the element in window.heard.
const heard = `window.heard = []; for (const name of ["loyalty-update", "loyalty-token-expired", "loyalty-problem"]) {
	document.addEventListener(name, ({ detail }) => window.heard.push(name + " " + (detail.code ?? detail.you?.points)));
}`

// Given the page of the documentation, on another site and with a strict policy
// Then it shows its customer's dashboard in its own colours, and keeps it up to date.
func TestTheDocumentedPageOfAShopShowsTheDashboard(t *testing.T) {
	shop := openShop(t)
	s := startEmbedded(t, shop)
	tab := browsertest.Open(t)
	tab.Go(shop.url + "/account")
	tab.Wait(live)
	tab.Wait(`document.title === "Rank 3 · Your account"`)
	do(tab, heard)
	s.give(t, "c-1001", 50)
	tab.Wait(shown(".own-rank .figure") + ` === "1"`)
	if got := evaluate[[]string](tab, "window.heard"); fmt.Sprint(got) != "[loyalty-update 75]" {
		t.Errorf("the page was told %q", got)
	}
	const badge = `getComputedStyle(` + inside + `.querySelector(".badge:not([hidden])")).backgroundColor`
	for dark, want := range map[bool]string{false: "rgb(122, 31, 162)", true: "rgb(227, 166, 255)"} {
		tab.Dark(dark)
		if got := evaluate[string](tab, badge); got != want {
			t.Errorf("the accent is %s, want the shop's %s", got, want)
		}
		tab.Size(360, 800)
		tab.Fits()
		accessible(tab)
		tab.Size(1280, 800)
	}
	if shop.tokens.Load() != 1 {
		t.Errorf("the shop was asked for %d tokens", shop.tokens.Load())
	}
	for _, word := range []string{"zoe", "ann", "bob", "cleo"} {
		if strings.Contains(evaluate[string](tab, inside+`.querySelector(".all").textContent`), word) {
			t.Errorf("the page names %s", word)
		}
	}
}

// Given a page whose token is about to expire
// When it does
// Then the element asks the page for another by itself, and the page is told.
func TestTheElementAsksForAnotherToken(t *testing.T) {
	shop := openShop(t)
	shop.token = func(n int64) string {
		if n > 1 {
			return mint(t, embeddedCustomer)
		}
		// Within the leeway for clocks that differ, for a second or two.
		token, err := auth.Mint(tokenSecret, embeddedCustomer, time.Second, time.Now().Add(time.Second-auth.ClockLeeway))
		if err != nil {
			t.Error(err)
		}
		return token
	}
	startEmbedded(t, shop)
	tab := browsertest.Open(t)
	tab.Go(shop.url + "/account")
	do(tab, heard)
	tab.Wait(`window.heard.includes("loyalty-token-expired token_expired")`)
	eventually(t, "the shop to be asked for another", func() bool { return shop.tokens.Load() > 1 })
	tab.Wait(live)
	if got := shop.tokens.Load(); got != 2 {
		t.Errorf("the shop was asked for %d tokens, want 2", got)
	}
}

func TestAShopThatGivesNoTokenIsAskedAgain(t *testing.T) {
	t.Parallel() // it waits more than it works
	shop := openShop(t)
	shop.token = func(n int64) string {
		if n == 1 {
			return ""
		}
		return mint(t, embeddedCustomer)
	}
	startEmbedded(t, shop)
	tab := browsertest.Open(t)
	tab.Allow("503")
	tab.Go(shop.url + "/account")
	tab.Wait(live)
	if got := shop.tokens.Load(); got != 2 {
		t.Errorf("the shop was asked for %d tokens, want 2", got)
	}
}

// Given a page that sets tokens itself
// When one is not accepted
// Then the element waits until the page sets another.
func TestAPageMaySetTheTokenItself(t *testing.T) {
	shop := openShop(t)
	shop.files["js"] = `document.querySelector("loyalty-dashboard").token = "nonsense";` + heard
	s := startEmbedded(t, shop)
	tab := browsertest.Open(t)
	tab.Allow("401")
	tab.Go(shop.url + "/account")
	tab.Wait(shown(".message") + `.startsWith("Your sign-in has ended")`)
	accessible(tab)
	if got := evaluate[[]string](tab, "window.heard"); fmt.Sprint(got) != "[loyalty-token-expired token_malformed]" {
		t.Errorf("the page was told %q", got)
	}
	do(tab, fmt.Sprintf(`document.querySelector("loyalty-dashboard").token = %q;`, mint(t, embeddedCustomer)))
	tab.Wait(live)
	s.waitForMetric(t, "loyalty_live_pages_in_flight 1")
	do(tab, `document.querySelector("loyalty-dashboard").remove();`)
	s.waitForMetric(t, "loyalty_live_pages_in_flight 0")
}

func TestAPageThatIsNotAllowedSeesNothing(t *testing.T) {
	shop := openShop(t)
	s := startBoard(t, true, func(c *api.Config, _ *http.Server) { c.AllowOrigins = []string{"https://shop.example"} })
	shop.loyalty = s.url
	tab := browsertest.Open(t)
	tab.Allow("CORS", "ERR_FAILED")
	tab.Go(shop.url + "/account")
	do(tab, heard)
	tab.Wait(shown(".message") + `.startsWith("The leaderboard can't be reached")`)
	tab.Wait(`window.heard.includes("loyalty-problem offline")`)
}
