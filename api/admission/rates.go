package admission

import (
	"hash/maphash"
	"maps"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/problem"
)

// Rates limit how many requests per second each client makes, with a token bucket for each. They keep the buckets of at most
// 2 × maxClients clients, in two generations: a client whose bucket is dropped begins with a full one. They may be used from many
// goroutines at once. The nil Rates limit nobody.
type Rates struct {
	perSecond map[string]float64
	seed      maphash.Seed
	// shards have the buckets of clients by a hash of their subject, so that those who ask at the same time don't wait for each other.
	shards [rateShards]rateShard
}

type rateShard struct {
	mu           sync.Mutex
	young, older map[client]*rate.Limiter
}

// maxClients keeps the buckets of one server within 16 MiB.
const (
	maxClients = 1 << 15
	rateShards = 16
)

// client is whom a bound is for: a till, a website, a customer. kind is that by which rates are set.
type client struct{ kind, subject string }

func clientOf(c auth.Claims) client {
	if c.Role == auth.RoleChannel {
		return client{string(c.Channel), c.Subject}
	}
	return client{string(c.Role), c.Subject}
}

// NewRates makes rates from the requests per second of each kind of client, where 0 is none. It returns nil where no kind has a rate.
func NewRates(perSecond map[string]float64) *Rates {
	perSecond = maps.Clone(perSecond)
	maps.DeleteFunc(perSecond, func(_ string, n float64) bool { return n == 0 })
	if len(perSecond) == 0 {
		return nil
	}
	return &Rates{perSecond: perSecond, seed: maphash.MakeSeed()}
}

// Take counts a request of a caller. Where the caller may not make it now, it is problem.ErrRateLimited, a domain.LaterError.
func (r *Rates) Take(caller auth.Claims, clock func() time.Time) error {
	return take(r.bucket(clientOf(caller)), clock(), problem.ErrRateLimited)
}

// take takes one out of a bucket, nil for one without end. If it is empty, err is what comes of it, a domain.LaterError.
func take(bucket *rate.Limiter, now time.Time, err error) error {
	if bucket == nil || bucket.AllowN(now, 1) {
		return nil
	}
	return domain.Later(err, seconds((1-bucket.TokensAt(now))/float64(bucket.Limit())))
}

// Reserve counts a request that the caller is going to make, and returns how long to wait before it.
func (r *Rates) Reserve(caller auth.Claims, clock func() time.Time) time.Duration {
	bucket := r.bucket(clientOf(caller))
	if bucket == nil {
		return 0
	}
	now := clock()
	return bucket.ReserveN(now, 1).DelayFrom(now)
}

// bucket is a client's; nil for one without a rate.
func (r *Rates) bucket(who client) *rate.Limiter {
	if r == nil {
		return nil
	}
	perSecond, limited := r.perSecond[who.kind]
	if !limited {
		return nil
	}
	s := &r.shards[maphash.String(r.seed, who.subject)%rateShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if bucket, known := s.young[who]; known {
		return bucket
	}
	bucket, known := s.older[who]
	if !known {
		bucket = newBucket(perSecond)
	}
	if s.young == nil || len(s.young) >= maxClients/rateShards {
		s.young, s.older = make(map[client]*rate.Limiter), s.young
	}
	s.young[who] = bucket
	return bucket
}

// newBucket holds what may be taken in a second, and at least one.
func newBucket(perSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(math.Ceil(perSecond))))
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
