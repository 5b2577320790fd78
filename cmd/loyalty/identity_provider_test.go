package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/api/browsertest"
)

const (
	apiOfProvider = "https://loyalty.example/api"
	clientSecret  = "a secret of the pages"
)

// identityProvider is an identity provider that nobody here wrote: npm oidc-provider, which its authors have certified, set up by
// testdata/identityprovider. It is installed in a throwaway folder, in the versions that the lock file there pins.
type identityProvider struct {
	t      *testing.T
	issuer string
}

// startIdentityProvider runs it for pages at base until the end of the test.
func startIdentityProvider(t *testing.T, base string) *identityProvider {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is needed: run make packages", tool)
			}
			t.Skipf("there is no %s here: run make packages", tool)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/identityprovider")); err != nil {
		t.Fatal(err)
	}
	runTool(t, 5*time.Minute, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	settings, err := json.Marshal(map[string]any{"base": base, "audience": apiOfProvider, "client": map[string]string{"id": "loyalty-pages", "secret": clientSecret}})
	if err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", "provider.mjs")
	node.Dir, node.Env = dir, append(os.Environ(), "SETTINGS="+string(settings))
	var said lockedBuffer
	node.Stderr = &said
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := node.StdinPipe() // whose end is its end
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		err := node.Wait()
		if t.Failed() {
			t.Logf("the identity provider ended with %v and said:\n%s", err, said.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the identity provider did not start: %v\n%s", err, said.String())
	}
	return &identityProvider{t, strings.TrimSpace(line)}
}

// change changes its settings: secret, lifetime (of access tokens, in seconds), and rotate, which is another key in place of the old one.
func (p *identityProvider) change(settings map[string]any) {
	p.t.Helper()
	body, err := json.Marshal(settings)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.Post(p.issuer+"/control", "application/json", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		p.t.Fatalf("changing %v is answered with %s", settings, response.Status)
	}
}

// realSite is the program at a provider that is not ours, and a balancer before it.
type realSite struct {
	t        *testing.T
	url      string
	provider *identityProvider
	process  *process
	// signIns are how many came back from the provider.
	signIns atomic.Int64

	mu sync.Mutex
	// lead says which process answers a path, and edit changes the address that leads to the provider, as a person could.
	lead func(path string) *url.URL
	edit func(address *url.URL)
}

// openRealSite runs all of it.
func openRealSite(t *testing.T) *realSite {
	t.Helper()
	s := &realSite{t: t, edit: func(*url.URL) {}}
	balancer := httptest.NewServer(&httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if r.In.URL.Path == "/signed-in" {
				s.signIns.Add(1)
			}
			r.SetURL(s.lead(r.In.URL.Path))
			// As a proxy with its defaults does: who signs in must not notice.
			r.Out.Host = "localhost:8080"
		},
		ModifyResponse: func(r *http.Response) error {
			address, err := r.Location()
			if err != nil || r.Request.URL.Path != "/sign-in" {
				return nil
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.edit(address)
			r.Header.Set("Location", address.String())
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(balancer.Close)
	s.url = balancer.URL
	s.provider = startIdentityProvider(t, s.url)
	s.process = s.start(s.provider.issuer + "/jwks")
	s.all(s.process)
	return s
}

// start runs a process on stores of its own, which reads keys at an address.
func (s *realSite) start(keys string) *process {
	s.t.Helper()
	data := s.t.TempDir()
	return start(s.t, []string{
		"LOYALTY_EVENTSTORE=embedded:" + filepath.Join(data, "events"), "LOYALTY_LEDGER=sqlite:" + filepath.Join(data, "ledger.db"),
		"LOYALTY_LEADERBOARD=memory:", "LOYALTY_PROXY_SECRET=" + siteProxySecret,
		"LOYALTY_JWKS_URL=" + keys, "LOYALTY_JWT_ISSUER=" + s.provider.issuer, "LOYALTY_JWT_AUDIENCE=" + apiOfProvider,
		"LOYALTY_OIDC_ISSUER=" + s.provider.issuer, "LOYALTY_OIDC_CLIENT_ID=loyalty-pages", "LOYALTY_OIDC_CLIENT_SECRET=" + clientSecret,
		"LOYALTY_OIDC_PARAMETERS=resource=" + apiOfProvider, "LOYALTY_OIDC_TOKEN_PARAMETERS=resource=" + apiOfProvider, "LOYALTY_PUBLIC_URL=" + s.url,
	}, "serve", "--addr", "127.0.0.1:0", "--log-level", "debug")
}

// all has one process answer everything.
func (s *realSite) all(p *process) { s.split(p, p) }

// split has one process answer pages and sign-ins, and another what pages ask for.
func (s *realSite) split(pages, calls *process) {
	s.t.Helper()
	var targets [2]*url.URL
	for i, p := range []*process{pages, calls} {
		at, err := url.Parse(p.base)
		if err != nil {
			s.t.Fatal(err)
		}
		targets[i] = at
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lead = func(path string) *url.URL {
		if path == "/session" || strings.HasPrefix(path, "/loyalty/") || path == "/approvals" {
			return targets[1]
		}
		return targets[0]
	}
}

// editing changes what happens to the address that leads to the provider.
func (s *realSite) editing(edit func(*url.URL)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edit = edit
}

// browser is a browser of its own until the end of the test, at one of our pages, in which nobody is signed in anywhere.
func (s *realSite) browser(t *testing.T, page string) *browsertest.Tab {
	t.Helper()
	tab := browsertest.Open(t)
	tab.Allow("401 (Unauthorized)")
	tab.Go(s.url + page)
	return tab
}

// askedAtProvider waits until the provider asks who it is.
func askedAtProvider(tab *browsertest.Tab) {
	tab.Wait(`location.hostname === "localhost" && document.querySelector("input[name=login]")`)
}

// signInAs tells the provider who it is.
func signInAs(tab *browsertest.Tab, who string) {
	askedAtProvider(tab)
	tab.Type("input[name=login]", who)
	tab.Eval(`document.querySelector("form button").click()`, nil)
}

// rightsOf are the rights that the session in a tab has.
func rightsOf(tab *browsertest.Tab) (rights []string) {
	tab.Eval(`fetch("/session").then((r) => r.json()).then((s) => s.scopes)`, &rights)
	return rights
}

// isSignedIn waits until a page of ours says who is signed in.
func isSignedIn(tab *browsertest.Tab, page, who string) {
	tab.Wait(`location.pathname === "` + page + `" && document.querySelector("header.site .who strong")?.textContent === "` + who + `"`)
}

// Given a provider that is not ours, and a real browser
// When people sign in, out and as somebody else, when tokens end, and when things are set up wrongly
// Then each of them is where they belong, or told why not.
func TestPeopleSignInAtAProviderThatIsNotOurs(t *testing.T) {
	s := openRealSite(t)
	t.Run("in, out, and as somebody else", func(t *testing.T) {
		tab := s.browser(t, "/support#view=approvals")
		signInAs(tab, "agent-1")
		isSignedIn(tab, "/support", "agent-1")
		tab.Wait(`location.hash === "#view=approvals"`)
		tab.Go(s.url + "/analysis")
		press(tab, "main", "Sign in as somebody else")
		// Although the provider knows agent-1.
		signInAs(tab, "analyst-1")
		isSignedIn(tab, "/analysis", "analyst-1")
		press(tab, "header.site", "Sign out")
		press(tab, "body", "Yes, sign me out")
		tab.Wait(`location.origin === "` + s.url + `" && document.querySelector("h1")?.textContent === "You are signed out"`)
		if left := tab.Cookies(); len(left) != 0 {
			t.Errorf("the cookies left are %v", left)
		}
		press(tab, "main", "Sign in")
		signInAs(tab, "agent-reveal")
		isSignedIn(tab, "/analysis", "agent-reveal")
		if got := rightsOf(tab); len(got) != 1 || got[0] != "reveal" {
			t.Errorf("agent-reveal has the rights %q", got)
		}
		// The provider's session of analyst-1 is gone, too: without a wish for somebody else, it asks.
		press(tab, "header.site", "Sign out")
		press(tab, "body", "Yes, sign me out")
		tab.Wait(`document.querySelector("h1")?.textContent === "You are signed out"`)
		tab.Go(s.url + "/")
		askedAtProvider(tab)
	})
	t.Run("nobody gets in without a role, or who cancels", func(t *testing.T) {
		tab := s.browser(t, "/support")
		tab.Allow("403 (Forbidden)")
		askedAtProvider(tab)
		press(tab, "body", "Cancel")
		shows(tab, "[role=alert]", "cancelled, or took too long")
		press(tab, "main", "Try again")
		signInAs(tab, "nobody-1")
		shows(tab, "[role=alert]", "have no role here")
		press(tab, "main", "Try again")
		signInAs(tab, "agent-1")
		isSignedIn(tab, "/support", "agent-1")
		if log := s.process.err.String(); !strings.Contains(log, `access_denied (\"the person said no\")`) {
			t.Errorf("the log does not say why:\n%s", log)
		}
	})
	t.Run("an edited address gives no right", func(t *testing.T) {
		s.editing(func(address *url.URL) {
			query := address.Query()
			query.Set("scope", query.Get("scope")+" reveal audit")
			address.RawQuery = query.Encode()
		})
		defer s.editing(func(*url.URL) {})
		tab := s.browser(t, "/support")
		signInAs(tab, "agent-1")
		isSignedIn(tab, "/support", "agent-1")
		if got := rightsOf(tab); len(got) != 0 {
			t.Errorf("the session has the rights %q", got)
		}
		var claims struct{ Scope string }
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(tab.Cookies()["loyalty_session"]+"..", ".")[1])
		if err := errors.Join(err, json.Unmarshal(payload, &claims)); err != nil || claims.Scope != "reveal audit" {
			t.Errorf("the provider was meant to grant what it is asked for, and granted %q, %v", claims.Scope, err)
		}
	})
	t.Run("a session that ends is renewed, and nothing is lost", func(t *testing.T) {
		// More than the ten seconds for which a page would take its end for a refusal.
		s.provider.change(map[string]any{"lifetime": 14})
		defer s.provider.change(map[string]any{"lifetime": 3600})
		tab := s.browser(t, "/support")
		signInAs(tab, "agent-1")
		isSignedIn(tab, "/support", "agent-1")
		tab.Type("#q", "amber otter")
		tab.Eval(`globalThis.before = true`, nil)
		tab.Wait(`!globalThis.before && document.querySelector("header.site .who")`)
		isSignedIn(tab, "/support", "agent-1")
		tab.Wait(`document.querySelector("#q").value === "amber otter"`)
	})
	t.Run("a wrong secret is ours to mend", func(t *testing.T) {
		s.provider.change(map[string]any{"secret": "another secret"})
		defer s.provider.change(map[string]any{"secret": clientSecret})
		tab := s.browser(t, "/support")
		tab.Allow("500 (Internal Server Error)")
		signInAs(tab, "agent-1")
		shows(tab, "[role=alert]", "not set up as it should be")
		var id string
		tab.Eval(`document.querySelector("main").textContent.match(/Request ([^ ]+)\./)[1]`, &id)
		if log := s.process.err.String(); !strings.Contains(log, "invalid_client") || !strings.Contains(log, id) || strings.Contains(log, clientSecret) || strings.Contains(log, "eyJ") {
			t.Errorf("the log does not say that of request %s, or says too much:\n%s", id, log)
		}
	})
	t.Run("another key, which one process lacks", func(t *testing.T) {
		old := s.keys()
		lacking := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(old)
		}))
		defer lacking.Close()
		s.provider.change(map[string]any{"rotate": true})
		t.Run("a process that reads it", func(t *testing.T) {
			tab := s.browser(t, "/support")
			signInAs(tab, "agent-1")
			isSignedIn(tab, "/support", "agent-1")
		})
		s.split(s.process, s.start(lacking.URL))
		defer s.all(s.process)
		before := s.signIns.Load()
		tab := s.browser(t, "/support")
		tab.Allow("503 (Service Unavailable)")
		signInAs(tab, "agent-1")
		// It says that it was refused, or that it waits, and goes nowhere by itself.
		tab.Wait(`document.querySelector("#refused, #notice")?.checkVisibility()`)
		if n := s.signIns.Load() - before; n > 2 {
			t.Errorf("one page signed in %d times", n)
		}
	})
}

// keys are those that the provider publishes.
func (s *realSite) keys() []byte {
	s.t.Helper()
	response, err := http.Get(s.provider.issuer + "/jwks")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	keys, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return keys
}
