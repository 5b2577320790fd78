// Package redistest starts throwaway Redis servers for tests: a single one, a cluster of three masters, or a master with a replica under
// Sentinel, the last two also over TLS with a certificate for each server. Each has a temporary folder and free loopback ports, runs as an unprivileged user if the tests run as root, and ends with its
// test, or with the test process if that is killed.
package redistest

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Environment is the name of the environment variable with the redis:// address of a server for tests.
const Environment = "LOYALTY_TEST_REDIS"

// timeout bounds every wait for a server.
const timeout = 30 * time.Second

// URL is the address of a server for ordinary tests: that of LOYALTY_TEST_REDIS, or a throwaway one. The former is shared, so that tests must
// use keys of their own and not flush it.
func URL(t testing.TB) string {
	t.Helper()
	if url := os.Getenv(Environment); url != "" {
		return url
	}
	return Start(t).URL()
}

// Server is one redis-server. It is not safe for concurrent use.
type Server struct {
	t         testing.TB
	dir, addr string
	args      []string
	tls       *tls.Config // nil without TLS
	process   *process    // nil while stopped
}

// place is where a server listens, and how.
type place struct {
	host string
	tls  bool
}

var here = place{host: "127.0.0.1"}

// Start starts a server with an append-only file, so that it has its data again after Stop and Start. config is pairs of names and values.
func Start(t testing.TB, config ...string) *Server {
	t.Helper()
	return startAt(t, here, config...)
}

func startAt(t testing.TB, at place, config ...string) *Server {
	t.Helper()
	// Another process may take the port before the server does. Then another port is used.
	for {
		s := newServer(t, at, append([]string{"appendonly", "yes"}, config...))
		if s.start() {
			return s
		}
	}
}

func newServer(t testing.TB, at place, config []string) *Server {
	t.Helper()
	s := &Server{t: t, dir: folder(t), addr: freeAddress(t, at.host)}
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	ports := []string{"port", port}
	if at.tls {
		ports = s.secure(at.host, port)
	}
	for i, word := range slices.Concat(ports, []string{"bind", at.host, "dir", s.dir, "save", "", "logfile", "log"}, config) {
		if i%2 == 0 {
			word = "--" + word
		}
		s.args = append(s.args, word)
	}
	t.Cleanup(s.Stop)
	return s
}

// Addr is host and port.
func (s *Server) Addr() string { return s.addr }

// URL is the address with its scheme.
func (s *Server) URL() string {
	if s.tls != nil {
		return "rediss://" + s.addr
	}
	return "redis://" + s.addr
}

// Stop ends the server at once, as a crash would. It does nothing to a server that is stopped.
func (s *Server) Stop() { s.end(syscall.SIGKILL) }

// Shutdown ends the server gracefully: after the next Start it has all acknowledged data.
func (s *Server) Shutdown() { s.end(syscall.SIGTERM) }

func (s *Server) end(signal syscall.Signal) {
	if s.process != nil {
		s.process.end(signal)
		s.process = nil
	}
}

// Start starts a stopped server again, at the same address and with the data it has on disk.
func (s *Server) Start() {
	s.t.Helper()
	if s.process == nil && !s.start() {
		s.t.Fatalf("redis-server does not start again at %s", s.addr)
	}
}

// Freeze stops the server from answering, with its connections open, until Thaw.
func (s *Server) Freeze() { s.process.signal(syscall.SIGSTOP) }

// Thaw continues a frozen server.
func (s *Server) Thaw() { s.process.signal(syscall.SIGCONT) }

// start returns false if the port is taken.
func (s *Server) start() bool {
	s.t.Helper()
	s.process = run(s.t, s.args...)
	err := within(s.process, func() error { return ping(s.addr, s.tls) })
	if err == nil {
		return true
	}
	s.Stop()
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	if bytes.Contains(log, []byte("Address already in use")) {
		return false
	}
	s.t.Fatalf("redis-server %s: %v\n%s", strings.Join(s.args, " "), err, log)
	return false
}

// within calls try until it succeeds, the process ends or the timeout passes.
func within(p *process, try func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("redis-server has ended: %w (%w)", err, p.err)
		case <-ctx.Done():
			return err
		case <-ticks.C:
		}
	}
}

// ping returns nil if the server is ready for commands.
func ping(addr string, secure *tls.Config) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if secure != nil {
		conn = tls.Client(conn, secure)
	}
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err == nil && !bytes.HasPrefix(answer[:n], []byte("+PONG")) && !bytes.HasPrefix(answer[:n], []byte("-NOAUTH")) {
		err = fmt.Errorf("PING is answered %q", answer[:n])
	}
	return err
}

// folder is a temporary folder that the server's user owns, unlike t.TempDir, which only root can read.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if user := unprivileged(t); user != nil {
		if err := os.Chown(dir, int(user.Uid), int(user.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// freeAddress is a free port of a loopback host.
func freeAddress(t testing.TB, host string) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// program finds redis-server. Without it, the test fails.
func program(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("these tests need redis-server: scripts/install-packages redis-server (%v)", err)
	}
	return path
}
