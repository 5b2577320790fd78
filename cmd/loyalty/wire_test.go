package main

import (
	"net/url"
	"path/filepath"
	"strings"

	"loyalty/internal/proxytest"
)

// wired has a setting's address lead through a proxy, with a password unless that is empty.
func (s *site) wired(setting, password string) *proxytest.Proxy {
	s.t.Helper()
	for i, each := range s.settings {
		name, value, _ := strings.Cut(each, "=")
		if name != setting {
			continue
		}
		address, err := url.Parse(value)
		if err != nil {
			s.t.Fatal(err)
		}
		network, target := "tcp", address.Host
		if query := address.Query(); query.Has("host") {
			network, target = "unix", filepath.Join(query.Get("host"), ".s.PGSQL.5432")
			query.Del("host")
			address.RawQuery = query.Encode()
		}
		proxy := proxytest.Start(s.t, network, target)
		address.Host = proxy.Addr()
		if password != "" {
			address.User = url.UserPassword(address.User.Username(), password)
		}
		s.settings[i] = name + "=" + address.String()
		return proxy
	}
	s.t.Fatalf("there is no setting %s", setting)
	return nil
}

// fallSilent ends a proxy's connections and has nothing pass on those that come, as when the machine behind it is gone.
func fallSilent(p *proxytest.Proxy) {
	p.Set(proxytest.Hung)
	p.CutAll()
}
