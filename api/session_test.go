package api_test

import (
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/api/auth/keys/keystest"
)

type sessionSeen struct {
	Subject, Role string
	Scopes        []string
	Expires       time.Time
	ExpiresIn     int64
}

// opening is the request that makes a token a session.
func opening(token string) exchange {
	return exchange{method: "POST", path: "/session", body: `{"token": "` + token + `"}`, status: 204}
}

// with is a request with a cookie and nothing else to say who asks.
func with(cookie *http.Cookie, x exchange) exchange {
	x.as, x.header = auth.Claims{}, http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}, "Sec-Fetch-Site": {"same-origin"}}
	return x
}

// cookieOf is the one cookie that an answer sets: one of two names.
func cookieOf(t *testing.T, a answer) *http.Cookie {
	t.Helper()
	cookies := (&http.Response{Header: a.header}).Cookies()
	if len(cookies) != 1 || cookies[0].Name != map[bool]string{true: "__Host-loyalty_session", false: "loyalty_session"}[cookies[0].Secure] {
		t.Fatalf("the cookies set are %v", cookies)
	}
	return cookies[0]
}

// runSessions signs people in and out in every way that has an answer.
func runSessions(t *testing.T, doc *document) {
	s := startStack(t, doc)
	agent := support
	agent.Rights = "reveal audit"
	cookie := cookieOf(t, s.do(t, opening(mint(t, agent))))
	t.Run("the cookie is out of reach of scripts and of other sites, and ends with the token", func(t *testing.T) {
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("the cookie is %v", cookie)
		}
		if cookie.MaxAge < 3590 || cookie.MaxAge > 3600 || !cookie.Expires.IsZero() {
			t.Errorf("it ends in %d s or at %s by the browser's clock, its token in an hour", cookie.MaxAge, cookie.Expires)
		}
	})
	t.Run("it says who is signed in", func(t *testing.T) {
		got := decode[sessionSeen](t, s.do(t, with(cookie, exchange{method: "GET", path: "/session", status: 200})))
		if got.Subject != "staff-3" || got.Role != "support" || strings.Join(got.Scopes, " ") != "reveal audit" || got.ExpiresIn < 3500 || got.ExpiresIn > 3600 {
			t.Errorf("it says %+v", got)
		}
		bearer := decode[sessionSeen](t, s.do(t, exchange{as: ann, method: "GET", path: "/session", status: 200}))
		if bearer.Subject != "ann" || bearer.Role != "customer" || bearer.Scopes == nil || len(bearer.Scopes) != 0 {
			t.Errorf("of a bearer it says %+v", bearer)
		}
	})
	goodwill := with(cookie, exchange{method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 2, "reason": "goodwill"}`, status: 201})
	t.Run("it reads and writes as its token would, from pages of ours", func(t *testing.T) {
		s.do(t, goodwill)
		s.do(t, with(cookie, exchange{method: "GET", path: "/loyalty/ann", status: 200}))
		s.do(t, with(cookie, exchange{method: "POST", path: "/order/o-1", body: orderOf(`1`, "ann"), status: 403, code: "forbidden"}))
		old := goodwill
		old.header = http.Header{"Cookie": goodwill.header["Cookie"], "Origin": {s.url}}
		s.do(t, old)
	})
	t.Run("from pages of others it reads for those who follow a link, and writes nothing", func(t *testing.T) {
		end := s.end()
		for _, header := range []http.Header{
			{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"https://elsewhere.example"}}, {"Origin": {"null"}},
		} {
			x := goodwill
			header["Cookie"] = goodwill.header["Cookie"]
			x.header, x.status, x.code = header, 403, "cross_origin"
			s.do(t, x)
			x.method, x.path, x.body = "DELETE", "/session", ""
			s.do(t, x)
			x = opening(mint(t, agent))
			x.header, x.status, x.code = header, 403, "cross_origin"
			s.do(t, x)
		}
		if s.end() != end {
			t.Error("something was appended")
		}
	})
	t.Run("a bearer token counts before it, wherever it comes from", func(t *testing.T) {
		x := goodwill
		x.as, x.header = support, http.Header{"Cookie": {"loyalty_session=garbage"}, "Sec-Fetch-Site": {"cross-site"}}
		s.do(t, x)
	})
	t.Run("signing out takes it back", func(t *testing.T) {
		gone := cookieOf(t, s.do(t, with(cookie, exchange{method: "DELETE", path: "/session", status: 204})))
		if gone.Value != "" || gone.MaxAge >= 0 || gone.Path != cookie.Path {
			t.Errorf("the cookie is set to %v", gone)
		}
		s.do(t, with(gone, exchange{method: "GET", path: "/session", status: 401, code: "token_missing"}))
	})
	for _, x := range invalidSessions(t) {
		t.Run(x.name, func(t *testing.T) {
			if got := s.do(t, x); got.header.Get("Set-Cookie") != "" {
				t.Errorf("a cookie was set: %s", got.header.Get("Set-Cookie"))
			}
		})
	}

	s2, token := keylessSite(t, doc)
	keyless := opening(token)
	keyless.status, keyless.code = 503, "unavailable"
	s2.do(t, keyless)
	s2.do(t, exchange{method: "GET", path: "/session", header: http.Header{"Cookie": {"loyalty_session=" + token}}, status: 503, code: "unavailable"})
}

// invalidSessions is what no session is made of.
func invalidSessions(t *testing.T) []exchange {
	base := opening(mint(t, ann))
	all := append(invalidTypes(base), invalidBodies(base)...)
	unknown := bad(base, "an unknown field", `{"token": "a", "role": "support"}`, "field_unknown", "role")
	wrong := func(name, token, code string) exchange {
		x := opening(token)
		x.name, x.status, x.code = name, 401, code
		return x
	}
	long := ann
	long.Rights = strings.Repeat("a", 4096)
	tooLong := opening(mint(t, long))
	tooLong = bad(tooLong, "a token that no cookie holds", tooLong.body, "token_too_long", "token")
	tooLong.wordy = true
	expired, err := auth.Mint(tokenSecret, ann, time.Minute, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return append(all, unknown, tooLong,
		bad(base, "a token twice", `{"token": "a", "token": "a"}`, "field_repeated", "token"),
		bad(base, "a token that is a number", `{"token": 1}`, "token_malformed", "token"),
		bad(base, "several at fault", `{"token": 1, "role": "support"}`, "invalid_input", ""),
		wrong("no token", "", "token_missing"), wrong("garbage", "garbage", "token_malformed"),
		wrong("an expired token", expired, "token_expired"), wrong("a token of another's", mint(t, ann)+"x", "token_invalid"),
	)
}

// The public address says how browsers reach us. Without it the Host header does, which a proxy may rewrite.
func TestTheCookieIsSecureButOnOnesOwnMachine(t *testing.T) {
	for publicURL, hosts := range map[string]map[string]bool{
		"": {
			"localhost:8080": false, "127.0.0.1": false, "[::1]:80": false, "loyalty.example": true, "10.0.0.7:8080": true, "localhost.example": true, "127.0.0.1.example:80": true,
		},
		"https://loyalty.example": {"loyalty.example": true, "localhost:8080": true, "127.0.0.1": true},
		"http://localhost:8080":   {"localhost:8080": false, "loyalty.example": false},
	} {
		server, err := api.New(func() api.Config {
			c := config(t, new(lockedBuffer))
			fixed{}.all(&c)
			c.PublicURL = publicURL
			return c
		}())
		if err != nil {
			t.Fatal(err)
		}
		ask := func(host, method, body string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, "/session", strings.NewReader(body))
			r.Host = host
			r.Header.Set("Content-Type", "application/json")
			for _, c := range cookies {
				r.AddCookie(c)
			}
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			return w
		}
		for host, secure := range hosts {
			got := cookieOf(t, answer{header: ask(host, "POST", opening(mint(t, ann)).body).Header()})
			if got.Secure != secure || got.Path != "/" || got.Domain != "" {
				t.Errorf("below %q at %s the cookie is %v", publicURL, host, got)
			}
			other := *got
			other.Name = map[bool]string{true: "loyalty_session", false: "__Host-loyalty_session"}[secure]
			for _, try := range []struct {
				cookies []*http.Cookie
				status  int
			}{
				{[]*http.Cookie{got}, 200}, {[]*http.Cookie{&other}, 401}, {[]*http.Cookie{{Name: other.Name, Value: mint(t, support)}, got}, 200},
			} {
				w := ask(host, "GET", "", try.cookies...)
				if w.Code != try.status || w.Code == 200 && !strings.Contains(w.Body.String(), `"ann"`) {
					t.Errorf("below %q at %s %v is answered with %d: %s", publicURL, host, try.cookies, w.Code, w.Body)
				}
			}
			if gone := cookieOf(t, answer{header: ask(host, "DELETE", "", got).Header()}); gone.Name != got.Name || gone.MaxAge >= 0 {
				t.Errorf("below %q at %s the cookie is taken back with %v", publicURL, host, gone)
			}
		}
	}
}

// keylessSite is a site that has not found the keys to verify tokens with, and a token that would be ann's.
func keylessSite(t *testing.T, doc *document) (*site, string) {
	t.Helper()
	s := serve(t, doc, func(c *api.Config) {
		fixed{}.all(c)
		nothing := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(nothing.Close)
		verifier, err := auth.NewKeyVerifier(keystest.Start(t, nothing.URL, time.Now), auth.Settings{}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		c.Verifier = verifier
	})
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": "ann", "role": "customer", "exp": time.Now().Add(time.Hour).Unix()}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s, token
}

func TestAnIssuerThatIsDownMakesTheServerUnavailableAndNobodyUnwelcome(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) }))
	t.Cleanup(down.Close)
	verifier, err := auth.NewKeyVerifier(keystest.Start(t, down.URL, time.Now), auth.Settings{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Leaderboard, c.Verifier = fixed{}, verifier })
	for _, id := range []string{"k-1", ""} {
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": "ann", "role": "customer", "exp": time.Now().Add(time.Hour).Unix()})
		if id != "" {
			token.Header["kid"] = id
		}
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{"Authorization": {"Bearer " + signed}}
		s.do(t, exchange{method: "GET", path: "/loyalty/ann", header: header, status: 503, code: "unavailable"})
	}
}
