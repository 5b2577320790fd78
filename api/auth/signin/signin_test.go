package signin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/api/auth/signin/signintest"
	"loyalty/domain"
)

func TestSomebodySignsInAtTheProvider(t *testing.T) {
	for name, client := range map[string]signintest.Client{
		"as a public client":                           public,
		"with a secret in the header":                  {ID: "loyalty pages", Secret: "50% of a secret: +/="},
		"with a secret in the form, as the others ask": {ID: "loyalty-pages", Secret: "50% of a secret: +/=", InForm: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := openSite(t, client)
			s.config.Scopes, s.config.Parameters = []string{"loyalty"}, map[string]string{"audience": "https://loyalty.example"}
			s.restart()
			s.provider.SignIn("agent-1", signintest.Outcome{Claims: map[string]any{"role": "support", "permissions": "reveal"}})
			b := s.browser()
			got := b.signIn("/support?q=o-1#found")
			if got.Problem != "" || got.To != "/support?q=o-1#found" {
				t.Fatalf("it ends with %+v", got)
			}
			claims := jwt.MapClaims{}
			if _, _, err := jwt.NewParser().ParseUnverified(got.Token, claims); err != nil {
				t.Fatal(err)
			}
			if claims["sub"] != "agent-1" || claims["role"] != "support" || claims["permissions"] != "reveal" || claims["aud"] != signintest.Audience {
				t.Errorf("the session is of %v, and should be the access token", claims)
			}
			asked := s.provider.Parameters()
			for name, want := range map[string]string{"scope": "openid loyalty", "audience": "https://loyalty.example", "response_type": "code", "response_mode": ""} {
				if asked.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, asked.Get(name), want)
				}
			}
			if state := asked.Get("state"); len(state) > 120 || strings.Contains(asked.Encode(), "support") {
				t.Errorf("the provider is told where the browser wants to: %s", asked.Encode())
			}
			if got.header.Get("Cache-Control") != "no-store" || len(b.cookies()) != 0 {
				t.Errorf("afterwards the headers are %v, the cookies %v", got.header, b.cookies())
			}
		})
	}
}

func TestACookieIsForTheReturnAlone(t *testing.T) {
	s := openSite(t, public)
	for base, secure := range map[string]bool{s.url: false, "https://loyalty.example": true, "https://loyalty.example:8443/": true} {
		s.config.PublicURL = base
		s.restart()
		w := httptest.NewRecorder()
		if err := s.signer.Begin(w, httptest.NewRequest("GET", "/sign-in", nil), "/support", false); err != nil {
			t.Fatal(err)
		}
		cookies := w.Result().Cookies()
		if len(cookies) != 1 || w.Code != http.StatusSeeOther || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("answered with %d, %v", w.Code, w.Header())
		}
		c := cookies[0]
		if !strings.HasPrefix(c.Name, "loyalty_sign_in_") || c.Path != "/signed-in" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure ||
			c.MaxAge != 600 || c.Domain != "" || len(c.Name)+len(c.Value) > 80 {
			t.Errorf("below %s the cookie is %v", base, c)
		}
		location, err := w.Result().Location()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := location.Query().Get("redirect_uri"), strings.TrimSuffix(base, "/")+"/signed-in"; got != want {
			t.Errorf("the browser comes back to %s, want %s", got, want)
		}
		if verifier := (attempt{key: must(decode(c.Value))}).verifier(); strings.Contains(location.String(), verifier) || strings.Contains(location.String(), c.Value) {
			t.Errorf("the provider is told what proves that we began: %s", location)
		}
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestWhatAProviderMaySayInsteadOfYes(t *testing.T) {
	s := openSite(t, signintest.Client{ID: "loyalty-pages", Secret: "a secret of the client"})
	past := time.Now().Add(-time.Minute).Unix()
	for name, c := range map[string]struct {
		outcome                      signintest.Outcome
		unauthenticated, unavailable bool
		says                         string
	}{
		"declined":                      {signintest.Outcome{Error: "access_denied"}, true, false, "access_denied"},
		"a request it does not like":    {signintest.Outcome{Error: "invalid_scope"}, false, false, "invalid_scope"},
		"declined, and why":             {signintest.Outcome{Error: "access_denied", Return: map[string]any{"error_description": "no\x00 role \u2028here"}}, true, false, `("no� role �here")`},
		"declined, at length":           {signintest.Outcome{Error: "access_denied", Return: map[string]any{"error_description": strings.Repeat("é", 4096)}}, true, false, "é…\")"},
		"declined, with a token":        {signintest.Outcome{Error: "access_denied", Return: map[string]any{"error_description": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"}}, true, false, "what is secret"},
		"anything":                      {signintest.Outcome{Error: "x\nlevel=INFO msg=welcome"}, true, false, "nothing we know"},
		"in trouble":                    {signintest.Outcome{Error: "temporarily_unavailable"}, false, true, "temporarily_unavailable"},
		"a code it refuses":             {signintest.Outcome{Status: 400}, true, false, "400 and says invalid_grant (its description repeats"},
		"a secret it refuses":           {signintest.Outcome{Status: 401, Description: "client authentication failed"}, false, false, `401 and says invalid_client ("client authentication failed")`},
		"a code at the wrong time":      {signintest.Outcome{Status: 503}, false, true, "503"},
		"too much":                      {signintest.Outcome{Status: 429}, false, true, "429"},
		"another nonce":                 {signintest.Outcome{IDClaims: map[string]any{"nonce": "another"}}, true, false, "another sign-in"},
		"no nonce":                      {signintest.Outcome{IDClaims: map[string]any{"nonce": nil}}, true, false, "another sign-in"},
		"an ID token that has expired":  {signintest.Outcome{IDClaims: map[string]any{"exp": past}}, false, false, "expired"},
		"one without an end":            {signintest.Outcome{IDClaims: map[string]any{"exp": nil}}, false, false, "expired"},
		"one for another":               {signintest.Outcome{IDClaims: map[string]any{"aud": "another-client"}}, false, false, "audience"},
		"one of another":                {signintest.Outcome{IDClaims: map[string]any{"iss": "https://id.example"}}, false, false, "different provider"},
		"one with an unpublished key":   {signintest.Outcome{ForeignKey: true}, false, false, "not signed with a key"},
		"an encrypted access token":     {signintest.Outcome{Encrypted: true}, false, false, "encrypted"},
		"one with another access token": {signintest.Outcome{IDClaims: map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}}, false, false, "does not belong"},
		"no ID token":                   {signintest.Outcome{WithoutIDToken: true}, false, false, "openid"},
		"an opaque access token":        {signintest.Outcome{Opaque: true}, false, false, "JWT access tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			s.provider.SignIn("agent-1", c.outcome)
			b := s.browser()
			back := b.returning("/support")
			cookie := b.cookies()[0]
			got := b.open(back)
			if got.Token != "" || got.Unauthenticated != c.unauthenticated || got.Unavailable != c.unavailable || !strings.Contains(got.Problem, c.says) {
				t.Errorf("it ends with %+v", got)
			}
			if got.To != "/support" || got.header.Get("Cache-Control") != "no-store" || len(b.cookies()) != 0 {
				t.Errorf("it leads to %s with %v and the cookies %v", got.To, got.header, b.cookies())
			}
			query := must(url.Parse(back)).Query()
			for _, secret := range []string{query.Get("code"), query.Get("state"), cookie.Value, attempt{key: must(decode(cookie.Value))}.verifier(), s.config.ClientSecret, "eyJ"} {
				if secret != "" && strings.Contains(got.Problem, secret) {
					t.Errorf("the error holds what must not be logged: %s", got.Problem)
				}
			}
		})
	}
	s.provider.SignIn("agent-1", signintest.Outcome{})
	if got := s.browser().signIn("/support"); got.Token == "" {
		t.Errorf("when all is well again it ends with %+v", got)
	}
	if got := s.browser().signIn("//elsewhere.example"); got.Token == "" || got.To != "/" {
		t.Errorf("with a way to elsewhere it ends with %+v", got)
	}
}

// RFC 9207: with several providers in the world, a return has to say whose it is.
func TestAReturnOfAnotherProvider(t *testing.T) {
	for name, c := range map[string]struct {
		sends   bool
		sent    map[string]any
		refused bool
	}{
		"its own":                      {sends: true},
		"none, where it sends none":    {},
		"none, where it sends one":     {sends: true, sent: map[string]any{"iss": nil}, refused: true},
		"another's":                    {sends: true, sent: map[string]any{"iss": "https://id.example"}, refused: true},
		"another's, where it has none": {sent: map[string]any{"iss": "https://id.example"}, refused: true},
		"an empty one":                 {sends: true, sent: map[string]any{"iss": ""}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			client := public
			client.SendsIssuer = c.sends
			s := openSite(t, client)
			s.provider.SignIn("agent-1", signintest.Outcome{Return: c.sent})
			got := s.browser().signIn("/support")
			if got.Unauthenticated != c.refused || (got.Token == "") != c.refused || c.refused && (!strings.Contains(got.Problem, "iss") || s.provider.Asked("/token") != 0) {
				t.Errorf("it ends with %+v", got)
			}
		})
	}
	s := openSite(t, public)
	b := s.browser()
	if got := b.open(b.returning("/") + "&" + url.Values{"iss": {s.provider.Issuer(), "https://id.example"}}.Encode()); !got.Unauthenticated || got.Token != "" {
		t.Errorf("with two it ends with %+v", got)
	}
}

func TestSomebodyElseIsAskedFor(t *testing.T) {
	s := openSite(t, public)
	for _, c := range []struct {
		parameters    map[string]string
		afresh, wants string
	}{{nil, "", ""}, {nil, "yes", "login"}, {map[string]string{"prompt": "select_account"}, "", "select_account"}, {map[string]string{"prompt": "select_account"}, "yes", "select_account"}} {
		s.config.Parameters = c.parameters
		s.restart()
		got := s.browser().open(s.url + "/sign-in?to=/support&afresh=" + c.afresh)
		if prompts := s.provider.Parameters()["prompt"]; got.Token == "" || strings.Join(prompts, ",") != c.wants {
			t.Errorf("with %v, %q the provider is asked with the prompts %q", c.parameters, c.afresh, prompts)
		}
	}
}

func TestTheProviderEndsItsOwnSession(t *testing.T) {
	client := public
	client.EndsSessions = true
	s := openSite(t, client)
	got, err := s.signer.EndSession(t.Context(), "/support")
	if err != nil {
		t.Fatal(err)
	}
	want := s.provider.Issuer() + "/end?" + url.Values{
		"tenant": {"1"}, "client_id": {"loyalty-pages"}, "post_logout_redirect_uri": {s.url + "/signed-out"}, "state": {"/support"},
	}.Encode()
	if got != want {
		t.Errorf("the browser is sent to %s, want %s", got, want)
	}
	for setting, want := range map[string]string{"none": "", "https://id.example/logout?client=a": "https://id.example/logout?client=a"} {
		s.config.SignOutURL = setting
		s.restart()
		if got, err := s.signer.EndSession(t.Context(), "/support"); got != want || err != nil {
			t.Errorf("with the setting %s the browser is sent to %q, %v", setting, got, err)
		}
	}
	if got, err := openSite(t, public).signer.EndSession(t.Context(), "/"); got != "" || err != nil {
		t.Errorf("where there is no such place it is sent to %q, %v", got, err)
	}
	down := openSite(t, client)
	down.provider.Stop()
	if _, err := down.signer.EndSession(t.Context(), "/"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("while it is down it ends with %v", err)
	}
}

func TestAReturnThatThisBrowserDidNotBegin(t *testing.T) {
	s := openSite(t, public)
	refused := func(name string, got outcome) {
		t.Helper()
		if got.Token != "" || !got.Unauthenticated || got.Unavailable {
			t.Errorf("%s: it ends with %+v", name, got)
		}
	}
	b, another := s.browser(), s.browser()
	back := b.returning("/support")
	refused("in another browser", another.open(back))
	query := must(url.Parse(back)).Query()
	code, state := query.Get("code"), query.Get("state")
	with := func(code, state string) string {
		return s.url + ReturnPath + "?" + url.Values{"code": {code}, "state": {state}}.Encode()
	}
	other := must(url.Parse(another.returning("/support"))).Query().Get("state")
	for name, bad := range map[string]string{
		"no state": "", "a short one": "abc", "a long one": strings.Repeat("a", 4096), "one of another browser": other,
		"one with the name of ours": state[:cookieSuffix] + other[cookieSuffix:], "ours, cut": state[:len(state)-4],
		"no base64": state[:cookieSuffix] + "!", "names no cookie could have": "\x00;\n= ,\"\\more",
	} {
		// The attempt is over with the first return that names it, and the next one needs its cookie.
		kept := b.cookies()
		refused(name, b.open(with(code, bad)))
		b.keep(kept)
	}
	if s.provider.Asked("/token") != 0 {
		t.Error("a code was sent to the provider")
	}
	kept := b.cookies()
	if got := b.open(back); got.Token == "" {
		t.Fatalf("our own return ends with %+v", got)
	}
	refused("again", b.open(back))
	b.keep(kept)
	refused("again, with the cookie kept", b.open(back))
	if s.provider.Asked("/token") != 2 {
		t.Errorf("the provider was asked for tokens %d times", s.provider.Asked("/token"))
	}

	back = b.returning("/support")
	refused("without a code", b.open(with("", must(url.Parse(back)).Query().Get("state"))))
	back = b.returning("/support")
	s.ahead.Store(int64(lifetime + 2*time.Second))
	late := b.open(back)
	refused("too late", late)
	if late.To != "/support" || !strings.Contains(late.Problem, "10m") {
		t.Errorf("too late ends with %+v", late)
	}
}

func TestTabsDoNotComeInEachOthersWay(t *testing.T) {
	s := openSite(t, public)
	b := s.browser()
	first, second, third := b.returning("/support"), b.returning("/analysis"), b.returning("/")
	for _, tab := range []struct{ back, to string }{{second, "/analysis"}, {first, "/support"}, {third, "/"}} {
		if got := b.open(tab.back); got.Token == "" || got.To != tab.to {
			t.Errorf("the tab for %s ends with %+v", tab.to, got)
		}
	}
	var tabs sync.WaitGroup
	for range 8 {
		tabs.Go(func() {
			if got := b.signIn("/support"); got.Token == "" || got.To != "/support" {
				t.Errorf("one of eight tabs ends with %+v", got)
			}
		})
	}
	tabs.Wait()
}

func TestAnyProcessTakesABrowserBack(t *testing.T) {
	s := openSite(t, public)
	b := s.browser()
	back := b.returning("/analysis")
	s.restart()
	if got := b.open(back); got.Token == "" || got.To != "/analysis" {
		t.Errorf("another process ends it with %+v", got)
	}
}

func TestAProviderThatIsDownAndUpAgain(t *testing.T) {
	s := openSite(t, public)
	s.provider.Stop()
	b := s.browser()
	if got := b.signIn("/support"); !got.Unavailable || got.Unauthenticated {
		t.Errorf("while it is down it ends with %+v", got)
	}
	s.provider.Resume()
	if got := b.signIn("/support"); !got.Unavailable || s.provider.Asked("/.well-known/openid-configuration") != 0 {
		t.Errorf("at once it is asked again, and it ends with %+v", got)
	}
	s.ahead.Store(int64(retryAfter))
	var browsers sync.WaitGroup
	for range 20 {
		browsers.Go(func() {
			if got := s.browser().signIn("/support"); got.Token == "" {
				t.Errorf("when it is up it ends with %+v", got)
			}
		})
	}
	browsers.Wait()
	if asked := s.provider.Asked("/.well-known/openid-configuration"); asked != 1 {
		t.Errorf("it was discovered %d times", asked)
	}
	back := b.returning("/support")
	s.provider.Stop()
	if got := b.open(back); !got.Unavailable || got.To != "/support" {
		t.Errorf("while it is down again it ends with %+v", got)
	}
}

func TestWhoWaitsForAnothersDiscoveryMayGo(t *testing.T) {
	s := openSite(t, public)
	s.signer.discovery.asking <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.signer.Begin(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/sign-in", nil), "/", false)
	if !errors.Is(err, domain.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}

// endless writes until nobody reads any more.
func endless(w http.ResponseWriter, _ *http.Request) {
	for err := error(nil); err == nil; {
		_, err = w.Write(make([]byte, 64<<10))
	}
}

func TestAProviderThatIsNotWhatItShouldBe(t *testing.T) {
	const self = "ours"
	document := func(issuer, authorize, token, keys string, more ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if issuer == self {
				issuer = "http://" + r.Host
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"issuer": "` + issuer + `", "authorization_endpoint": "` + authorize + `", "token_endpoint": "` + token + `", "jwks_uri": "` + keys + `"` + strings.Join(more, "") + `}`))
		}
	}
	good := "https://id.example/"
	for name, c := range map[string]struct {
		answer      http.HandlerFunc
		unavailable bool
		says        string
	}{
		"another issuer":            {document("https://id.example", good, good, good), false, "issuer"},
		"tokens in the clear":       {document(self, good, "http://id.example/token", good), false, "token_endpoint"},
		"an end in the clear":       {document(self, good, good, good, `, "end_session_endpoint": "http://id.example/end"`), false, "end_session_endpoint"},
		"nowhere to go":             {document(self, "", good, good), false, "authorization_endpoint"},
		"a page":                    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<p>Welcome")) }, false, "decode"},
		"an endless page":           {endless, false, "decode"},
		"an error":                  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secrets", 500) }, true, "500"},
		"a way to somewhere else":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, good, http.StatusFound) }, true, "302"},
		"an answer that breaks off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			p, err := New(Config{Issuer: server.URL, ClientID: "loyalty-pages", PublicURL: "https://loyalty.example", Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			err = p.Begin(w, httptest.NewRequest("GET", "/sign-in", nil), "/", false)
			if err == nil || errors.Is(err, domain.ErrUnavailable) != c.unavailable || errors.Is(err, domain.ErrUnauthenticated) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it ends with %v", err)
			}
			if len(w.Result().Cookies()) != 0 || w.Header().Get("Location") != "" || strings.Contains(err.Error(), "secrets") {
				t.Errorf("the browser is answered with %v, and the log with %v", w.Header(), err)
			}
		})
	}
}

func TestACodeIsSentNowhereElse(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was asked", r.Method, r.URL)
	}))
	defer elsewhere.Close()
	s := openSite(t, public)
	b := s.browser()
	back := b.returning("/")
	away := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer away.Close()
	s.signer.discovery.known.Load().oauth.Endpoint.TokenURL = away.URL
	if got := b.open(back); got.Token != "" || got.Unauthenticated || got.Unavailable || !strings.Contains(got.Problem, "307") {
		t.Errorf("it ends with %+v", got)
	}
}

func TestAConfigurationThatCannotWork(t *testing.T) {
	good := Config{Issuer: "https://id.example", ClientID: "loyalty-pages", PublicURL: "https://loyalty.example", Now: time.Now}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for field, cases := range map[string][]func(*Config){
		"issuer": {
			func(c *Config) { c.Issuer = "" }, func(c *Config) { c.Issuer = "id.example" }, func(c *Config) { c.Issuer = "http://id.example" },
			func(c *Config) { c.Issuer = "https://a:b@id.example" }, func(c *Config) { c.Issuer = "https://id.example/?a=b" },
		},
		"signOutURL": {func(c *Config) { c.SignOutURL = "http://id.example/logout" }, func(c *Config) { c.SignOutURL = "/logout" }},
		"clientID":   {func(c *Config) { c.ClientID = "" }},
		"publicURL": {
			func(c *Config) { c.PublicURL = "" }, func(c *Config) { c.PublicURL = "http://loyalty.example" }, func(c *Config) { c.PublicURL = "https://loyalty.example/pages" },
			func(c *Config) { c.PublicURL = "ftp://localhost" }, func(c *Config) { c.PublicURL = "https://" }, func(c *Config) { c.PublicURL = "https://loyalty.example#a" },
		},
		"scopes":     {func(c *Config) { c.Scopes = []string{"a b"} }, func(c *Config) { c.Scopes = []string{""} }, func(c *Config) { c.Scopes = []string{"a", " b"} }},
		"parameters": {func(c *Config) { c.Parameters = map[string]string{"state": "a"} }, func(c *Config) { c.Parameters = map[string]string{"": "a"} }},
	} {
		for _, spoil := range cases {
			c := good
			spoil(&c)
			var invalid *domain.InvalidError
			if _, err := New(c); !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field != field {
				t.Errorf("%+v is answered with %v, want a fault of %s", c, err, field)
			}
		}
	}
	for _, loopback := range []string{"http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"} {
		c := good
		c.Issuer, c.PublicURL = loopback, loopback
		if _, err := New(c); err != nil {
			t.Errorf("on loopback: %v", err)
		}
	}
}
