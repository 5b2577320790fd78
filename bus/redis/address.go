// Package redis is the bus on Redis Streams, through Watermill: publisher and subscriber, trimming of the streams, and what
// operators do with the poison topic.
package redis

import (
	"cmp"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"loyalty/bus"
	"loyalty/domain"
	"loyalty/internal/redisurl"
)

// address is a connection string, parsed.
type address struct {
	options *redis.UniversalOptions
	prefix  string
	topics  bus.Topics
	// concurrency is the number of commands carried out at once.
	concurrency int
	// keep is about how many results, and how many events, stay in their streams.
	keep int64
	// claimAfter is the time after which a command of a dead consumer goes to another, and after which a consumer without a
	// heartbeat counts as dead.
	claimAfter time.Duration
	// orderTimeout is how long a return waits for its order.
	orderTimeout time.Duration
	// poisonKeep is about how many commands the poison topic holds.
	poisonKeep int64
	// fromStart has the first start publish the whole history of events.
	fromStart bool
}

// The defaults of the parameters.
const (
	defaultPrefix      = "loyalty."
	defaultConcurrency = 16
	defaultKeep        = 1_000_000
	defaultClaimAfter  = 10 * time.Second
	defaultOrderTime   = time.Minute
	defaultPoisonKeep  = 10_000
	maxOrderTime       = 24 * time.Hour
)

// ownParameters are those of an address that are not go-redis's.
var ownParameters = []string{"prefix", "concurrency", "keep", "claim_after", "order_timeout", "poison_keep", "from"}

var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_.:{}-]{1,64}$`)

// parseAddress reads an address. Its errors never repeat it, because it may hold a password.
func parseAddress(text string) (address, error) {
	malformed := func(detail string) (address, error) {
		return address{}, domain.Invalid("bus", "address_malformed", detail)
	}
	parsed, err := redisurl.Parse(text, ownParameters...)
	if err != nil {
		return malformed(err.Error())
	}
	a := address{prefix: parsed.Own("prefix", defaultPrefix)}
	if !prefixForm.MatchString(a.prefix) {
		return malformed("prefix is 1 to 64 letters, digits, or _ . : { } -")
	}
	a.topics = bus.TopicsUnder(a.prefix)
	if a.concurrency, err = strconv.Atoi(parsed.Own("concurrency", strconv.Itoa(defaultConcurrency))); err != nil || a.concurrency < 1 || a.concurrency > 1000 {
		return malformed("concurrency is a number from 1 to 1000")
	}
	if a.keep, err = strconv.ParseInt(parsed.Own("keep", strconv.Itoa(defaultKeep)), 10, 64); err != nil || a.keep < 1 {
		return malformed("keep is a number of results and events, at least 1")
	}
	if a.claimAfter, err = time.ParseDuration(parsed.Own("claim_after", defaultClaimAfter.String())); err != nil || a.claimAfter < 100*time.Millisecond {
		return malformed("claim_after is a duration such as 30s, at least 100ms")
	}
	if a.orderTimeout, err = time.ParseDuration(parsed.Own("order_timeout", defaultOrderTime.String())); err != nil || a.orderTimeout < time.Second || a.orderTimeout > maxOrderTime {
		return malformed("order_timeout is a duration such as 30m, from 1s to 24h")
	}
	if a.poisonKeep, err = strconv.ParseInt(parsed.Own("poison_keep", strconv.Itoa(defaultPoisonKeep)), 10, 64); err != nil || a.poisonKeep < 1 {
		return malformed("poison_keep is a number of poisoned commands, at least 1")
	}
	switch parsed.Own("from", "now") {
	case "start":
		a.fromStart = true
	case "now":
	default:
		return malformed("from is now or start")
	}
	o := parsed.Options
	// Every subscription may hold a connection. A stop waits for what is under way, so that timeouts are short.
	a.options = &redis.UniversalOptions{
		Addrs: parsed.Hosts, MasterName: parsed.Master, IsClusterMode: parsed.Cluster,
		SentinelUsername: parsed.SentinelUsername, SentinelPassword: parsed.SentinelPassword,
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig,
		DialTimeout: cmp.Or(o.DialTimeout, 2*time.Second), ReadTimeout: cmp.Or(o.ReadTimeout, 3*time.Second), WriteTimeout: cmp.Or(o.WriteTimeout, 3*time.Second),
		Protocol: 2, ContextTimeoutEnabled: true, DisableIdentity: true, PoolSize: max(o.PoolSize, 2*a.concurrency+8),
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	return a, nil
}
