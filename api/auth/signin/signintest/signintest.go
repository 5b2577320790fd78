// Package signintest is an identity provider for tests: OpenID Connect over HTTP with discovery, keys, a token endpoint, and an
// authorization endpoint that asks nothing, because one person is signed in there. It rejects the requests that a provider must reject.
package signintest

import (
	"crypto/rand"
	"crypto/rsa"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// Client is who may send people here.
type Client struct {
	ID string
	// Secret is empty for a public client. InForm has it sent in the form of a token request; else it is in the Authorization header.
	Secret string
	InForm bool
	// Redirect is where people are sent back to.
	Redirect string
	// EndsSessions has the provider end sessions of its own (RP-Initiated Logout 1.0), SendsIssuer say in each return whose it is (RFC 9207).
	EndsSessions, SendsIssuer bool
}

// Audience is whom access tokens are for.
const Audience = "loyalty"

// Outcome is what becomes of sign-ins. The zero Outcome is one that succeeds.
type Outcome struct {
	// Claims are those of the access token beside what every token has, and IDClaims of the ID token. nil instead of a value takes
	// a claim out.
	Claims, IDClaims map[string]any
	// Error is what the authorization endpoint sends instead of a code. Return are parameters of the return beside what every one has; nil
	// instead of a value takes one out.
	Error  string
	Return map[string]any
	// Status is what the token endpoint answers with, instead of tokens. Description says why; without it, the answer repeats the code.
	Status      int
	Description string
	// Granting puts into the access token whatever scope was asked for, as most providers do.
	Granting bool
	// Opaque makes an access token that is no JWT, Encrypted one that only its issuer could read, WithoutIDToken leaves the ID token out.
	Opaque, Encrypted, WithoutIDToken bool
	// ForeignKey signs ID tokens with a key that is not published. WithoutKeys answers 500 to whoever asks for the keys.
	ForeignKey, WithoutKeys bool
}

// Provider is an identity provider that runs. It may be used from many goroutines at once, but for Stop and Resume.
type Provider struct {
	t            testing.TB
	client       Client
	address      string
	server       *httptest.Server
	key, foreign *rsa.PrivateKey

	mu      sync.Mutex
	subject string
	outcome Outcome
	codes   map[string]grant
	asked   map[string]int
	last    url.Values
}

// grant is what a code is good for, once.
type grant struct{ subject, scope, nonce, challenge, redirect string }

// Start runs a provider with one client until the end of the test.
func Start(t testing.TB, client Client) *Provider {
	t.Helper()
	p := &Provider{t: t, client: client, codes: map[string]grant{}, asked: map[string]int{}, subject: "somebody"}
	for _, key := range []**rsa.PrivateKey{&p.key, &p.foreign} {
		made, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		*key = made
	}
	p.listen("127.0.0.1:0")
	t.Cleanup(p.Stop)
	return p
}

func (p *Provider) listen(address string) {
	p.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.address = listener.Addr().String()
	p.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: p.handler()}}
	p.server.Start()
}

// Stop takes the provider away.
func (p *Provider) Stop() { p.server.Close() }

// Resume brings it back at the same address.
func (p *Provider) Resume() { p.t.Helper(); p.listen(p.address) }

// Issuer is the provider's identifier. Its host is localhost, so that to browsers it is another site than pages at 127.0.0.1.
func (p *Provider) Issuer() string {
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		p.t.Error(err)
	}
	return "http://localhost:" + port
}

// KeysURL is where the keys are that its tokens are signed with.
func (p *Provider) KeysURL() string { return p.Issuer() + "/keys" }

// SignIn says who is signed in at the provider, and what becomes of sign-ins from now on.
func (p *Provider) SignIn(subject string, outcome Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subject, p.outcome = subject, outcome
}

// Asked tells how often an endpoint was asked: /.well-known/openid-configuration, /keys, /authorize, /token.
func (p *Provider) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// Parameters are those that the last browser came with.
func (p *Provider) Parameters() url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}
