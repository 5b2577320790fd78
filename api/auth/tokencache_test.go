package auth

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/internal/problem"
)

// cachingVerifier counts the signatures that are checked, by how often its keys are asked for.
func cachingVerifier(t *testing.T, now func() time.Time) (*Verifier, []byte) {
	t.Helper()
	secret := []byte("a secret of at least thirty-two bytes")
	v, err := NewSecretVerifier(secret, now)
	if err != nil {
		t.Fatal(err)
	}
	return v, secret
}

func TestAVerifiedTokenIsCachedForAWhile(t *testing.T) {
	clock := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	v, secret := cachingVerifier(t, func() time.Time { return clock })
	token, err := Mint(secret, Claims{Subject: "alice", Role: RoleCustomer}, time.Hour, clock)
	if err != nil {
		t.Fatal(err)
	}
	want, err := v.verifyCached(t.Context(), token, unchanged)
	if err != nil {
		t.Fatal(err)
	}
	// Given that no key verifies anything any more
	taken, err := NewSecretVerifier([]byte("another secret of thirty-two bytes!"), v.now)
	if err != nil {
		t.Fatal(err)
	}
	v.keys = taken.keys
	// Then the token passes for as long as it is cached, and no longer
	clock = clock.Add(cacheTTL - time.Second)
	if got, err := v.verifyCached(t.Context(), token, unchanged); err != nil || got != want {
		t.Errorf("after %s: %+v, %v", cacheTTL-time.Second, got, err)
	}
	clock = clock.Add(time.Second)
	if _, err := v.verifyCached(t.Context(), token, unchanged); !errors.Is(err, domain.ErrUnauthenticated) {
		t.Errorf("after %s: %v", cacheTTL, err)
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
	for i := range v.cache.shards {
		if n := len(v.cache.shards[i].young); n > 0 {
			t.Errorf("%d are cached", n)
		}
	}
}

func TestCachedTokensAreBounded(t *testing.T) {
	r, now := new(tokenCache), time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	claims := Claims{Subject: "alice", Expires: now.Add(time.Hour)}
	token := func(i int) string { return fmt.Sprintf("%c%015d", 'a'+i%cacheShards, i) }
	for i := range 3 * maxCachedTokens {
		r.put(token(i), claims, now)
	}
	held := 0
	for i := range r.shards {
		held += len(r.shards[i].young) + len(r.shards[i].older)
	}
	if held > 2*maxCachedTokens || held < maxCachedTokens {
		t.Errorf("%d are held", held)
	}
	if _, ok := r.get(token(3*maxCachedTokens-1), now); !ok {
		t.Error("the last one is not found")
	}
}

func TestATokenThatEndsLikeACachedOneIsNotTakenForIt(t *testing.T) {
	r, now := new(tokenCache), time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	r.put("alice.of.a-signature-of-some-length", Claims{Subject: "alice", Expires: now.Add(time.Hour)}, now)
	if got, ok := r.get("forged.of.a-signature-of-some-length", now); ok {
		t.Errorf("it is taken for %+v", got)
	}
}

func unchanged(*Claims) {}
