package api

import (
	"context"
	"strings"
	"sync"
	"time"
)

// A verified token is remembered for as long as rememberFor, so that a customer who looks again costs no signature. This is
// also the time within which a key taken back, or a changed secret, takes effect on tokens seen before: in all,
// keysRefresh + rememberFor after it is gone from a JWKS address.
const (
	rememberFor = time.Minute
	// rememberedTokens bounds the tokens remembered in each of two generations, and rememberedBytes the length of one, so
	// that all of them take at most 64 MiB.
	rememberedTokens = 1 << 15
	rememberedBytes  = 1 << 10
	rememberShards   = 16
)

// remembered keeps verified tokens in two generations: what is looked up in the older one moves to the younger, and when that
// is full or rememberFor old, it takes the older one's place. It may be used from many goroutines at once.
type remembered struct {
	shards [rememberShards]rememberedShard
}

type rememberedShard struct {
	mu           sync.RWMutex
	young, older map[string]remembrance
	began        time.Time
}

type remembrance struct {
	claims Claims
	until  time.Time
}

// shard spreads tokens by a character of their signatures, which looks random.
func (r *remembered) shard(token string) *rememberedShard {
	return &r.shards[token[max(0, len(token)-5)]%rememberShards]
}

// get returns the claims of a token that was verified less than rememberFor ago and is still valid.
func (r *remembered) get(token string, now time.Time) (Claims, bool) {
	s := r.shard(token)
	s.mu.RLock()
	defer s.mu.RUnlock()
	found, ok := s.young[token]
	if !ok {
		found, ok = s.older[token]
	}
	if !ok || !now.Before(found.until) {
		return Claims{}, false
	}
	return found.claims, true
}

func (r *remembered) put(token string, claims Claims, now time.Time) {
	until := now.Add(rememberFor)
	if claims.Expires.Before(until) {
		until = claims.Expires
	}
	s := r.shard(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= rememberedTokens/rememberShards || now.Sub(s.began) >= rememberFor {
		s.young, s.older, s.began = make(map[string]remembrance), s.young, now
	}
	s.young[token] = remembrance{claims, until}
}

// verify is Verify with remembered tokens.
func (v *Verifier) verify(ctx context.Context, token string) (Claims, error) {
	if token == "" {
		return Claims{}, errTokenMalformed
	}
	now := v.now()
	if claims, ok := v.remembered.get(token, now); ok {
		return claims, nil
	}
	claims, err := v.Verify(ctx, token)
	if err == nil && len(token) <= rememberedBytes {
		v.remembered.put(strings.Clone(token), claims, now)
	}
	return claims, err
}
