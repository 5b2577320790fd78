package main

import (
	"fmt"
	"net"
	"net/url"
)

// originFlags are the pages elsewhere that dashboards may be part of.
type originFlags struct {
	AllowOrigin []string `help:"Pages of other origins that may show dashboards, as https://shop.example; none by default." env:"LOYALTY_ALLOW_ORIGIN" placeholder:"ORIGIN,…"`
}

// origins refuses what a browser would never send as an origin.
func (f originFlags) origins() ([]string, error) {
	for _, origin := range f.AllowOrigin {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return nil, usageError{fmt.Errorf("--allow-origin: %q is no origin: it is a scheme and a host, with a port if it is not the usual one, as https://shop.example", origin)}
		}
	}
	return f.AllowOrigin, nil
}

// isLoopback tells whether only this machine reaches an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
