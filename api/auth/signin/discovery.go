package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"loyalty/api/auth/keys"
	"loyalty/domain"
)

const (
	// timeout bounds one request to the provider, and with that how long a tab waits for it.
	timeout = 5 * time.Second
	// retryAfter is how long a provider whose discovery failed is not asked again.
	retryAfter = time.Second
	// maxAnswer is the most that is read of an answer, in bytes.
	maxAnswer = 1 << 20
	// maxConnections is the most connections to the provider at once. Other sign-ins wait for one, until their timeout.
	maxConnections = 64
)

// discovery reads a provider's discovery document when it is first needed. While that fails, it asks again after retryAfter.
type discovery struct {
	config Config
	client *http.Client
	known  atomic.Pointer[discovered]
	// asking is a semaphore of one slot, and guards what follows.
	asking   chan struct{}
	failed   error
	failedAt time.Time
}

// discovered is what a provider says about itself. It is kept until the process ends.
type discovered struct {
	config Config
	client *http.Client
	oauth  *oauth2.Config
	// endSession is where the provider ends its own session of somebody; empty if it has no such place.
	endSession string
	// sendsIssuer tells whether the provider says in each return that it is its own (RFC 9207).
	sendsIssuer bool
}

func newDiscovery(c Config) *discovery {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = maxConnections, maxConnections
	client := &http.Client{
		Timeout: timeout, Transport: guarded{transport},
		// Redirects are not followed: a code and a secret go to the configured provider only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &discovery{config: c, client: client, asking: make(chan struct{}, 1)}
}

// find reads the discovery document unless it is known. One caller does at a time; others wait for it until ctx ends.
func (d *discovery) find(ctx context.Context) (*discovered, error) {
	if known := d.known.Load(); known != nil {
		return known, nil
	}
	select {
	case d.asking <- struct{}{}:
		defer func() { <-d.asking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waited for the identity provider: %w", domain.ErrUnavailable, context.Cause(ctx))
	}
	if known := d.known.Load(); known != nil {
		return known, nil
	}
	if d.failed != nil && d.config.Now().Sub(d.failedAt) < retryAfter {
		return nil, d.failed
	}
	// A browser that goes away must not make this fail for those who wait.
	found, err := d.discover(context.WithoutCancel(ctx))
	if err != nil {
		d.failed, d.failedAt = err, d.config.Now()
		return nil, err
	}
	d.known.Store(found)
	return found, nil
}

// metadata is what is needed of the discovery document besides what package oidc reads (Discovery 1.0, section 3).
type metadata struct {
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	// EndSession is of RP-Initiated Logout 1.0, section 2.1, and SendsIssuer of RFC 9207, section 3.
	EndSession  string `json:"end_session_endpoint"`
	SendsIssuer bool   `json:"authorization_response_iss_parameter_supported"`
}

func (d *discovery) discover(ctx context.Context) (*discovered, error) {
	document, err := oidc.NewProvider(oidc.ClientContext(ctx, d.client), d.config.Issuer)
	if err != nil {
		return nil, unavailable(err, "discover the identity provider")
	}
	var more metadata
	if err := document.Claims(&more); err != nil {
		return nil, fmt.Errorf("the identity provider's discovery document: %w", err)
	}
	endpoint := document.Endpoint()
	addresses := map[string]string{"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL}
	if more.EndSession != "" {
		addresses["end_session_endpoint"] = more.EndSession
	}
	for name, address := range addresses {
		if at, err := url.Parse(address); err != nil || !keys.Confidential(at) {
			return nil, fmt.Errorf("the identity provider's discovery document: its %s is %q, and should be https", name, address)
		}
	}
	endpoint.AuthStyle = more.style(d.config.ClientSecret)
	return &discovered{
		config: d.config, client: d.client, endSession: more.EndSession, sendsIssuer: more.SendsIssuer,
		oauth: &oauth2.Config{
			ClientID: d.config.ClientID, ClientSecret: d.config.ClientSecret, Endpoint: endpoint,
			RedirectURL: d.config.PublicURL + ReturnPath, Scopes: d.config.Scopes,
		},
	}, nil
}

// style is how the client authenticates. Left open, package oauth2 would try one style after the other, but a code can be used only once.
func (m metadata) style(secret string) oauth2.AuthStyle {
	if secret == "" || len(m.AuthMethods) > 0 && !slices.Contains(m.AuthMethods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// unavailable is err, as domain.ErrUnavailable if it comes from the network or from a provider that fails.
func unavailable(err error, doing string) error {
	if network := new(url.Error); errors.As(err, &network) {
		return fmt.Errorf("%w: %s: %w", domain.ErrUnavailable, doing, network)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// guarded bounds the size of answers, and turns every status but 200 to a GET into an error, because package oidc would put the whole
// answer into its own error.
type guarded struct{ http.RoundTripper }

// RoundTrip is http.RoundTripper's.
func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := g.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet && response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("answered with %d", response.StatusCode)
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxAnswer), response.Body}
	return response, nil
}
