package eventstore

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"loyalty/domain"
)

func TestAWrongAddressIsToldWhatIsWrongWithIt(t *testing.T) {
	noCertificate := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(noCertificate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, says := range map[string]string{
		"":                                     "esdb://",
		"h:2113":                               "esdb://",
		"http://h:2113":                        "esdb://",
		"esdb+srv://h:2113":                    "esdb://",
		"esdb://":                              "user:password@host:port",
		"esdb://h:x":                           "user:password@host:port",
		"esdb://h:2113?tlsCaFile=/no/such.pem": "tlsCaFile: open /no/such.pem",
		"esdb://h:2113?tlsCaFile=" + noCertificate: "tlsCaFile",
		"esdb://h:2113?nodePreference=leadr":       "nodePreference",
		"esdb://h:2113?keepAliveInterval=x":        "keepAliveInterval",
		"esdb://h:2113?tls=maybe":                  "tls",
		"esdb://h:2113?tls=true&tls=false":         "tls is there twice",
		"esdb://h:2113?tlsCAfil=x":                 "tlsCAfil is unknown",
		"esdb://h:2113?userCertFile=x":             "userKeyFile",
		"esdb://h:2113?a=%zz":                      "list of parameters",
		"esdb://user:pass/zebra@h:2113":            "%2F",
		"esdb://user:1234#zebra@h:2113":            "%23",
		"esdb://user:1234?zebra@h:2113":            "%3F",
		"esdb://user:p@ss?zebra@h:2113":            "%3F",
		"esdb://user:ze:zebra%zz@h:2113":           "user:password@host:port",
	} {
		_, err := parseConnectionString(address)
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "zebra") {
			t.Errorf("%s: %v; want %q in it", address, err, says)
		}
	}
}

// Given an address in any of the names that the product has had
// Then it is read alike.
func TestTheAddressOfAKurrentDBIsThatOfAnEventStoreDB(t *testing.T) {
	for _, name := range []string{"esdb", "kurrentdb", "kdb"} {
		config, err := parseConnectionString(name + "://app:secret@h:2114?tls=false&nodePreference=follower")
		if err != nil || config.Address != "h:2114" || config.Username != "app" || config.Password != "secret" || !config.DisableTLS || config.DnsDiscover {
			t.Errorf("%s: %+v, %v", name, config, err)
		}
		config, err = parseConnectionString(name + "+discover://cluster.example")
		if err != nil || config.Address != "cluster.example:2113" || !config.DnsDiscover {
			t.Errorf("%s+discover: %+v, %v", name, config, err)
		}
		config, err = parseConnectionString(name + "://a:1,b:2,c:3/?tls=true")
		if err != nil || len(config.GossipSeeds) != 3 || config.GossipSeeds[2].Host != "c" {
			t.Errorf("%s with three nodes: %+v, %v", name, config, err)
		}
	}
}

func TestAnyPasswordCanBeWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.String().Draw(t, "password")
		hosts := rapid.SampledFrom([]string{"h:2113", "a:1,b:2"}).Draw(t, "hosts")
		config, err := parseConnectionString("esdb://app:" + url.QueryEscape(password) + "@" + hosts)
		if err == nil && strings.ContainsRune(password, ' ') {
			return // QueryEscape writes + for it, which is a plus before the @
		}
		if err != nil || config.Password != password {
			t.Errorf("%q became %+v, %v", password, config, err)
		}
	})
}

// No part of an address before the last @ is repeated: any of it may be the password.
func FuzzAWrongAddressIsNotRepeated(f *testing.F) {
	f.Add("secret/word")
	f.Add("secret#word?x@y")
	f.Add("%zz")
	f.Fuzz(func(t *testing.T, password string) {
		_, err := parseConnectionString("esdb://app:" + password + "@h:2113")
		if err != nil && len(password) > 3 && strings.Contains(err.Error(), password) {
			t.Errorf("%q is in %v", password, err)
		}
	})
}
