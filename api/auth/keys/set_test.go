package keys

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/domain"
)

// publisher answers in an identity provider's place, in memory, so that time can be that of the test.
type publisher struct {
	mu    sync.Mutex
	data  []byte
	err   error
	delay time.Duration
	asked int
}

func (p *publisher) publish(data []byte) { p.mu.Lock(); defer p.mu.Unlock(); p.data, p.err = data, nil }

func (p *publisher) fail(err error) { p.mu.Lock(); defer p.mu.Unlock(); p.err = err }

func (p *publisher) wait(delay time.Duration) { p.mu.Lock(); defer p.mu.Unlock(); p.delay = delay }

func (p *publisher) count() int { p.mu.Lock(); defer p.mu.Unlock(); return p.asked }

// RoundTrip is http.RoundTripper's.
func (p *publisher) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.asked++
	data, err, delay := p.data, p.err, p.delay
	p.mu.Unlock()
	if delay > 0 {
		waited := time.NewTimer(delay)
		defer waited.Stop()
		select {
		case <-waited.C:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(data)), Request: r, Header: http.Header{}}, nil
}

func (p *publisher) set(t testing.TB) *Set {
	t.Helper()
	set, err := New(Options{URL: "https://id.example/keys", Transport: p, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// run has a set read as in a process, until the test ends.
func (p *publisher) run(t *testing.T) *Set {
	t.Helper()
	set := p.set(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { set.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	synctest.Wait()
	return set
}

// Given a process that reads keys, and a provider that changes them
// Then each change is known within a minute, and a key that is withdrawn is trusted by nothing that was verified with it earlier.
func TestKeysAreReadEveryMinute(t *testing.T) {
	first, second := rsaKeys()
	one, both, two := publish(t, rsaJWK(first).with(jwk{"kid": "1"})), publish(t, rsaJWK(first).with(jwk{"kid": "1"}), rsaJWK(second).with(jwk{"kid": "2"})), publish(t, rsaJWK(second).with(jwk{"kid": "2"}))
	synctest.Test(t, func(t *testing.T) {
		provider := &publisher{}
		provider.publish(one)
		set := provider.run(t)
		kept, err := set.Of(t.Context(), sign(t, jwt.SigningMethodRS256, first, "1"))
		if err != nil || !kept.Trusted(time.Now()) {
			t.Fatalf("the first key: %v", err)
		}
		provider.publish(both)
		time.Sleep(Refresh)
		synctest.Wait()
		if again, err := set.Of(t.Context(), sign(t, jwt.SigningMethodRS256, first, "1")); err != nil || again != kept || set.Count() != 2 {
			t.Errorf("beside another key it is %v, %v", again, err)
		}
		provider.publish(two)
		time.Sleep(Refresh - time.Second)
		synctest.Wait()
		if !kept.Trusted(time.Now()) {
			t.Error("a key is withdrawn before it can be known")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if kept.Trusted(time.Now()) || set.Count() != 1 || provider.count() != 3 {
			t.Errorf("a withdrawn key is trusted; %d keys after %d readings", set.Count(), provider.count())
		}
	})
}

// Given tokens with the names of keys that nobody published
// Then the provider is asked at once, and no more than every ten seconds; and nobody is told that a token is wrong before that is known.
func TestAnUnknownKeyIsLookedUpAtOnceAndSeldom(t *testing.T) {
	first, second := rsaKeys()
	one, both := publish(t, rsaJWK(first).with(jwk{"kid": "1"})), publish(t, rsaJWK(first).with(jwk{"kid": "1"}), rsaJWK(second).with(jwk{"kid": "2"}))
	synctest.Test(t, func(t *testing.T) {
		provider := &publisher{}
		provider.publish(one)
		set := provider.run(t)
		time.Sleep(time.Second)
		if _, err := set.Of(t.Context(), sign(t, jwt.SigningMethodRS256, second, "made-up")); !errors.Is(err, ErrUnknown) || provider.count() != 2 {
			t.Errorf("a made-up name: %v after %d readings", err, provider.count())
		}
		provider.publish(both)
		fresh := sign(t, jwt.SigningMethodRS256, second, "2")
		var later *domain.LaterError
		for range 1000 {
			if _, err := set.Of(t.Context(), fresh); !errors.As(err, &later) || !errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrUnauthenticated) {
				t.Fatalf("a key of which nothing is known yet: %v", err)
			}
		}
		if provider.count() != 2 || later.After > earlyEvery {
			t.Errorf("%d readings; to be tried again in %s", provider.count(), later.After)
		}
		time.Sleep(later.After)
		if _, err := set.Of(t.Context(), fresh); err != nil || provider.count() != 3 {
			t.Errorf("a new key, as soon as it can be known: %v after %d readings", err, provider.count())
		}
	})
}

// Given a provider that takes its time, and then fails
// Then tokens of known keys don't wait, those of unknown ones no more than two seconds, and none is called wrong.
func TestASlowProviderHoldsNobody(t *testing.T) {
	first, second := rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		provider := &publisher{}
		provider.publish(publish(t, rsaJWK(first).with(jwk{"kid": "1"})))
		set := provider.run(t)
		provider.wait(time.Hour)
		var waiting sync.WaitGroup
		for i := range 50 {
			waiting.Go(func() {
				began := time.Now()
				known := i%2 == 0
				token := sign(t, jwt.SigningMethodRS256, second, "2")
				if known {
					token = sign(t, jwt.SigningMethodRS256, first, "1")
				}
				_, err := set.Of(t.Context(), token)
				if took := time.Since(began); known && (err != nil || took > 0) || !known && (!errors.Is(err, domain.ErrUnavailable) || took > earlyWait) {
					t.Errorf("known %t: %v after %s", known, err, took)
				}
			})
		}
		waiting.Wait()
		if provider.count() != 2 {
			t.Errorf("%d readings", provider.count())
		}
		provider.wait(0)
		provider.fail(errors.New("down"))
		time.Sleep(earlyEvery)
		if _, err := set.Of(t.Context(), sign(t, jwt.SigningMethodRS256, second, "2")); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("while it fails: %v", err)
		}
	})
}

// Given a provider that can't be read any more, or publishes what can't be
// Then its keys are trusted for as long as was said, and after that nobody is; and all is well as soon as it is read again.
func TestKeysThatAreTooOldAreNotTrusted(t *testing.T) {
	first, _ := rsaKeys()
	good := publish(t, rsaJWK(first).with(jwk{"kid": "1"}))
	for name, broken := range map[string]func(*publisher){
		"down":   func(p *publisher) { p.fail(errors.New("down")) },
		"no set": func(p *publisher) { p.publish([]byte("<html>")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := &publisher{}
				provider.publish(good)
				set := provider.run(t)
				token := sign(t, jwt.SigningMethodRS256, first, "1")
				kept, err := set.Of(t.Context(), token)
				if err != nil {
					t.Fatal(err)
				}
				broken(provider)
				time.Sleep(DefaultMaxAge - time.Second)
				if _, err := set.Of(t.Context(), token); err != nil || set.Ready() != nil || !kept.Trusted(time.Now()) {
					t.Errorf("before their time: %v", err)
				}
				if age, known := set.Age(); !known || age != DefaultMaxAge-time.Second {
					t.Errorf("the age is %s, %t", age, known)
				}
				time.Sleep(time.Second)
				if _, err := set.Of(t.Context(), token); !errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrUnauthenticated) || set.Ready() == nil || kept.Trusted(time.Now()) {
					t.Errorf("when they are too old: %v", err)
				}
				provider.publish(good)
				time.Sleep(retry)
				synctest.Wait()
				if again, err := set.Of(t.Context(), token); err != nil || again != kept || set.Ready() != nil {
					t.Errorf("read again: %v", err)
				}
			})
		})
	}
}

// Given a provider that is down when the process begins
// Then there are no keys and the process isn't ready, until a few seconds after the provider is back.
func TestAProcessWithoutKeysIsNotReady(t *testing.T) {
	first, _ := rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		provider := &publisher{}
		provider.fail(errors.New("down"))
		set := provider.run(t)
		if _, known := set.Age(); known || set.Ready() == nil {
			t.Error("it is ready without keys")
		}
		if _, err := set.Of(t.Context(), sign(t, jwt.SigningMethodRS256, first, "1")); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("a token: %v", err)
		}
		provider.publish(publish(t, rsaJWK(first).with(jwk{"kid": "1"})))
		time.Sleep(retry)
		synctest.Wait()
		if err := set.Ready(); err != nil {
			t.Errorf("once the provider is back: %v", err)
		}
	})
}

func TestKeysComeByAWayThatNobodyElseCanAnswer(t *testing.T) {
	for url, good := range map[string]bool{
		"https://id.example/keys": true, "https://id.example/keys?appid=7": true, "http://localhost:8080/keys": true, "http://127.0.0.1/keys": true, "http://[::1]:80/keys": true,
		"http://id.example/keys": false, "http://10.0.0.7/keys": false, "http://localhost.example/keys": false, "ftp://id.example/keys": false, "id.example/keys": false, "": false,
		"https://user:word@id.example/keys": false, "https://": false, "file:///keys": false,
	} {
		_, err := New(Options{URL: url, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if (err == nil) != good || err != nil && !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := New(Options{URL: "https://id.example/keys", MaxAge: time.Minute, Log: slog.New(slog.DiscardHandler), Now: time.Now}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("keys that are too old before they can be read again: %v", err)
	}
	redirecting := roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme == "http" {
			t.Errorf("it is followed to %s", r.URL)
		}
		return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"http://id.example/keys"}}, Body: http.NoBody, Request: r}, nil
	})
	set, err := New(Options{URL: "https://id.example/keys", Transport: redirecting, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := set.read(t.Context()); err == nil {
		t.Error("it was read")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip is http.RoundTripper's.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
