package queries

import (
	"context"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Found is the result of a search.
type Found struct {
	ledger.Found
	// ProxyName is the proxy name that was searched for, in its canonical spelling; empty if the text is not a proxy name.
	ProxyName string
	// Customers is how many customers have the proxy name. Who they are is told only by a reveal, which is recorded.
	Customers int
}

// Search looks for whatever has exactly this id, as ledger.Finder does, and for how many customers have this proxy name. Proxies are
// needed only where the text is a proxy name. It returns domain.ErrUnavailable when the ledger can't be reached.
func Search(ctx context.Context, l ledger.Finder, proxies domain.Proxies, text string) (found Found, err error) {
	if found.Found, err = l.Search(ctx, text); err != nil {
		return found, err
	}
	name, is := domain.ParseProxyName(text)
	if !is {
		return found, nil
	}
	named, err := ledger.Named(ctx, l, proxies, name)
	found.ProxyName, found.Customers = name, len(named)
	return found, err
}
