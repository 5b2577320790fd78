package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/domain"
)

// surfer is a browser as far as cookies go. It follows no redirect.
type surfer struct {
	*http.Client
	t *testing.T
	s *site
}

func newSurfer(t *testing.T, s *site) surfer {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return surfer{&http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, t, s}
}

// ask makes a request with a form if there is one, and gives the answer and its body.
func (b surfer) ask(method, path string, form url.Values, header ...string) (*http.Response, string) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := b.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response, string(body)
}

func developing(t *testing.T) *site {
	return serve(t, loadDocument(t), func(c *api.Config) {
		fixed{}.all(c)
		c.Development = func(claims auth.Claims, ttl time.Duration) (string, error) {
			return auth.Mint(tokenSecret, claims, ttl, time.Now())
		}
	})
}

func TestADeveloperSignsInWithOneClick(t *testing.T) {
	s := developing(t)
	for _, who := range []struct{ role, sub, to, lands, scopes string }{
		{"customer", "shopper-050", "/", "/", ""}, {"support", "agent-1", "/", "/support", "reveal audit"}, {"analyst", "analyst-1", "/analysis", "/analysis", "audit"},
		{"support", "agent-2", "https://elsewhere.example/", "/support", "reveal audit"}, {"support", "agent-2", "//elsewhere.example", "/support", "reveal audit"},
		{"support", "agent-2", `/\elsewhere.example`, "/support", "reveal audit"}, {"support", "agent-2", "/support#customer=a", "/support#customer=a", "reveal audit"},
	} {
		browser := newSurfer(t, s)
		_, page := browser.ask("GET", "/sign-in?to="+url.QueryEscape(who.to), nil)
		if !strings.Contains(page, "This is development") || !strings.Contains(page, `value="`+who.sub+`"`) {
			t.Fatalf("the page does not say that it is development, or does not offer %s:\n%s", who.sub, page)
		}
		answer, _ := browser.ask("POST", "/sign-in", url.Values{"role": {who.role}, "sub": {who.sub}, "to": {who.to}}, "Sec-Fetch-Site: same-origin")
		if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != who.lands {
			t.Errorf("%s is sent to %q with %s, want %q", who.sub, answer.Header.Get("Location"), answer.Status, who.lands)
		}
		_, seen := browser.ask("GET", "/session", nil)
		if !strings.Contains(seen, fmt.Sprintf(`"subject":%q,"role":%q`, who.sub, who.role)) || !strings.Contains(strings.Join(strings.Split(seen, `","`), " "), who.scopes) {
			t.Errorf("the session of %s is %s", who.sub, seen)
		}
		if answer, _ := browser.ask("POST", "/order/made-up", nil, "Sec-Fetch-Site: same-origin"); answer.StatusCode != http.StatusForbidden {
			t.Errorf("an order of %s is answered with %s", who.sub, answer.Status)
		}
	}
}

func TestNobodySignsInAsADeveloperFromElsewhere(t *testing.T) {
	s := developing(t)
	form := url.Values{"role": {"support"}, "sub": {"agent-1"}}
	answer, _ := newSurfer(t, s).ask("POST", "/sign-in", form, "Sec-Fetch-Site: cross-site")
	if answer.StatusCode != http.StatusForbidden || answer.Header.Get("Set-Cookie") != "" {
		t.Errorf("a page of another site is answered with %s", answer.Status)
	}
	answer, page := newSurfer(t, s).ask("POST", "/sign-in", url.Values{"role": {"customer"}, "sub": {"ann@example.com"}})
	if answer.StatusCode != http.StatusBadRequest || answer.Header.Get("Set-Cookie") != "" || !strings.Contains(page, `role="alert"`) {
		t.Errorf("an id that is none is answered with %s and %s", answer.Status, page)
	}
	// Whose name leads here by somebody else's doing.
	for _, method := range []string{"GET", "POST"} {
		request, err := http.NewRequestWithContext(t.Context(), method, s.url+"/sign-in", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "rebound.example"
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusNotFound || response.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s under another name is answered with %s", method, response.Status)
		}
	}
}

func TestOutsideOfDevelopmentNobodyChooses(t *testing.T) {
	s := serve(t, loadDocument(t), fixed{}.all)
	answer, page := newSurfer(t, s).ask("GET", "/sign-in", nil)
	if answer.StatusCode != http.StatusNotFound || strings.Contains(page, "<form") {
		t.Errorf("answered with %s and\n%s", answer.Status, page)
	}
	answer, _ = newSurfer(t, s).ask("POST", "/sign-in", url.Values{"role": {"support"}, "sub": {"agent-1"}})
	if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Set-Cookie") != "" {
		t.Errorf("choosing is answered with %s", answer.Status)
	}
}

// provider stands for an identity provider that everybody comes back from with the same token, or the same error.
type provider struct {
	token string
	err   error
	// ends is whether it ends sessions of its own.
	ends bool
}

func atProvider(t *testing.T, p provider) surfer {
	return newSurfer(t, serve(t, loadDocument(t), func(c *api.Config) { fixed{}.all(c); c.SignIn = p }))
}

func (p provider) Begin(w http.ResponseWriter, r *http.Request, to string, afresh bool) error {
	if p.err != nil {
		return p.err
	}
	http.Redirect(w, r, fmt.Sprintf("https://provider.example/?afresh=%t&to=%s", afresh, url.QueryEscape(to)), http.StatusFound)
	return nil
}

func (p provider) Finish(http.ResponseWriter, *http.Request) (token, to string, err error) {
	return p.token, "/support", p.err
}

func (p provider) EndSession(_ context.Context, to string) (string, error) {
	if !p.ends || p.err != nil {
		return "", p.err
	}
	return "https://provider.example/end?state=" + url.QueryEscape(to), nil
}

func TestTheTokenThatTheProviderGaveIsTheSession(t *testing.T) {
	browser := atProvider(t, provider{token: mint(t, support)})
	for path, want := range map[string]string{"/sign-in?to=/support": "?afresh=false&to=%2Fsupport", "/sign-in?to=/support&afresh=true": "?afresh=true&to=%2Fsupport"} {
		answer, _ := browser.ask("GET", path, nil)
		if answer.StatusCode != http.StatusFound || answer.Header.Get("Location") != "https://provider.example/"+want {
			t.Errorf("%s sends the browser to %s with %s", path, answer.Header.Get("Location"), answer.Status)
		}
	}
	answer, _ := browser.ask("GET", "/signed-in?code=a&state=b", nil)
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/support" {
		t.Errorf("afterwards to %s with %s", answer.Header.Get("Location"), answer.Status)
	}
	if _, seen := browser.ask("GET", "/session", nil); !strings.Contains(seen, `"subject":"staff-3"`) {
		t.Errorf("the session is %s", seen)
	}
	tooLong := support
	tooLong.Rights = strings.Repeat("a", 4096)
	long := mint(t, tooLong)
	for name, failed := range map[string]struct {
		provider
		status int
		says   string
		afresh bool
	}{
		"a token that is not accepted here": {provider{token: "garbage"}, 403, "have no role here", true},
		"a token that no cookie holds":      {provider{token: long}, 500, "not set up as it should be", true},
		"declined":                          {provider{err: fmt.Errorf("%w: declined", domain.ErrUnauthenticated)}, 403, "cancelled, or took too long", true},
		"down":                              {provider{err: fmt.Errorf("%w: refused", domain.ErrUnavailable)}, 503, "does not answer", false},
		"set up wrongly":                    {provider{err: errors.New("the secret is 12345")}, 500, "not set up as it should be", true},
	} {
		t.Run(name, func(t *testing.T) {
			browser := atProvider(t, failed.provider)
			answer, page := browser.ask("GET", "/signed-in?code=a&state=b", nil)
			again := map[bool]string{true: `href="/sign-in?afresh=true&amp;to=%2Fsupport"`, false: `href="/sign-in?to=%2Fsupport"`}[failed.afresh]
			if answer.StatusCode != failed.status || !strings.Contains(page, failed.says) || !strings.Contains(page, again) || strings.Contains(page, "12345") {
				t.Errorf("answered with %s and\n%s", answer.Status, page)
			}
			if id := answer.Header.Get("X-Request-Id"); id == "" || !strings.Contains(page, "Request "+id) {
				t.Errorf("request %q is not named:\n%s", id, page)
			}
			if answer.Header.Get("Set-Cookie") != "" {
				t.Error("a cookie was set")
			}
		})
	}
}

// A loop over /signed-in, with states of its own making, must not make us ask the provider without end.
func TestTooManyReturnsAreToldToTryAgain(t *testing.T) {
	s := serve(t, loadDocument(t), func(c *api.Config) {
		fixed{}.all(c)
		c.SignIn, c.Limits.SignIns = provider{err: fmt.Errorf("%w: declined", domain.ErrUnauthenticated)}, 0.02
	})
	browser := newSurfer(t, s)
	const back = "/signed-in?code=a&state=b"
	if answer, _ := browser.ask("GET", back, nil); answer.StatusCode != http.StatusForbidden {
		t.Fatalf("the first is answered with %s", answer.Status)
	}
	answer, page := browser.ask("GET", back, nil)
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") != "100" && answer.Header.Get("Retry-After") != "99" || answer.Header.Get("Cache-Control") != "no-store" ||
		!strings.Contains(page, "Try again in a moment") || !strings.Contains(page, `href="/signed-in?code=a&amp;state=b"`) {
		t.Errorf("the second is answered with %s, %v and\n%s", answer.Status, answer.Header, page)
	}
}

// Signing out ends on a page that does not sign in again by itself, after the provider's own end if it has one.
func TestSigningOutEndsOnAPageOfOurs(t *testing.T) {
	signInAgain := `href="/sign-in?afresh=true&amp;to=%2Fsupport"`
	for name, c := range map[string]struct {
		provider
		leadsTo, note string
	}{
		"at a provider that ends sessions": {provider{ends: true}, "https://provider.example/end?state=%2Fsupport", ""},
		"at one that does not":             {provider{}, "", "may still be signed in"},
		"at one that is down":              {provider{ends: true, err: fmt.Errorf("%w: refused", domain.ErrUnavailable)}, "", "may still be signed in"},
	} {
		t.Run(name, func(t *testing.T) {
			browser := atProvider(t, c.provider)
			answer, page := browser.ask("GET", "/sign-out?to=/support", nil)
			if c.leadsTo != "" {
				if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != c.leadsTo || answer.Header.Get("Cache-Control") != "no-store" {
					t.Fatalf("the browser is sent to %s with %s", answer.Header.Get("Location"), answer.Status)
				}
				answer, page = browser.ask("GET", "/signed-out?state=%2Fsupport", nil)
			}
			if answer.StatusCode != http.StatusOK || !strings.Contains(page, "<h1>You are signed out</h1>") || !strings.Contains(page, signInAgain) || !strings.Contains(page, c.note) ||
				answer.Header.Get("Set-Cookie") != "" || strings.Contains(page, "<script") {
				t.Errorf("it ends with %s, %v and\n%s", answer.Status, answer.Header, page)
			}
		})
	}
	browser := atProvider(t, provider{token: mint(t, support), ends: true})
	for _, path := range []string{"/sign-out", "/signed-out"} {
		browser.ask("GET", "/signed-in?code=a&state=b", nil)
		browser.ask("GET", path, nil)
		if answer, _ := browser.ask("GET", "/session", nil); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("after %s the session is answered with %s", path, answer.Status)
		}
	}
	if _, page := browser.ask("GET", "/signed-out?state=https://elsewhere.example", nil); strings.Contains(page, "elsewhere") {
		t.Errorf("the page leads elsewhere:\n%s", page)
	}
}

func TestPagesOfAllowedOriginsReadDashboardsAndNothingElse(t *testing.T) {
	const shop = "https://shop.example"
	s := serve(t, loadDocument(t), func(c *api.Config) { fixed{}.all(c); c.AllowOrigins = []string{shop} })
	browser := newSurfer(t, s)
	preflight := func(path, origin, method string) http.Header {
		answer, _ := browser.ask("OPTIONS", path, nil, "Origin: "+origin, "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: authorization,last-event-id")
		return answer.Header
	}
	for _, path := range []string{"/loyalty/ann", "/loyalty/ann/live", "/loyalty/ann/changes", "/seasons"} {
		header := preflight(path, shop, "GET")
		if header.Get("Access-Control-Allow-Origin") != shop || !strings.Contains(header.Get("Access-Control-Allow-Headers"), "Authorization") ||
			header.Get("Access-Control-Allow-Methods") != "GET" || header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: the shop is told %v", path, header)
		}
		if got := preflight(path, "https://elsewhere.example", "GET").Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s: another origin is told %q", path, got)
		}
	}
	for _, path := range []string{"/search", "/session", "/order/o-1", "/approvals"} {
		if got := preflight(path, shop, "GET").Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s: the shop is told %q", path, got)
		}
	}
	answer, _ := browser.ask("GET", "/loyalty/ann", nil, "Origin: "+shop, "Authorization: Bearer "+mint(t, ann))
	if answer.StatusCode != 200 || answer.Header.Get("Access-Control-Allow-Origin") != shop || !strings.Contains(answer.Header.Get("Vary"), "Origin") {
		t.Errorf("a dashboard is answered with %s, %v", answer.Status, answer.Header)
	}
	denied, _ := browser.ask("GET", "/loyalty/ann", nil, "Origin: "+shop)
	if denied.StatusCode != 401 || denied.Header.Get("Access-Control-Allow-Origin") != shop {
		t.Errorf("without a token the page is answered with %s, %v: it can't read why", denied.Status, denied.Header)
	}
}

func TestAProcessHasThePagesItCanFill(t *testing.T) {
	for name, process := range map[string]struct {
		change func(*api.Config)
		pages  map[string]int
	}{
		"all roles":      {fixed{}.all, map[string]int{"/": 200, "/support": 200, "/analysis": 200, "/assets/site.js": 200, "/status": 404}},
		"commands alone": {func(c *api.Config) { c.Commands = fixed{} }, map[string]int{"/": 404, "/support": 404, "/assets/site.js": 404, "/sign-in": 404}},
	} {
		browser := newSurfer(t, serve(t, loadDocument(t), process.change))
		for path, status := range process.pages {
			if answer, _ := browser.ask("GET", path, nil); answer.StatusCode != status {
				t.Errorf("%s: %s is answered with %s, want %d", name, path, answer.Status, status)
			}
		}
		if answer, _ := browser.ask("HEAD", "/", nil); answer.StatusCode != process.pages["/"] {
			t.Errorf("%s: HEAD / is answered with %s", name, answer.Status)
		}
	}
}
