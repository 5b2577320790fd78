package admission

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"loyalty/internal/problem"
)

// Addresses limit how many requests per second are made by callers whom only their network address tells apart: so many in all, and half as
// many by one address. Behind a proxy all come from its address, so that half of the rate must do for everybody. They may be used from many
// goroutines at once.
type Addresses struct {
	all *rate.Limiter
	one *Rates
}

const anAddress = "address"

func newAddresses(perSecond float64) *Addresses {
	return &Addresses{all: newBucket(perSecond), one: NewRates(map[string]float64{anAddress: perSecond / 2})}
}

// Take counts a request from an address and port, as http.Request.RemoteAddr has them. Where it may not be made now, it is problem.ErrRateLimited if the address makes too
// many, and problem.ErrOverloaded if all together do; a domain.LaterError either way.
func (a *Addresses) Take(from string, clock func() time.Time) error {
	now := clock()
	if err := take(a.one.bucket(client{anAddress, network(from)}), now, problem.ErrRateLimited); err != nil {
		return err
	}
	return take(a.all, now, problem.ErrOverloaded)
}

// network is whose an address is: of IPv6, one client has as many as there are in a network of 64 bits.
func network(from string) string {
	at, err := netip.ParseAddrPort(from)
	if err != nil {
		return from
	}
	address := at.Addr().Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	return netip.PrefixFrom(address, 64).Masked().String()
}
