package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// Replica starts a replica of the server, and returns when it has its data.
func (s *Server) Replica() *Server {
	s.t.Helper()
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	replica := Start(s.t, "replicaof", host+" "+port)
	ctx, cancel := context.WithTimeout(s.t.Context(), timeout)
	defer cancel()
	replica.await(ctx, []any{"INFO", "replication"}, "master_link_status:up")
	return replica
}

// await asks a server until its answer holds some text.
func (s *Server) await(ctx context.Context, command []any, text string) {
	s.t.Helper()
	err := within(s.process, func() error {
		answer, err := s.text(ctx, command...)
		if err == nil && !strings.Contains(answer, text) {
			err = fmt.Errorf("no %q in %s", text, answer)
		}
		return err
	})
	if err != nil {
		s.t.Fatalf("%v: %v", command, err)
	}
}
