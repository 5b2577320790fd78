package eventstore

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/domain"
)

// parameters are those that the official client knows, in lower case as it compares them. It passes over any other with a word on the console.
var parameters = map[string]bool{
	"defaultdeadline": true, "discoveryinterval": true, "gossiptimeout": true, "keepaliveinterval": true, "keepalivetimeout": true,
	"maxdiscoverattempts": true, "nodepreference": true, "tls": true, "tlscafile": true, "tlsverifycert": true, "usercertfile": true, "userkeyfile": true,
}

// parseConnectionString accepts what the official client accepts, the names that the product has had since, and unix:///path for a Unix socket. What
// is wrong is domain.ErrInvalid. It never repeats what may be a part of a password.
func parseConnectionString(text string) (*esdb.Configuration, error) {
	if strings.HasPrefix(text, "unix:") {
		return &esdb.Configuration{
			Address: text, DisableTLS: true, NodePreference: esdb.NodePreferenceLeader, MaxDiscoverAttempts: 1, GossipTimeout: 5,
			KeepAliveInterval: 10 * time.Second, KeepAliveTimeout: 10 * time.Second,
		}, nil
	}
	scheme, rest, _ := strings.Cut(text, "://")
	name, discover := strings.CutSuffix(scheme, "+discover")
	switch name {
	case "esdb", "kurrentdb", "kdb":
	default:
		return nil, malformed("it begins with esdb:// or kurrentdb://, either with +discover before the colon, or is unix:///path")
	}
	scheme = "esdb"
	if discover {
		scheme = "esdb+discover"
	}
	where := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		where = rest[:i]
	}
	if strings.Contains(rest[len(where):], "@") {
		return nil, malformed("in a password / is written %2F, ? is %3F, # is %23, and @ in a parameter is %40")
	}
	address, query, _ := strings.Cut(rest, "?")
	settings, err := url.ParseQuery(query)
	if err != nil {
		return nil, malformed("what follows the ? is no list of parameters such as tls=true&tlsCaFile=ca.pem")
	}
	for key, values := range settings {
		if !parameters[strings.ToLower(key)] {
			return nil, malformed(fmt.Sprintf("the parameter %s is unknown", key))
		}
		if len(values) > 1 {
			return nil, malformed(fmt.Sprintf("the parameter %s is there twice", key))
		}
		if _, err := esdb.ParseConnectionString("esdb://localhost?" + url.Values{key: values}.Encode()); err != nil {
			return nil, malformed(fmt.Sprintf("the parameter %s: %v", key, err))
		}
	}
	if _, err := esdb.ParseConnectionString(scheme + "://" + address); err != nil {
		return nil, malformed("after :// comes user:password@host:port, with commas between several hosts; in a password @ is written %40, : is %3A and a comma %2C")
	}
	config, err := esdb.ParseConnectionString(scheme + "://" + address + "?" + settings.Encode())
	if err == nil {
		err = config.Validate()
	}
	if err != nil {
		return nil, malformed(err.Error())
	}
	return config, nil
}

func malformed(what string) error {
	return domain.Invalid("eventstore", "connection_string_malformed", what)
}
