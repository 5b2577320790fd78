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
	young, older map[tokenEnd]*remembrance
	began        time.Time
}

// tokenEnd is the end of a token, which is the end of its signature. It finds a token faster than all of it would; the rest is
// compared then.
type tokenEnd [16]byte

type remembrance struct {
	token  string
	claims Claims
	until  time.Time
}

func endOf(token string) (end tokenEnd) {
	copy(end[:], token[max(0, len(token)-len(end)):])
	return end
}

// shard spreads tokens by a character of their signatures, which looks random.
func (r *remembered) shard(end tokenEnd) *rememberedShard { return &r.shards[end[0]%rememberShards] }

// get returns the claims of a token that was verified less than rememberFor ago and is still valid.
func (r *remembered) get(token string, now time.Time) (Claims, bool) {
	end := endOf(token)
	s := r.shard(end)
	s.mu.RLock()
	found, ok := s.young[end]
	if !ok {
		found, ok = s.older[end]
	}
	s.mu.RUnlock()
	if !ok || found.token != token || !now.Before(found.until) {
		return Claims{}, false
	}
	return found.claims, true
}

func (r *remembered) put(token string, claims Claims, now time.Time) {
	until := now.Add(rememberFor)
	if claims.Expires.Before(until) {
		until = claims.Expires
	}
	end := endOf(token)
	s := r.shard(end)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= rememberedTokens/rememberShards || now.Sub(s.began) >= rememberFor {
		s.young, s.older, s.began = make(map[tokenEnd]*remembrance), s.young, now
	}
	s.young[end] = &remembrance{token, claims, until}
}

// verify is Verify with remembered tokens. What complete adds to the claims is remembered with them.
func (v *Verifier) verify(ctx context.Context, token string, complete func(*Claims)) (Claims, error) {
	now := v.now()
	if claims, ok := v.remembered.get(token, now); ok {
		return claims, nil
	}
	claims, err := v.Verify(ctx, token)
	if err != nil {
		return claims, err
	}
	complete(&claims)
	if len(token) <= rememberedBytes {
		v.remembered.put(strings.Clone(token), claims, now)
	}
	return claims, nil
}
