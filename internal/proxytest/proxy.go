// Package proxytest has a proxy for tests that stands before a server, and fails as networks and servers do: it hangs, delays, cuts connections
// in the middle, and loses answers.
package proxytest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy passes connections on to a server. It is safe for concurrent use.
type Proxy struct {
	listener        net.Listener
	network, target string
	running         sync.WaitGroup
	closed          chan struct{}

	mu      sync.Mutex
	rule    Rule
	delay   time.Duration
	changed chan struct{} // closed when rule or delay is replaced
	links   map[*link]bool
	opened  int
}

// Part is what came over a connection in one read: a request, or an answer of the server. One without data is a connection that is opened.
type Part struct {
	Connection int // that it came over: they are counted from 1 in the order in which they are opened
	Answer     bool
	Data       []byte
}

// Verdict is what becomes of a part.
type Verdict int

const (
	Pass  Verdict = iota
	Hold          // it is passed on once the rule allows it, as after a server or a network was hung
	Lose          // it is dropped, and the connection is cut at the next change of the rule
	Cut           // it is dropped, and the connection is cut
	Halve         // the first half is passed on, then the connection is cut
)

// Rule decides about each part; many goroutines call it at once.
type Rule func(Part) Verdict

// The usual rules.
var (
	// Healthy passes everything on.
	Healthy Rule = func(Part) Verdict { return Pass }
	// Hung accepts connections and moves nothing.
	Hung Rule = func(Part) Verdict { return Hold }
	// LosingAnswers has requests carried out, and nobody learns of it.
	LosingAnswers Rule = func(p Part) Verdict {
		if p.Answer {
			return Lose
		}
		return Pass
	}
	// CuttingAnswers ends each connection in the middle of the first answer.
	CuttingAnswers Rule = func(p Part) Verdict {
		if p.Answer {
			return Halve
		}
		return Pass
	}
	// CuttingRequests ends each connection in the middle of the first request.
	CuttingRequests Rule = func(p Part) Verdict {
		if len(p.Data) > 0 && !p.Answer {
			return Halve
		}
		return Pass
	}
	// Refusing closes connections as soon as they are opened or used.
	Refusing Rule = func(Part) Verdict { return Cut }
)

// Start puts a healthy proxy before the server at an address of a network, as in net.Dial, until the test ends. The proxy listens on a free port of
// this machine.
func Start(t testing.TB, network, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		listener: listener, network: network, target: target, closed: make(chan struct{}),
		rule: Healthy, changed: make(chan struct{}), links: map[*link]bool{},
	}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		close(p.closed)
		_ = listener.Close()
		p.CutAll()
		p.running.Wait()
	})
	return p
}

// Addr is where the proxy listens, as host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set replaces the rule. It holds at once, for open connections and for parts that are held, too.
func (p *Proxy) Set(rule Rule) { p.change(func() { p.rule = rule }) }

// Delay has every part wait before it is judged, in each direction.
func (p *Proxy) Delay(d time.Duration) { p.change(func() { p.delay = d }) }

// Lead cuts all connections and passes those to come on to another server.
func (p *Proxy) Lead(network, target string) {
	p.mu.Lock()
	p.network, p.target = network, target
	p.mu.Unlock()
	p.CutAll()
}

// CutAll cuts all open connections.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

// Open is the number of open connections.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Opened is the number of connections that were ever opened.
func (p *Proxy) Opened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened
}

func (p *Proxy) change(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
	for l := range p.links {
		if l.lost {
			l.close()
		}
	}
}

// link is a connection of a client and the one that leads on to the server.
type link struct {
	client, server net.Conn
	gone           chan struct{} // closed when either end is closed by the proxy
	once           sync.Once
	lost           bool // a part of it was lost; guarded by Proxy.mu
}

func (l *link) close() {
	l.once.Do(func() { close(l.gone) })
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(&link{client: client, gone: make(chan struct{})}) })
	}
}

func (p *Proxy) serve(l *link) {
	p.mu.Lock()
	p.links[l] = true
	p.opened++
	number := p.opened
	p.mu.Unlock()
	defer func() {
		l.close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()
	if p.judge(l, Part{Connection: number}) != Pass {
		return
	}
	p.mu.Lock()
	network, target := p.network, p.target
	p.mu.Unlock()
	server, err := net.Dial(network, target)
	if err != nil {
		return
	}
	p.mu.Lock()
	l.server = server
	p.mu.Unlock()
	select {
	case <-l.gone: // cut before it knew of the server
		return
	default:
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, l.client, server, Part{Connection: number}) })
	both.Go(func() { p.pump(l, server, l.client, Part{Connection: number, Answer: true}) })
	both.Wait()
}

// pump passes parts on in one direction until the connection ends.
func (p *Proxy) pump(l *link, from, to net.Conn, part Part) {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			part.Data = buffer[:n]
			switch p.judge(l, part) {
			case Cut:
				return
			case Halve:
				_, _ = to.Write(part.Data[:n/2])
				return
			case Lose:
				continue
			}
			if _, err := to.Write(part.Data); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// judge waits for as long as the part is delayed or held, and never answers Hold. A connection that was cut meanwhile is Cut.
func (p *Proxy) judge(l *link, part Part) Verdict {
	waited := false
	for {
		p.mu.Lock()
		rule, delay, changed := p.rule, p.delay, p.changed
		p.mu.Unlock()
		if delay > 0 && !waited {
			timer := time.NewTimer(delay)
			select {
			case <-timer.C:
			case <-changed:
			case <-l.gone:
			case <-p.closed:
			}
			timer.Stop()
			waited = true
			continue
		}
		verdict := rule(part)
		switch verdict {
		case Hold:
			select {
			case <-changed:
				continue
			case <-l.gone:
			case <-p.closed:
			}
			return Cut
		case Lose:
			p.mu.Lock()
			l.lost = true
			p.mu.Unlock()
			if len(part.Data) == 0 {
				return Cut
			}
		}
		return verdict
	}
}
