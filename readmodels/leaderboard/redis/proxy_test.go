package redis_test

import (
	"sync/atomic"
	"testing"

	"loyalty/internal/proxytest"
)

// moment is when a proxy cuts a connection.
type moment int

const (
	beforeCommit moment = iota + 1 // when a request comes, before the server sees any of it
	duringCommit                   // when the server has half of it
	afterCommit                    // when the server has answered, before the client sees any of it
	pause                          // as beforeCommit, but only to let something else happen first
)

// proxy cuts a connection to a server at a chosen moment.
type proxy struct {
	*proxytest.Proxy
	// meanwhile is what happens in a pause.
	meanwhile func()
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	return &proxy{Proxy: proxytest.Start(t, "tcp", target)}
}

func (p *proxy) url() string { return "redis://" + p.Addr() }

// cut has the next request's connection cut, or that of a later one, after so many.
func (p *proxy) cut(when moment, skip int) {
	var seen atomic.Int64
	p.Set(func(part proxytest.Part) proxytest.Verdict {
		switch {
		case len(part.Data) == 0, part.Answer != (when == afterCommit), seen.Add(1) != int64(skip)+1:
			return proxytest.Pass
		case when == duringCommit:
			return proxytest.Halve
		case when == pause:
			p.meanwhile()
			return proxytest.Pass
		}
		return proxytest.Cut
	})
}
