package flags

import (
	"fmt"
	"net/url"
)

// Origins are the pages elsewhere that dashboards may be part of.
type Origins struct {
	AllowOrigin []string `help:"Pages of other origins that may show dashboards, as https://shop.example; none by default." env:"LOYALTY_ALLOW_ORIGIN" placeholder:"ORIGIN,…"`
}

// Check refuses what a browser would never send as an origin.
func (f Origins) Check() ([]string, error) {
	for _, origin := range f.AllowOrigin {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return nil, Usage(fmt.Errorf("--allow-origin: %q is no origin: it is a scheme and a host, with a port if it is not the usual one, as https://shop.example", origin))
		}
	}
	return f.AllowOrigin, nil
}
