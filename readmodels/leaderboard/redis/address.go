package redis

import (
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"loyalty/domain"
	"loyalty/internal/redisurl"
)

// address is a parsed address, in one of the forms that Open documents.
type address struct {
	options redis.UniversalOptions
	board   string
}

// ownParameters are those of an address that are not go-redis's.
var ownParameters = []string{"board"}

// DefaultBoard is the name of the board if an address doesn't name one.
const DefaultBoard = "main"

var boardName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// parseAddress reads an address. Its errors don't repeat it, because it may hold a password.
func parseAddress(text string) (address, error) {
	parsed, err := redisurl.Parse(text, ownParameters...)
	if err != nil {
		return address{}, domain.Invalid("leaderboard", "address_malformed", err.Error())
	}
	a := address{board: parsed.Own("board", DefaultBoard)}
	if !boardName.MatchString(a.board) {
		return address{}, domain.Invalid("leaderboard", "address_malformed", "board is 1 to 64 letters, digits, or _ . -")
	}
	a.options.Addrs, a.options.IsClusterMode, a.options.MasterName = parsed.Hosts, parsed.Cluster, parsed.Master
	a.options.SentinelUsername, a.options.SentinelPassword = parsed.SentinelUsername, parsed.SentinelPassword
	a.configure(parsed.Options)
	return a, nil
}

// configure applies the address's parameters. The client itself never retries: a script whose connection was lost may have run. Timeouts
// are short, so that a reader who waits two seconds learns the reason.
func (a *address) configure(o *redis.Options) {
	or := func(given, standard time.Duration) time.Duration {
		if given != 0 {
			return given
		}
		return standard
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
