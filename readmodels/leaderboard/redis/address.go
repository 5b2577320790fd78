package redis

import (
	"errors"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"loyalty/domain"
)

// address is what an address says, in one of the forms that Open names.
type address struct {
	options redis.UniversalOptions
	board   string
}

// DefaultBoard is the board of an address that doesn't name one.
const DefaultBoard = "main"

var boardName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// parseAddress never repeats the address in an error, as it may hold a password.
func parseAddress(text string) (address, error) {
	malformed := func(detail string) (address, error) {
		return address{}, domain.Invalid("leaderboard", "address_malformed", detail)
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
		var cause *url.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return malformed("it can't be read: " + strings.ReplaceAll(err.Error(), user, ""))
	}
	query := u.Query()
	take := func(name string) string {
		value := query.Get(name)
		query.Del(name)
		return value
	}
	a := address{board: take("board")}
	if a.board == "" {
		a.board = DefaultBoard
	}
	if !boardName.MatchString(a.board) {
		return malformed("board is 1 to 64 letters, digits, or _ . -")
	}
	a.options.SentinelUsername, a.options.SentinelPassword = take("sentinel_username"), take("sentinel_password")
	if kind == "sentinel" {
		var database string
		a.options.MasterName, database, _ = strings.Cut(strings.Trim(u.Path, "/"), "/")
		if a.options.MasterName == "" {
			return malformed("after the sentinels comes /master-name")
		}
		u.Path = "/" + database
	}
	u.RawQuery = query.Encode()
	parsed, err := redis.ParseURL(u.String())
	if err != nil {
		return malformed("database or parameters are not understood: " + err.Error())
	}
	if kind == "cluster" && parsed.DB != 0 {
		return malformed("a cluster has no databases")
	}
	a.options.Addrs, a.options.IsClusterMode = addrs, kind == "cluster"
	a.configure(parsed)
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

var errNoHost = errors.New("a host is missing")

// configure takes over what the parameters say. Nothing is tried twice by the client itself: a script that was cut off may
// have run. Failing is quick, so that a reader who waits two seconds learns why.
func (a *address) configure(o *redis.Options) {
	or := func(asked, usual time.Duration) time.Duration {
		if asked != 0 {
			return asked
		}
		return usual
	}
	to := &a.options
	to.Username, to.Password, to.DB, to.TLSConfig, to.ClientName = o.Username, o.Password, o.DB, o.TLSConfig, o.ClientName
	to.DialTimeout, to.ReadTimeout, to.WriteTimeout = or(o.DialTimeout, 2*time.Second), or(o.ReadTimeout, 3*time.Second), or(o.WriteTimeout, 3*time.Second)
	to.PoolSize, to.PoolTimeout, to.PoolFIFO = o.PoolSize, o.PoolTimeout, o.PoolFIFO
	to.MinIdleConns, to.MaxIdleConns, to.MaxActiveConns = o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns
	to.ConnMaxIdleTime, to.ConnMaxLifetime, to.ConnMaxLifetimeJitter = o.ConnMaxIdleTime, o.ConnMaxLifetime, o.ConnMaxLifetimeJitter
	to.Protocol, to.ContextTimeoutEnabled, to.DisableIdentity = 2, true, true
	to.MaxRetries, to.DialerRetries = -1, 1
	to.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
