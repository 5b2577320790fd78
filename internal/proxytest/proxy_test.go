package proxytest_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"loyalty/internal/proxytest"
)

// echo is a server that answers each line with itself and counts them.
type echo struct {
	net.Listener
	running sync.WaitGroup
	heard   chan string
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{Listener: listener, heard: make(chan string, 10)}
	e.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e.running.Go(func() {
				defer conn.Close()
				lines := bufio.NewReader(conn)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					e.heard <- line
					_, _ = io.WriteString(conn, line)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		e.running.Wait()
	})
	return e
}

// client is a connection through the proxy.
type client struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func connect(t *testing.T, p *proxytest.Proxy) client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client{t, conn, bufio.NewReader(conn)}
}

func (c client) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c, line); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads a line for as long as bound.
func (c client) hear(bound time.Duration) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(bound))
	return c.lines.ReadString('\n')
}

const long, short = 10 * time.Second, 50 * time.Millisecond

func TestAHealthyProxyPassesEverythingOn(t *testing.T) {
	c := connect(t, proxytest.Start(t, "tcp", startEcho(t).Addr().String()))
	c.say("hello\n")
	if line, err := c.hear(long); line != "hello\n" {
		t.Fatalf("heard %q, %v", line, err)
	}
}

func TestAHungProxyMovesNothingUntilItIsHealthyAgain(t *testing.T) {
	e := startEcho(t)
	p := proxytest.Start(t, "tcp", e.Addr().String())
	c := connect(t, p)
	p.Set(proxytest.Hung)
	c.say("hello\n")
	another := connect(t, p)
	another.say("too\n")
	if line, err := c.hear(short); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v while it hung", line, err)
	}
	if len(e.heard) > 0 {
		t.Fatalf("the server heard %q", <-e.heard)
	}
	p.Set(proxytest.Healthy)
	for _, each := range []client{c, another} {
		if line, err := each.hear(long); err != nil {
			t.Fatalf("heard %q, %v after it hung", line, err)
		}
	}
}

func TestALostAnswerIsToSomethingThatWasCarriedOut(t *testing.T) {
	e := startEcho(t)
	p := proxytest.Start(t, "tcp", e.Addr().String())
	p.Set(proxytest.LosingAnswers)
	c := connect(t, p)
	c.say("hello\n")
	if heard := <-e.heard; heard != "hello\n" {
		t.Fatalf("the server heard %q", heard)
	}
	if line, err := c.hear(short); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v", line, err)
	}
	p.Set(proxytest.Healthy)
	if line, err := c.hear(long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v: a connection that lost something must not go on", line, err)
	}
}

func TestAConnectionIsCutInTheMiddle(t *testing.T) {
	for name, rule := range map[string]proxytest.Rule{"of an answer": proxytest.CuttingAnswers, "of a request": proxytest.CuttingRequests} {
		t.Run(name, func(t *testing.T) {
			p := proxytest.Start(t, "tcp", startEcho(t).Addr().String())
			p.Set(rule)
			c := connect(t, p)
			c.say("hello\n")
			line, err := c.hear(long)
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix("hello", line) {
				t.Fatalf("heard %q, %v", line, err)
			}
		})
	}
}

func TestARefusingProxyClosesConnections(t *testing.T) {
	p := proxytest.Start(t, "tcp", startEcho(t).Addr().String())
	p.Set(proxytest.Refusing)
	if line, err := connect(t, p).hear(long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v", line, err)
	}
}

func TestADelayHoldsInEachDirection(t *testing.T) {
	p := proxytest.Start(t, "tcp", startEcho(t).Addr().String())
	c := connect(t, p)
	p.Delay(short)
	began := time.Now()
	c.say("hello\n")
	if line, err := c.hear(long); err != nil || time.Since(began) < 2*short {
		t.Fatalf("heard %q, %v after %s", line, err, time.Since(began))
	}
}

func TestClosedConnectionsAreNotCounted(t *testing.T) {
	p := proxytest.Start(t, "tcp", startEcho(t).Addr().String())
	c := connect(t, p)
	c.say("hello\n")
	if _, err := c.hear(long); err != nil || p.Open() != 1 {
		t.Fatalf("%d open, %v", p.Open(), err)
	}
	p.CutAll()
	if _, err := c.hear(long); err == nil {
		t.Fatal("it goes on")
	}
	for deadline := time.Now().Add(long); p.Open() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d open", p.Open())
		}
	}
}
