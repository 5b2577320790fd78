// Package redisurl reads the addresses of Redis servers, clusters and sentinels. It is one package because a leaderboard and the
// bus are given addresses of the same form.
package redisurl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Address is what an address says.
type Address struct {
	Hosts   []string
	Cluster bool
	// Master is the name that sentinels know the server by; empty without sentinels.
	Master                             string
	SentinelUsername, SentinelPassword string
	// Options are the user, the database, TLS and what else go-redis takes as parameters.
	Options *redis.Options
	// own are the parameters that are the caller's.
	own url.Values
}

// Own is one of the caller's parameters, or what it usually is where the address does not give it.
func (a Address) Own(name, usual string) string {
	if a.own.Has(name) {
		return a.own.Get(name)
	}
	return usual
}

// Parse reads redis://user:password@host:port/database, rediss://… with TLS, redis+cluster://h1,h2 or
// redis+sentinel://h1,h2/master-name/database, with parameters: those of go-redis, sentinel_username, sentinel_password, and the
// caller's own by name. Over TLS each server has to have a certificate for the host by which it is dialled. What its errors say is for people,
// and repeats nothing of the address: whatever is misplaced in it may be a part of a password.
func Parse(text string, own ...string) (Address, error) {
	scheme, rest, found := strings.Cut(text, "://")
	security, kind, _ := strings.Cut(scheme, "+")
	if !found || (security != "redis" && security != "rediss") || (kind != "" && kind != "cluster" && kind != "sentinel") {
		return Address{}, errors.New("an address starts with redis:// or rediss://, or one of these with +cluster or +sentinel")
	}
	user, hosts, path := split(rest)
	if !plain(user, path) {
		return Address{}, errEscape
	}
	port := "6379"
	if kind == "sentinel" {
		port = "26379"
	}
	a := Address{Cluster: kind == "cluster", own: url.Values{}}
	var err error
	if a.Hosts, err = withPorts(hosts, port); err != nil || (kind == "" && len(a.Hosts) != 1) {
		return Address{}, errors.New("after the scheme comes host:port, with commas between several for a cluster or sentinels")
	}
	u, err := url.Parse(security + "://" + user + a.Hosts[0] + path)
	if err != nil {
		return Address{}, errEscape
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Address{}, errEscape
	}
	take := func(name string) string { defer query.Del(name); return query.Get(name) }
	for _, name := range own {
		if query.Has(name) {
			a.own.Set(name, take(name))
		}
	}
	a.SentinelUsername, a.SentinelPassword = take("sentinel_username"), take("sentinel_password")
	if kind == "sentinel" {
		var database string
		if a.Master, database, _ = strings.Cut(strings.Trim(u.Path, "/"), "/"); a.Master == "" {
			return Address{}, errors.New("after the sentinels comes /master-name")
		}
		u.Path = "/" + database
	}
	u.RawQuery = ""
	if _, err = redis.ParseURL(u.String()); err != nil {
		return Address{}, errors.New("after the hosts comes /database, which is a number")
	}
	if err := check(query, own); err != nil {
		return Address{}, err
	}
	u.RawQuery = query.Encode()
	if a.Options, err = redis.ParseURL(u.String()); err != nil {
		return Address{}, errors.New("its parameters do not go together")
	}
	if a.Cluster && a.Options.DB != 0 {
		return Address{}, errors.New("a cluster has no databases")
	}
	if a.Options.TLSConfig != nil {
		a.Options.TLSConfig.ServerName = "" // that of the first host; without one it is that of each host that is dialled
	}
	return a, nil
}

var errEscape = errors.New("in user and password, and in values of parameters, write %2F for /, %23 for #, %3F for ?, %40 for @, %3A for :, %25 for %, " +
	"and all others but letters, digits and - . _ ~ in the same way")

// plain reports whether user (with its @) and what follows the hosts have none of the characters that must be escaped: where one stands, user
// and hosts may be parted at the wrong place, and then a part of a password is taken for a host, a database or a parameter.
func plain(user, path string) bool {
	_, password, _ := strings.Cut(strings.TrimSuffix(user, "@"), ":")
	return !strings.ContainsAny(password, "@:") && !strings.ContainsAny(path, "@#")
}

// check says what is wrong with the parameters that are go-redis's.
func check(query url.Values, own []string) error {
	for name, values := range query {
		_, err := redis.ParseURL("rediss://h?" + url.Values{name: values}.Encode())
		switch {
		case err == nil:
		case strings.Contains(err.Error(), "unexpected option"):
			known := append(slices.Clone(own), "sentinel_username", "sentinel_password")
			return fmt.Errorf("one of its parameters is none: there are %s, and those of go-redis; in a value, write %%26 for &", strings.Join(known, ", "))
		default:
			return fmt.Errorf("its parameter %s is not understood", name)
		}
	}
	return nil
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

// Credentials gives go-redis the user and the password for each new connection as an address has them then. Its errors are those of again, and of
// Parse with the caller's own parameters.
func Credentials(again func() (string, error), own ...string) func(context.Context) (user, password string, err error) {
	return func(context.Context) (string, string, error) {
		text, err := again()
		if err != nil {
			return "", "", err
		}
		a, err := Parse(text, own...)
		if err != nil {
			return "", "", err
		}
		return a.Options.Username, a.Options.Password, nil
	}
}
