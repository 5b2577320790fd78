package postgres

import (
	"bytes"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
)

// proxy stands between a ledger and its server and cuts a connection at the moment it is told.
type proxy struct {
	listener        net.Listener
	network, server string

	mu   sync.Mutex
	next *cut
	open map[net.Conn]bool
	all  sync.WaitGroup
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, network: "tcp", server: there.Host, open: map[net.Conn]bool{}}
	if folder := there.Query().Get("host"); folder != "" {
		p.network, p.server = "unix", filepath.Join(folder, ".s.PGSQL.5432")
	}
	p.all.Go(p.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		p.cutAll()
		p.all.Wait()
	})
	through := url.URL{Scheme: "postgres", User: there.User, Host: listener.Addr().String(), Path: there.Path, RawQuery: "sslmode=disable"}
	return p, through.String()
}

func (p *proxy) cutNext(c cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = &c
}

// waiting tells whether a cut is still to come.
func (p *proxy) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next != nil
}

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(p.network, p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = true, true
		p.mu.Unlock()
		// mute keeps the server's next answer from the client, and cuts.
		mute := make(chan struct{})
		var pair sync.WaitGroup
		pair.Go(func() { p.forward(server, client, mute) })
		pair.Go(func() { p.answer(client, server, mute) })
		p.all.Go(func() {
			pair.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.open, client)
			delete(p.open, server)
		})
	}
}

func (p *proxy) forward(server, client net.Conn, mute chan<- struct{}) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			_ = server.Close()
			return
		}
		switch now, answered := p.due(buffer[:n]); {
		case now && !answered:
			_ = client.Close()
			_ = server.Close()
			return
		case now:
			close(mute)
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			_ = client.Close()
			return
		}
	}
}

func (p *proxy) answer(client, server net.Conn, mute <-chan struct{}) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := server.Read(buffer)
		select {
		case <-mute:
			err = net.ErrClosed
		default:
		}
		if err != nil {
			_ = client.Close()
			_ = server.Close()
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			_ = server.Close()
			return
		}
	}
}

func (p *proxy) due(sent []byte) (now, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil || !bytes.Contains(sent, []byte(p.next.text)) {
		return false, false
	}
	answered = p.next.answered
	p.next = nil
	return true, answered
}
