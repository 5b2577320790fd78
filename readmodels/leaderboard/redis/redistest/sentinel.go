package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// MasterName is the name of the master in Sentinel.
const MasterName = "board"

// Sentinel is a master and a replica under three sentinels: if the master has not answered for half a second, two of them agree and promote the
// replica.
type Sentinel struct {
	Master, Replica *Server
	sentinels       []*Server
}

// StartSentinel starts a Sentinel, and returns when the replica has its master's data and the sentinels know all servers.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	s := &Sentinel{Master: Start(t)}
	s.Replica = s.Master.Replica()
	host, port, err := net.SplitHostPort(s.Master.addr)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.sentinels = append(s.sentinels, startSentinel(t, here, host, port, 2))
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for _, sentinel := range s.sentinels {
		sentinel.await(ctx, []any{"SENTINEL", "CKQUORUM", MasterName}, "OK 3 usable")
		sentinel.await(ctx, []any{"INFO", "sentinel"}, "slaves=1,sentinels=3")
	}
	return s
}

// StartTLSSentinel starts a master on 127.0.0.2 and one sentinel on 127.0.0.1, over TLS, each with a certificate for itself alone. It has this
// process trust them, until the test ends.
func StartTLSSentinel(t testing.TB) *Sentinel {
	t.Helper()
	TrustAuthority(t)
	s := &Sentinel{Master: startAt(t, place{"127.0.0.2", true})}
	host, port, err := net.SplitHostPort(s.Master.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.sentinels = []*Server{startSentinel(t, place{"127.0.0.1", true}, host, port, 1)}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	s.sentinels[0].await(ctx, []any{"SENTINEL", "CKQUORUM", MasterName}, "OK 1 usable")
	return s
}

// Addrs are the sentinels' addresses, separated by commas.
func (s *Sentinel) Addrs() string {
	var addrs []string
	for _, sentinel := range s.sentinels {
		addrs = append(addrs, sentinel.addr)
	}
	return strings.Join(addrs, ",")
}

// startSentinel starts one of the sentinels that watch the master at host and port. Its configuration is a file, because it rewrites it.
func startSentinel(t testing.TB, at place, host, port string, quorum int) *Server {
	t.Helper()
	for {
		s := newServer(t, at, nil)
		config := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s %[4]d\nsentinel down-after-milliseconds %[1]s 500\n"+
			"sentinel failover-timeout %[1]s 3000\nsentinel parallel-syncs %[1]s 1\n", MasterName, host, port, quorum)
		file := filepath.Join(s.dir, "sentinel.conf")
		if err := os.WriteFile(file, []byte(config), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o666); err != nil {
			t.Fatal(err)
		}
		s.args = append([]string{file, "--sentinel"}, s.args...)
		if s.start() {
			return s
		}
	}
}
