package main

import (
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// wire leads to a server, until it is cut in such a way that neither end is told: connections still come about, and nothing passes.
type wire struct {
	listener        net.Listener
	network, server string
	running         sync.WaitGroup

	mu     sync.Mutex
	ends   []net.Conn
	passes chan struct{} // closed while the wire is whole
	delay  time.Duration // of each piece in each direction
}

// wired has a setting's address lead through a wire, with a password unless that is empty.
func (s *site) wired(setting, password string) *wire {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	w := &wire{listener: listener, network: "tcp", passes: make(chan struct{})}
	close(w.passes)
	for i, each := range s.settings {
		name, value, _ := strings.Cut(each, "=")
		address, err := url.Parse(value)
		if name != setting || err != nil {
			continue
		}
		w.server = address.Host
		if query := address.Query(); query.Has("host") {
			w.network, w.server = "unix", filepath.Join(query.Get("host"), ".s.PGSQL.5432")
			query.Del("host")
			address.RawQuery = query.Encode()
		}
		address.Host = listener.Addr().String()
		if password != "" {
			address.User = url.UserPassword(address.User.Username(), password)
		}
		s.settings[i] = name + "=" + address.String()
	}
	w.running.Go(w.accept)
	s.t.Cleanup(func() {
		_ = listener.Close()
		w.mend()
		w.hangUp()
		w.running.Wait()
	})
	return w
}

func (w *wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(w.network, w.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		w.ends = append(w.ends, client, server)
		w.mu.Unlock()
		w.running.Go(func() { w.pass(client, server) })
		w.running.Go(func() { w.pass(server, client) })
	}
}

// pass takes what comes from one end to the other, while the wire is whole.
func (w *wire) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	for buffer := make([]byte, 32<<10); ; {
		n, err := from.Read(buffer)
		w.mu.Lock()
		passes, delay := w.passes, w.delay
		w.mu.Unlock()
		<-passes
		if delay > 0 {
			<-time.After(delay)
		}
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

// slow has everything take so much longer in each direction, as over a long way.
func (w *wire) slow(delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = delay
}

// cut ends all connections, and has nothing pass on those that come.
func (w *wire) cut() {
	w.mu.Lock()
	w.passes = make(chan struct{})
	w.mu.Unlock()
	w.hangUp()
}

// mend has pass what has waited, and all that comes.
func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.passes:
	default:
		close(w.passes)
	}
}

func (w *wire) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, end := range w.ends {
		_ = end.Close()
	}
	w.ends = nil
}
