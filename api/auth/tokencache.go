package auth

import (
	"context"
	"strings"
	"sync"
	"time"
)

const (
	// cacheTTL is how long a verified token is cached, so that a customer who comes back costs no signature check. It is also how long a
	// withdrawn key or a changed secret goes on working for tokens seen before: keysRefresh + cacheTTL after it is gone from a JWKS
	// address.
	cacheTTL = time.Minute
	// maxCachedTokens is the most tokens in each of the two generations, and maxCachedToken the longest token cached, in bytes. The cache
	// takes at most 64 MiB.
	maxCachedTokens = 1 << 15
	maxCachedToken  = 1 << 10
	cacheShards     = 16
)

// tokenCache keeps verified tokens and their claims in two generations. Once the younger is full or cacheTTL old, it replaces the older.
// A token is found for at most cacheTTL and never after it has expired. The cache may be used from many goroutines at once.
type tokenCache struct {
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu           sync.RWMutex
	young, older map[tokenSuffix]*cachedToken
	began        time.Time
}

// tokenSuffix is the end of a token, which is the end of its signature. Hashing it is faster than hashing the whole token, which is
// compared once found.
type tokenSuffix [16]byte

type cachedToken struct {
	token  string
	claims Claims
	until  time.Time
}

func suffixOf(token string) (suffix tokenSuffix) {
	copy(suffix[:], token[max(0, len(token)-len(suffix)):])
	return suffix
}

// shard spreads tokens by a character of their signatures, which is as good as random.
func (c *tokenCache) shard(suffix tokenSuffix) *cacheShard { return &c.shards[suffix[0]%cacheShards] }

// get returns the claims of a token that was verified less than cacheTTL ago and has not expired.
func (c *tokenCache) get(token string, now time.Time) (Claims, bool) {
	suffix := suffixOf(token)
	s := c.shard(suffix)
	s.mu.RLock()
	found, ok := s.young[suffix]
	if !ok {
		found, ok = s.older[suffix]
	}
	s.mu.RUnlock()
	if !ok || found.token != token || !now.Before(found.until) {
		return Claims{}, false
	}
	return found.claims, true
}

func (c *tokenCache) put(token string, claims Claims, now time.Time) {
	until := now.Add(cacheTTL)
	if claims.Expires.Before(until) {
		until = claims.Expires
	}
	suffix := suffixOf(token)
	s := c.shard(suffix)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= maxCachedTokens/cacheShards || now.Sub(s.began) >= cacheTTL {
		s.young, s.older, s.began = make(map[tokenSuffix]*cachedToken), s.young, now
	}
	s.young[suffix] = &cachedToken{token, claims, until}
}

// verifyCached is Verify with the token cache. What complete adds to the claims is cached with them.
func (v *Verifier) verifyCached(ctx context.Context, token string, complete func(*Claims)) (Claims, error) {
	now := v.now()
	if claims, ok := v.cache.get(token, now); ok {
		return claims, nil
	}
	claims, err := v.Verify(ctx, token)
	if err != nil {
		return claims, err
	}
	complete(&claims)
	if len(token) <= maxCachedToken {
		v.cache.put(strings.Clone(token), claims, now)
	}
	return claims, nil
}
