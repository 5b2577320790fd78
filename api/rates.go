package api

import (
	"maps"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"loyalty/api/auth"
)

// rates keep each client to a number of requests a second. They remember at most 2 × rememberedClients clients, in two
// generations as remembered does tokens: one that is forgotten begins with a full bucket again. They may be used from many
// goroutines at once; nil are no rates.
type rates struct {
	perSecond map[string]float64

	mu           sync.Mutex
	young, older map[client]*rate.Limiter
}

// rememberedClients keeps the buckets of one server within 16 MiB.
const rememberedClients = 1 << 15

// client is who a rate is for: a till, a website, a customer.
type client struct{ kind, subject string }

// kindOf is the kind of client that a caller is, which rates are set by.
func kindOf(c auth.Claims) string {
	if c.Role == RoleChannel {
		return string(c.Channel)
	}
	return string(c.Role)
}

// newRates gives nil where nobody has a rate.
func newRates(perSecond map[string]float64) *rates {
	perSecond = maps.Clone(perSecond)
	maps.DeleteFunc(perSecond, func(_ string, n float64) bool { return n == 0 })
	if len(perSecond) == 0 {
		return nil
	}
	return &rates{perSecond: perSecond}
}

// take counts a request. A client that may not make it now gets a rateLimited.
func (r *rates) take(caller Claims, clock func() time.Time) error {
	bucket := r.bucket(caller)
	if bucket == nil {
		return nil
	}
	now := clock()
	if bucket.AllowN(now, 1) {
		return nil
	}
	return rateLimited{after: seconds((1 - bucket.TokensAt(now)) / float64(bucket.Limit()))}
}

// reserve counts a request that is going to be made, and says how long it has to wait for that.
func (r *rates) reserve(caller Claims, clock func() time.Time) time.Duration {
	bucket := r.bucket(caller)
	if bucket == nil {
		return 0
	}
	now := clock()
	return bucket.ReserveN(now, 1).DelayFrom(now)
}

// bucket is a client's; nil for one without a rate.
func (r *rates) bucket(caller Claims) *rate.Limiter {
	if r == nil {
		return nil
	}
	who := client{kindOf(caller), caller.Subject}
	perSecond, limited := r.perSecond[who.kind]
	if !limited {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if bucket, known := r.young[who]; known {
		return bucket
	}
	bucket, known := r.older[who]
	if !known {
		bucket = rate.NewLimiter(rate.Limit(perSecond), max(1, int(math.Ceil(perSecond))))
	}
	if r.young == nil || len(r.young) >= rememberedClients {
		r.young, r.older = make(map[client]*rate.Limiter), r.young
	}
	r.young[who] = bucket
	return bucket
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
