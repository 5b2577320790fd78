package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// front stands before a process, as a load balancer would: it stays when the process is replaced, and keeps what went through it.
type front struct {
	url    string
	target atomic.Pointer[url.URL]
	mu     sync.Mutex
	sent   bytes.Buffer
}

func newFront(t *testing.T, p *process) *front {
	t.Helper()
	f := &front{}
	f.lead(t, p)
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(f.target.Load())
			r.Out.Host = r.In.Host
			// So that what went through can be read.
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(r *http.Response) error {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.TeeReader(r.Body, f), r.Body}
			return nil
		},
		// A process that is away is part of these tests.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// lead has requests go to a process from now on.
func (f *front) lead(t *testing.T, p *process) {
	t.Helper()
	target, err := url.Parse(p.base)
	if err != nil {
		t.Fatal(err)
	}
	f.target.Store(target)
}

// Write keeps what was answered.
func (f *front) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent.Write(b)
}

// said is all that was answered until now.
func (f *front) said() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent.String()
}
