package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/api/auth/signin"
	"loyalty/api/auth/signin/signintest"
	"loyalty/internal/cli"
)

// signInSite is the real program on stores of its own, an identity provider, and the balancer between the program and browsers.
type signInSite struct {
	t        *testing.T
	provider *signintest.Provider
	process  *process
	url      string
}

func openSignInSite(t *testing.T) *signInSite {
	t.Helper()
	var program atomic.Pointer[url.URL]
	balancer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(program.Load())
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(balancer.Close)
	provider := signintest.Start(t, signintest.Client{ID: "loyalty-pages", Secret: "a secret of the pages", Redirect: balancer.URL + signin.ReturnPath})
	data := t.TempDir()
	p := start(t, []string{
		"LOYALTY_EVENTSTORE=embedded:" + filepath.Join(data, "events"), "LOYALTY_LEDGER=sqlite:" + filepath.Join(data, "ledger.db"),
		"LOYALTY_LEADERBOARD=memory:", "LOYALTY_PROXY_SECRET=" + siteProxySecret,
		"LOYALTY_JWKS_URL=" + provider.KeysURL(), "LOYALTY_JWT_ISSUER=" + provider.Issuer(), "LOYALTY_JWT_AUDIENCE=" + signintest.Audience,
		"LOYALTY_OIDC_ISSUER=" + provider.Issuer(), "LOYALTY_OIDC_CLIENT_ID=loyalty-pages", "LOYALTY_OIDC_CLIENT_SECRET=a secret of the pages",
		"LOYALTY_OIDC_SCOPES=points,profile", "LOYALTY_OIDC_PARAMETERS=audience=loyalty;prompt=login", "LOYALTY_PUBLIC_URL=" + balancer.URL,
	}, "serve", "--addr", "127.0.0.1:0", "--log-level", "debug")
	at, err := url.Parse(p.base)
	if err != nil {
		t.Fatal(err)
	}
	program.Store(at)
	return &signInSite{t: t, provider: provider, process: p, url: balancer.URL}
}

// browse opens a page in a browser of its own, or in the one given, and gives where that led, and what is there.
func (s *signInSite) browse(browser *http.Client, path string) (*http.Response, string) {
	s.t.Helper()
	response, err := browser.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, string(body)
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: patience}
}

func TestSupportSignsInAtTheIdentityProvider(t *testing.T) {
	s := openSignInSite(t)
	s.provider.SignIn("agent-1", signintest.Outcome{Claims: map[string]any{"role": "support", "permissions": []string{"reveal"}}})
	browser := newBrowser(t)
	if response, _ := s.browse(browser, "/session"); response.StatusCode != http.StatusUnauthorized {
		t.Fatalf("before signing in, the session is answered with %s", response.Status)
	}
	response, page := s.browse(browser, "/sign-in?to=/support")
	if response.StatusCode != http.StatusOK || response.Request.URL.String() != s.url+"/support" || !strings.Contains(page, "<title>") {
		t.Fatalf("signing in leads to %s, which answers %s:\n%s", response.Request.URL, response.Status, page)
	}
	response, body := s.browse(browser, "/session")
	var session struct {
		Subject, Role string
		Scopes        []string
		Expires       time.Time
	}
	if err := json.Unmarshal([]byte(body), &session); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the session is answered with %s: %s", response.Status, body)
	}
	left := time.Until(session.Expires)
	if session.Subject != "agent-1" || session.Role != "support" || strings.Join(session.Scopes, " ") != "reveal" || left < 50*time.Minute || left > time.Hour {
		t.Errorf("the session is %+v", session)
	}
	if response, body := s.browse(browser, "/loyalty/c-1"); response.StatusCode != http.StatusOK {
		t.Errorf("a dashboard is answered with %s: %s", response.Status, body)
	}
	asked := s.provider.Parameters()
	if asked.Get("scope") != "openid points profile" || asked.Get("audience") != "loyalty" || asked.Get("prompt") != "login" {
		t.Errorf("the provider was asked with %v", asked)
	}
	for _, secret := range []string{"eyJ", "a secret", asked.Get("state"), asked.Get("nonce")} {
		if strings.Contains(s.process.err.String()+s.process.out.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// A hostile page may open the sign-in as often as it likes: Chromium keeps 180 cookies of a site.
func TestManyBegunSignInsDoNotCloseTheLastOne(t *testing.T) {
	s := openSignInSite(t)
	s.provider.SignIn("agent-1", signintest.Outcome{Claims: map[string]any{"role": "support"}})
	browser := newBrowser(t)
	stays := *browser
	stays.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for range 179 {
		if response, _ := s.browse(&stays, "/sign-in?to=/"+strings.Repeat("a", 1000)); response.StatusCode != http.StatusSeeOther {
			t.Fatalf("one of many is answered with %s", response.Status)
		}
	}
	if response, page := s.browse(browser, "/sign-in?to=/support"); response.StatusCode != http.StatusOK || response.Request.URL.Path != "/support" {
		t.Errorf("the last leads to %s, which answers %s:\n%s", response.Request.URL.Path, response.Status, page)
	}
}

func TestNobodyElseGetsASession(t *testing.T) {
	s := openSignInSite(t)
	staff := map[string]any{"role": "support"}
	for name, c := range map[string]struct {
		outcome signintest.Outcome
		status  int
		says    string
	}{
		"who has no role here":               {signintest.Outcome{}, http.StatusForbidden, "have no role here"},
		"whose token is for another system":  {signintest.Outcome{Claims: map[string]any{"role": "support", "aud": "another"}}, http.StatusForbidden, "have no role here"},
		"who declines":                       {signintest.Outcome{Claims: staff, Error: "access_denied"}, http.StatusForbidden, "cancelled, or took too long"},
		"whose provider is in trouble":       {signintest.Outcome{Claims: staff, Status: http.StatusBadGateway}, http.StatusServiceUnavailable, "does not answer"},
		"whose provider is not set up right": {signintest.Outcome{Claims: staff, Opaque: true}, http.StatusInternalServerError, "not set up as it should be"},
	} {
		t.Run(name, func(t *testing.T) {
			s.provider.SignIn("agent-1", c.outcome)
			browser := newBrowser(t)
			response, page := s.browse(browser, "/sign-in?to=/support")
			if response.StatusCode != c.status || response.Request.URL.Path != signin.ReturnPath || !strings.Contains(page, c.says) || !strings.Contains(page, "to=%2Fsupport") {
				t.Errorf("signing in leads to %s, which answers %s:\n%s", response.Request.URL.Path, response.Status, page)
			}
			if response, _ := s.browse(browser, "/session"); response.StatusCode != http.StatusUnauthorized {
				t.Errorf("the session is answered with %s", response.Status)
			}
		})
	}
	if log := s.process.err.String(); !strings.Contains(log, "JWT access tokens") || strings.Contains(log, "eyJ") || strings.Contains(log, "the code was") {
		t.Errorf("the log should say what is wrong with the provider, and nothing of codes and tokens:\n%s", log)
	}
}

func TestHalfAnIdentityProviderIsRefused(t *testing.T) {
	all := map[string]string{
		"LOYALTY_OIDC_ISSUER": "https://id.example", "LOYALTY_OIDC_CLIENT_ID": "pages", "LOYALTY_PUBLIC_URL": "https://loyalty.example",
		"LOYALTY_JWKS_URL": "https://id.example/keys", "LOYALTY_JWT_AUDIENCE": "loyalty", "LOYALTY_OIDC_CLIENT_SECRET": "a secret of the pages",
	}
	run := func(t *testing.T, settings map[string]string, says string) {
		environment := []string{"LOYALTY_PROXY_SECRET=" + siteProxySecret}
		for name, value := range settings {
			environment = append(environment, name+"="+value)
		}
		_, stderr, status := runIn(t, environment, "serve", "--eventstore", "embedded:"+t.TempDir(), "--ledger", "sqlite:"+filepath.Join(t.TempDir(), "l"), "--leaderboard", "memory:")
		if status != cli.ExitUsage || !strings.Contains(stderr, says) || strings.Contains(stderr, "a secret") {
			t.Errorf("it exits with %d and says %q, want %q", status, stderr, says)
		}
	}
	with := func(name, value string) map[string]string {
		settings := map[string]string{}
		for n, v := range all {
			settings[n] = v
		}
		settings[name] = value
		return settings
	}
	for _, name := range []string{"LOYALTY_OIDC_ISSUER", "LOYALTY_OIDC_CLIENT_ID", "LOYALTY_PUBLIC_URL"} {
		t.Run("without "+name, func(t *testing.T) { run(t, with(name, ""), name+" must be set") })
	}
	t.Run("without keys", func(t *testing.T) { run(t, with("LOYALTY_JWKS_URL", ""), "set LOYALTY_JWKS_URL") })
	t.Run("with a secret for tokens instead of keys", func(t *testing.T) {
		settings := with("LOYALTY_JWKS_URL", "")
		settings["LOYALTY_TOKEN_SECRET"] = siteTokenSecret
		run(t, settings, "LOYALTY_JWKS_URL must be set")
	})
	t.Run("keys in the clear", func(t *testing.T) {
		run(t, with("LOYALTY_JWKS_URL", "http://id.example/keys"), "whoever answers in its place")
	})
	t.Run("tokens for anybody", func(t *testing.T) { run(t, with("LOYALTY_JWT_AUDIENCE", ""), "LOYALTY_JWT_AUDIENCE is not set") })
	t.Run("with nothing but a secret", func(t *testing.T) {
		run(t, map[string]string{"LOYALTY_OIDC_CLIENT_SECRET": "a secret of the pages", "LOYALTY_TOKEN_SECRET": siteTokenSecret}, "LOYALTY_OIDC_ISSUER, LOYALTY_OIDC_CLIENT_ID, LOYALTY_PUBLIC_URL, LOYALTY_JWKS_URL must be set")
	})
	t.Run("an issuer in the clear", func(t *testing.T) { run(t, with("LOYALTY_OIDC_ISSUER", "http://id.example"), "issuer") })
	t.Run("a public address in the clear, without a provider", func(t *testing.T) {
		run(t, map[string]string{"LOYALTY_PUBLIC_URL": "http://loyalty.example", "LOYALTY_TOKEN_SECRET": siteTokenSecret}, "LOYALTY_PUBLIC_URL")
	})
	t.Run("a path of ours", func(t *testing.T) { run(t, with("LOYALTY_PUBLIC_URL", "https://loyalty.example/support"), "publicURL") })
	t.Run("a parameter of ours", func(t *testing.T) { run(t, with("LOYALTY_OIDC_PARAMETERS", "state=abc"), "parameters") })
}

// Given a provider that grants whatever scope it is asked for, and a person who edits the address that leads there
// When they ask for every right that there is
// Then they are signed in with none.
func TestNobodyGivesThemselvesARightInTheAddressBar(t *testing.T) {
	s := openSignInSite(t)
	s.provider.SignIn("agent-1", signintest.Outcome{Claims: map[string]any{"role": "support"}, Granting: true})
	browser := newBrowser(t)
	edits := 0
	browser.CheckRedirect = func(request *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(request.URL.String(), s.provider.Issuer()) {
			query := request.URL.Query()
			query.Set("scope", query.Get("scope")+" order award reveal audit permissions")
			request.URL.RawQuery = query.Encode()
			edits++
		}
		return nil
	}
	response, _ := s.browse(browser, "/sign-in?to=/support")
	if asked := s.provider.Parameters().Get("scope"); edits != 1 || !strings.Contains(asked, "reveal audit") || response.StatusCode != http.StatusOK {
		t.Fatalf("the provider was asked for %q, and it ended with %s", asked, response.Status)
	}
	var session struct {
		Role   string
		Scopes []string
	}
	if _, body := s.browse(browser, "/session"); json.Unmarshal([]byte(body), &session) != nil || session.Role != "support" || len(session.Scopes) != 0 {
		t.Errorf("the session is %s", body)
	}
	for _, path := range []string{"/acts", "/loyalty/c-1"} {
		response, body := s.browse(browser, path)
		if allowed := path != "/acts"; (response.StatusCode == http.StatusOK) != allowed || strings.Contains(body, "proxyName") {
			t.Errorf("%s is answered with %s: %s", path, response.Status, body)
		}
	}
}
