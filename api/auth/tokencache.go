package auth

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"loyalty/api/auth/keys"
	"loyalty/domain"
)

const (
	// DefaultCacheBytes is about the most memory that cached tokens take: those of some two million customers.
	DefaultCacheBytes = 256 << 20
	// cachedBytes is about what one takes, beside its subject. TestACachedTokenTakesAsMuchAsItIsCountedFor measures it.
	cachedBytes = 112
	cacheShards = 64
	// maxKinds is the most different kinds of tokens that are shared by those cached.
	maxKinds = 1 << 12
)

// tokenCache keeps the claims of verified tokens, so that a customer who comes back costs no signature check. A token is found for as long as
// it has not expired and its key is trusted. All customers are as likely to come back, so that a full cache forgets any token for a new one. It may be used from many goroutines at once.
type tokenCache struct {
	// perShard is the most bytes of each shard.
	perShard int
	shards   [cacheShards]cacheShard

	mu    sync.Mutex
	kinds map[tokenKind]*tokenKind
}

type cacheShard struct {
	mu     sync.RWMutex
	tokens map[tokenHash]cachedToken
	bytes  int
}

// tokenHash stands for a whole token, its signature included: half a SHA-256, for which nobody finds a second token.
type tokenHash [16]byte

// cachedToken is what is kept of a token, in as little memory as goes: there are millions.
type cachedToken struct {
	subject  string
	expires  int64 // nanoseconds since 1970
	proxyKey domain.ProxyKey
	kind     *tokenKind
}

// tokenKind is what the tokens of many have in common.
type tokenKind struct {
	role    Role
	channel domain.Channel
	rights  string
	key     *keys.Key
}

func newTokenCache(bytes int) *tokenCache {
	c := &tokenCache{perShard: bytes / cacheShards, kinds: map[tokenKind]*tokenKind{}}
	for i := range c.shards {
		c.shards[i].tokens = map[tokenHash]cachedToken{}
	}
	return c
}

var hashBuffers = sync.Pool{New: func() any { return new([maxToken]byte) }}

// hashOf hashes a token of at most maxToken bytes.
func hashOf(token string) tokenHash {
	buffer := hashBuffers.Get().(*[maxToken]byte)
	defer hashBuffers.Put(buffer)
	sum := sha256.Sum256(buffer[:copy(buffer[:], token)])
	return tokenHash(sum[:])
}

func (c *tokenCache) shard(hash tokenHash) *cacheShard { return &c.shards[hash[0]%cacheShards] }

// get returns the claims of a token that was verified, has not expired, and whose key is still trusted.
func (c *tokenCache) get(hash tokenHash, now time.Time) (Claims, bool) {
	s := c.shard(hash)
	s.mu.RLock()
	found, ok := s.tokens[hash]
	s.mu.RUnlock()
	if !ok || now.UnixNano() >= found.expires || !found.kind.key.Trusted(now) {
		return Claims{}, false
	}
	return Claims{
		Subject: found.subject, Role: found.kind.role, Channel: found.kind.channel, Rights: found.kind.rights, Expires: time.Unix(0, found.expires),
		proxyKey: found.proxyKey, key: found.kind.key,
	}, true
}

// put caches the claims of a token, and forgets others as far as there is no room.
func (c *tokenCache) put(hash tokenHash, claims Claims) {
	token := cachedToken{claims.Subject, claims.Expires.UnixNano(), claims.proxyKey, c.kindOf(claims)}
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.tokens[hash]; known {
		return
	}
	needed := cachedBytes + len(token.subject)
	for other, forgotten := range s.tokens { // begins anywhere
		if s.bytes+needed <= c.perShard {
			break
		}
		delete(s.tokens, other)
		s.bytes -= cachedBytes + len(forgotten.subject)
	}
	if s.bytes+needed <= c.perShard {
		s.tokens[hash] = token
		s.bytes += needed
	}
}

func (c *tokenCache) kindOf(claims Claims) *tokenKind {
	kind := tokenKind{claims.Role, claims.Channel, claims.Rights, claims.key}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.kinds[kind]; known != nil {
		return known
	}
	if len(c.kinds) >= maxKinds {
		clear(c.kinds) // those that are in use are held by their tokens
	}
	c.kinds[kind] = &kind
	return &kind
}

// verifyCached is Verify with the token cache. What complete adds to the claims is cached with them.
func (v *Verifier) verifyCached(ctx context.Context, token string, complete func(*Claims)) (Claims, error) {
	if len(token) > maxToken {
		return v.Verify(ctx, token)
	}
	hash := hashOf(token)
	if claims, ok := v.cache.get(hash, v.now()); ok {
		if v.refused.has(claims.Subject) {
			return Claims{}, refused(domain.ErrUnauthenticated, subjectRefused, nil, "")
		}
		return claims, nil
	}
	claims, err := v.Verify(ctx, token)
	if err != nil {
		return claims, err
	}
	complete(&claims)
	v.cache.put(hash, claims)
	return claims, nil
}
