package signin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/api/auth/keys/keystest"
	"loyalty/api/auth/signin/signintest"
	"loyalty/domain"
)

// site is a program with pages, and the identity provider at which people sign in to them.
type site struct {
	t        *testing.T
	url      string
	provider *signintest.Provider
	config   Config
	// ahead is how far the site's clock is, in nanoseconds.
	ahead atomic.Int64

	mu sync.Mutex
	// signer is the process that a balancer sends requests to.
	signer *Provider
}

// outcome is what came of a request: where the browser was left, and what it was told there.
type outcome struct {
	Token, To, Problem           string
	Unauthenticated, Unavailable bool
	header                       http.Header
	at                           *url.URL
}

// openSite runs both. The client is known at the provider by its Redirect, which is the site's.
func openSite(t *testing.T, client signintest.Client) *site {
	t.Helper()
	s := &site{t: t}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url, client.Redirect = server.URL, server.URL+ReturnPath
	s.provider = signintest.Start(t, client)
	s.config = Config{
		Issuer: s.provider.Issuer(), ClientID: client.ID, ClientSecret: client.Secret, PublicURL: s.url,
		Now: func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
	}
	s.config.Keys = keystest.Start(t, s.provider.KeysURL(), s.config.Now)
	s.restart()
	return s
}

var public = signintest.Client{ID: "loyalty-pages"}

// restart has another process answer from now on.
func (s *site) restart() {
	s.t.Helper()
	signer, err := New(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signer = signer
}

// ServeHTTP does with a Provider what package api does, and tells all that came of it.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	signer := s.signer
	s.mu.Unlock()
	var got outcome
	var err error
	switch r.URL.Path {
	case "/sign-in":
		if err = signer.Begin(w, r, r.FormValue("to"), r.FormValue("afresh") != ""); err == nil {
			return
		}
	case ReturnPath:
		got.Token, got.To, err = signer.Finish(w, r)
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		got.Problem, got.Unauthenticated, got.Unavailable = err.Error(), errors.Is(err, domain.ErrUnauthenticated), errors.Is(err, domain.ErrUnavailable)
	}
	_ = json.NewEncoder(w).Encode(got)
}

// browser has cookies, and follows redirects unless told where to stop.
type browser struct {
	s *site
	*http.Client
}

func (s *site) browser() browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return browser{s, &http.Client{Jar: jar, Timeout: time.Minute}}
}

// open goes to an address and wherever it leads.
func (b browser) open(address string) outcome {
	b.s.t.Helper()
	response, err := b.Get(address)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	got := outcome{header: response.Header, at: response.Request.URL}
	if err := json.Unmarshal(body, &got); err != nil {
		b.s.t.Fatalf("%s answers with %s: %s", got.at, response.Status, body)
	}
	return got
}

// signIn goes through all of it.
func (b browser) signIn(to string) outcome {
	b.s.t.Helper()
	return b.open(b.s.url + "/sign-in?" + url.Values{"to": {to}}.Encode())
}

// returning signs in as far as to the provider, and gives the address that it sends the browser back to.
func (b browser) returning(to string) string {
	b.s.t.Helper()
	there := *b.Client
	there.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		if next.URL.Path == ReturnPath {
			return http.ErrUseLastResponse
		}
		return nil
	}
	response, err := there.Get(b.s.url + "/sign-in?" + url.Values{"to": {to}}.Encode())
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer response.Body.Close()
	back, err := response.Location()
	if err != nil {
		b.s.t.Fatalf("%s is answered with %s: %v", response.Request.URL, response.Status, err)
	}
	return back.String()
}

// cookies are those that the browser would go back with.
func (b browser) cookies() []*http.Cookie {
	all := b.Jar.Cookies(must(url.Parse(b.s.url + ReturnPath)))
	for _, c := range all {
		c.Path = ReturnPath
	}
	return all
}

// keep gives the browser cookies back that were taken away.
func (b browser) keep(all []*http.Cookie) {
	b.Jar.SetCookies(must(url.Parse(b.s.url+ReturnPath)), all)
}
