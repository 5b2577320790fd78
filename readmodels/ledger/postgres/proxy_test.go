package postgres

import (
	"bytes"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"

	"loyalty/internal/proxytest"
)

// proxy stands between a ledger and its server and cuts a connection at the moment it is told.
type proxy struct {
	*proxytest.Proxy
	next atomic.Bool // a cut is still to come
}

// cut is when to cut, once: as soon as the client sends something that contains a text, before the server gets it or, where
// answered is set, after the server has answered it and before the client learns of that.
type cut struct {
	text     string
	answered bool
}

// proxied is a proxy before the server at address, and the address that leads through it.
func proxied(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	there, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	network, server := "tcp", there.Host
	if folder := there.Query().Get("host"); folder != "" {
		network, server = "unix", filepath.Join(folder, ".s.PGSQL.5432")
	}
	p := &proxy{Proxy: proxytest.Start(t, network, server)}
	through := url.URL{Scheme: "postgres", User: there.User, Host: p.Addr(), Path: there.Path, RawQuery: "sslmode=disable"}
	return p, through.String()
}

func (p *proxy) cutNext(c cut) {
	p.next.Store(true)
	var muted atomic.Int64 // the connection whose next answer is cut
	p.Set(func(part proxytest.Part) proxytest.Verdict {
		switch {
		case part.Answer && muted.Load() == int64(part.Connection):
			return proxytest.Cut
		case part.Answer, !bytes.Contains(part.Data, []byte(c.text)), !p.next.CompareAndSwap(true, false):
			return proxytest.Pass
		case c.answered:
			muted.Store(int64(part.Connection))
			return proxytest.Pass
		}
		return proxytest.Cut
	})
}

// waiting tells whether a cut is still to come.
func (p *proxy) waiting() bool { return p.next.Load() }
