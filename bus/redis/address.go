// Package redis carries the bus on Redis Streams, through Watermill: the publisher and subscriber, what keeps the streams
// from growing, and what deals with the poison topic.
package redis

import (
	"errors"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"loyalty/bus"
	"loyalty/domain"
)

// address is what a connection string says.
type address struct {
	options *redis.UniversalOptions
	prefix  string
	topics  bus.Topics
	// concurrency is how many commands are worked on at once.
	concurrency int
	// keep is about how many results, and how many events, their streams hold.
	keep int64
	// claimAfter is for how long a dead consumer must have held a command before another takes it, and for how long one that
	// says nothing is held to live.
	claimAfter time.Duration
	// fromStart publishes the whole history the first time events are published.
	fromStart bool
}

// The defaults of the parameters.
const (
	defaultPrefix      = "loyalty."
	defaultConcurrency = 16
	defaultKeep        = 1_000_000
	defaultClaimAfter  = 10 * time.Second
)

var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_.:{}-]{1,64}$`)

// parseAddress never repeats the address in an error, as it may hold a password.
func parseAddress(text string) (address, error) {
	malformed := func(detail string) (address, error) {
		return address{}, domain.Invalid("bus", "address_malformed", detail)
	}
	scheme, rest, found := strings.Cut(text, "://")
	security, kind, _ := strings.Cut(scheme, "+")
	if !found || (security != "redis" && security != "rediss") || (kind != "" && kind != "cluster" && kind != "sentinel") {
		return malformed("an address starts with redis:// or rediss://, or one of these with +cluster or +sentinel")
	}
	user, hosts, path := split(rest)
	addrs, err := withPorts(hosts, map[bool]string{true: "26379", false: "6379"}[kind == "sentinel"])
	if err != nil || (kind == "" && len(addrs) != 1) {
		return malformed("after the scheme comes host:port, with commas between several for a cluster or sentinels")
	}
	u, err := url.Parse(security + "://" + user + addrs[0] + path)
	if err != nil {
		return malformed("it can't be read")
	}
	a := address{concurrency: defaultConcurrency, keep: defaultKeep, claimAfter: defaultClaimAfter}
	query := u.Query()
	take := func(name, usual string) string {
		defer query.Del(name)
		if query.Has(name) {
			return query.Get(name)
		}
		return usual
	}
	prefix := take("prefix", defaultPrefix)
	if !prefixForm.MatchString(prefix) {
		return malformed("prefix is 1 to 64 letters, digits, or _ . : { } -")
	}
	a.prefix, a.topics = prefix, bus.TopicsUnder(prefix)
	if a.concurrency, err = strconv.Atoi(take("concurrency", strconv.Itoa(defaultConcurrency))); err != nil || a.concurrency < 1 || a.concurrency > 1000 {
		return malformed("concurrency is a number from 1 to 1000")
	}
	if a.keep, err = strconv.ParseInt(take("keep", strconv.Itoa(defaultKeep)), 10, 64); err != nil || a.keep < 1 {
		return malformed("keep is a number of results and events, at least 1")
	}
	if a.claimAfter, err = time.ParseDuration(take("claim_after", defaultClaimAfter.String())); err != nil || a.claimAfter < 100*time.Millisecond {
		return malformed("claim_after is a duration such as 30s, at least 100ms")
	}
	switch take("from", "now") {
	case "start":
		a.fromStart = true
	case "now":
	default:
		return malformed("from is now or start")
	}
	sentinelUser, sentinelPassword := take("sentinel_username", ""), take("sentinel_password", "")
	var master string
	if kind == "sentinel" {
		var database string
		if master, database, _ = strings.Cut(strings.Trim(u.Path, "/"), "/"); master == "" {
			return malformed("after the sentinels comes /master-name")
		}
		u.Path = "/" + database
	}
	u.RawQuery = query.Encode()
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return malformed("database or parameters are not understood")
	}
	if kind == "cluster" && o.DB != 0 {
		return malformed("a cluster has no databases")
	}
	// Every subscription may hold a connection.
	a.options = &redis.UniversalOptions{
		Addrs: addrs, MasterName: master, SentinelUsername: sentinelUser, SentinelPassword: sentinelPassword, IsClusterMode: kind == "cluster",
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		Protocol: 2, ContextTimeoutEnabled: true, DisableIdentity: true, PoolSize: max(o.PoolSize, 2*a.concurrency+8),
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	return a, nil
}

// split parts what follows the scheme into user (with its @), hosts, and the rest.
func split(rest string) (user, hosts, path string) {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		return rest[:i+1], rest[i+1:], path
	}
	return "", rest, path
}

var errNoHost = errors.New("a host is missing")

func withPorts(hosts, port string) ([]string, error) {
	addrs := strings.Split(hosts, ",")
	for i, addr := range addrs {
		if !strings.Contains(addr[strings.LastIndex(addr, "]")+1:], ":") {
			addr += ":" + port
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil || host == "" || port == "" {
			return nil, errors.Join(err, errNoHost)
		}
		addrs[i] = net.JoinHostPort(host, port)
	}
	return addrs, nil
}
