package redis_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// moment is when a proxy cuts a connection.
type moment int

const (
	beforeCommit moment = iota + 1 // when a request comes, before the server sees any of it
	duringCommit                   // when the server has half of it
	afterCommit                    // when the server has answered, before the client sees any of it
	pause                          // as beforeCommit, but only to let something else happen first
)

// proxy passes connections on to a server, and cuts one at a chosen moment.
type proxy struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	target string
	next   moment
	skip   int // so many such moments come first
	open   map[net.Conn]bool
	// meanwhile is what happens in a pause.
	meanwhile func()
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, open: make(map[net.Conn]bool)}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.lead(target)
		p.running.Wait()
	})
	return p
}

func (p *proxy) url() string { return "redis://" + p.listener.Addr().String() }

// cut has the next request's connection cut, or that of a later one, after so many.
func (p *proxy) cut(when moment, skip int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.skip = when, skip
}

// lead cuts all connections and passes those to come on to another server.
func (p *proxy) lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
	for conn := range p.open {
		_ = conn.Close()
	}
}

// due tells whether the chosen moment is now, and if so that it is past.
func (p *proxy) due(when moment) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != when {
		return false
	}
	p.skip--
	if p.skip >= 0 {
		return false
	}
	p.next = 0
	return true
}

func (p *proxy) note(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.open[conn] = true
	}
}

func (p *proxy) close(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(p.open, conn)
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.note(client, server)
		p.running.Go(func() {
			defer p.close(client, server)
			p.pass(client, server, func(part []byte) []byte {
				switch {
				case p.due(beforeCommit):
					return nil
				case p.due(duringCommit):
					return part[:len(part)/2]
				case p.due(pause):
					p.meanwhile()
				}
				return part
			})
		})
		p.running.Go(func() {
			defer p.close(client, server)
			p.pass(server, client, func(part []byte) []byte {
				if p.due(afterCommit) {
					return nil
				}
				return part
			})
		})
	}
}

// pass passes on what let lets through, and ends when that is not all.
func (p *proxy) pass(from io.Reader, to io.Writer, let func([]byte) []byte) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		part := let(buffer[:n])
		if _, err := to.Write(part); err != nil || len(part) < n {
			return
		}
	}
}
