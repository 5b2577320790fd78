package auth

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/internal/problem"
)

func cachingVerifier(t *testing.T, now func() time.Time) (*Verifier, []byte) {
	t.Helper()
	secret := []byte("a secret of at least thirty-two bytes")
	v, err := NewSecretVerifier(secret, Settings{}, now)
	if err != nil {
		t.Fatal(err)
	}
	return v, secret
}

func TestAVerifiedTokenIsCachedForAsLongAsItLasts(t *testing.T) {
	clock := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	v, secret := cachingVerifier(t, func() time.Time { return clock })
	token, err := Mint(secret, Claims{Subject: "alice", Role: RoleCustomer, Rights: "order"}, time.Hour, clock)
	if err != nil {
		t.Fatal(err)
	}
	want, err := v.verifyCached(t.Context(), token, unchanged)
	if err != nil {
		t.Fatal(err)
	}
	// Given that no signature is found right any more
	v.secret = []byte("another secret of thirty-two bytes!")
	for after, taken := range map[time.Duration]bool{0: true, time.Hour - time.Second: true, time.Hour: false} {
		v.now = func() time.Time { return clock.Add(after) }
		// Then the token passes until it ends
		got, err := v.verifyCached(t.Context(), token, unchanged)
		if got.Expires = got.Expires.UTC(); taken && (err != nil || !got.Expires.Equal(want.Expires) || got.Subject != want.Subject || got.Role != want.Role || got.Channel != want.Channel || got.Rights != want.Rights) || !taken && err == nil {
			t.Errorf("after %s: %+v, %v", after, got, err)
		}
	}
}

func TestACachedTokenEndsWhenItExpires(t *testing.T) {
	clock := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	v, secret := cachingVerifier(t, func() time.Time { return clock })
	token, err := Mint(secret, Claims{Subject: "alice", Role: RoleCustomer}, 10*time.Second, clock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.verifyCached(t.Context(), token, unchanged); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(10*time.Second + ClockLeeway)
	if _, err := v.verifyCached(t.Context(), token, unchanged); !errors.Is(err, problem.ErrTokenExpired) {
		t.Errorf("got %v", err)
	}
}

func TestAnInvalidTokenIsNotCached(t *testing.T) {
	v, _ := cachingVerifier(t, time.Now)
	for range 3 {
		if _, err := v.verifyCached(t.Context(), "no.such.token", unchanged); !errors.Is(err, domain.ErrUnauthenticated) {
			t.Fatalf("got %v", err)
		}
	}
	if tokens, _ := v.cache.held(); tokens > 0 {
		t.Errorf("%d are cached", tokens)
	}
}

// held counts what is cached.
func (c *tokenCache) held() (tokens, bytes int) {
	for i := range c.shards {
		tokens, bytes = tokens+len(c.shards[i].tokens), bytes+c.shards[i].bytes
	}
	return tokens, bytes
}

// Given more tokens than there is room for, of subjects short and long
// Then as many as there is room for are cached, the last among them, and what they take is counted right.
func TestCachedTokensAreBoundedByBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const room = 1 << 20
		c, now := newTokenCache(room), time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
		subject := strings.Repeat("a", rapid.IntRange(1, domain.MaxIDLength).Draw(t, "length"))
		kept := 0
		for i := range rapid.IntRange(1, 3*room/cachedBytes).Draw(t, "tokens") {
			hash := hashOf(fmt.Sprintf("token %d", i))
			c.put(hash, Claims{Subject: subject, Role: RoleCustomer, Expires: now.Add(time.Hour)})
			if _, found := c.get(hash, now); !found {
				t.Fatalf("token %d is not found right after it was put", i)
			}
			kept++
		}
		tokens, bytes := c.held()
		if bytes != tokens*(cachedBytes+len(subject)) || bytes > room {
			t.Errorf("%d tokens take %d bytes", tokens, bytes)
		}
		if full := kept * (cachedBytes + len(subject)); full > 2*room && bytes < room*9/10 {
			t.Errorf("of %d bytes %d are used", room, bytes)
		}
	})
}

func TestACachedTokenTakesAsMuchAsItIsCountedFor(t *testing.T) {
	const tokens = 400_000
	now := time.Now()
	c := newTokenCache(1 << 30)
	before := heap()
	for i := range tokens {
		c.put(hashOf(strconv.Itoa(i)), Claims{Subject: strings.Clone(fmt.Sprintf("customer-%07d", i)), Role: RoleCustomer, Channel: domain.Website, Expires: now.Add(time.Hour)})
	}
	took := heap() - before
	_, counted := c.held()
	if each := float64(took) / tokens; float64(took) > 1.25*float64(counted) || float64(took) < 0.6*float64(counted) {
		t.Errorf("a token takes %.0f bytes, and is counted for %d", each, counted/tokens)
	}
	runtime.KeepAlive(c)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestATokenThatEndsLikeACachedOneIsNotTakenForIt(t *testing.T) {
	clock := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	v, secret := cachingVerifier(t, func() time.Time { return clock })
	token, err := Mint(secret, Claims{Subject: "alice", Role: RoleCustomer}, time.Hour, clock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.verifyCached(t.Context(), token, unchanged); err != nil {
		t.Fatal(err)
	}
	forged, err := Mint([]byte("another secret of thirty-two bytes!"), Claims{Subject: "bob", Role: RoleSupport}, time.Hour, clock)
	if err != nil {
		t.Fatal(err)
	}
	forged = forged[:strings.LastIndexByte(forged, '.')] + token[strings.LastIndexByte(token, '.'):]
	if got, err := v.verifyCached(t.Context(), forged, unchanged); !errors.Is(err, domain.ErrUnauthenticated) {
		t.Errorf("it is taken for %+v", got)
	}
}

func unchanged(*Claims) {}
