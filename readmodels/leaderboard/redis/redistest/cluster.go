package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// Cluster is a Redis Cluster of three masters that share all slots.
type Cluster struct{ Servers []*Server }

// StartCluster starts a cluster.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	return startCluster(t, here, here, here)
}

// StartTLSCluster starts a cluster over TLS: on 127.0.0.1, 127.0.0.2 and 127.0.0.3, each with a certificate for itself alone. It has this process
// trust them, until the test ends.
func StartTLSCluster(t testing.TB) *Cluster {
	t.Helper()
	TrustAuthority(t)
	return startCluster(t, place{"127.0.0.1", true}, place{"127.0.0.2", true}, place{"127.0.0.3", true})
}

func startCluster(t testing.TB, places ...place) *Cluster {
	t.Helper()
	c := new(Cluster)
	for _, at := range places {
		_, bus, err := net.SplitHostPort(freeAddress(t, at.host))
		if err != nil {
			t.Fatal(err)
		}
		c.Servers = append(c.Servers, startAt(t, at, "cluster-enabled", "yes", "cluster-port", bus, "cluster-announce-ip", at.host, "cluster-node-timeout", "2000"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := c.assemble(ctx); err != nil {
		t.Fatalf("making a Redis Cluster: %v", err)
	}
	return c
}

// Addrs are the masters' addresses, separated by commas.
func (c *Cluster) Addrs() string {
	var addrs []string
	for _, s := range c.Servers {
		addrs = append(addrs, s.addr)
	}
	return strings.Join(addrs, ",")
}

// assemble assigns each server its share of the slots, introduces all servers to the first, and waits until each knows that all slots are
// served.
func (c *Cluster) assemble(ctx context.Context) error {
	for i, s := range c.Servers {
		first, last := i*slots/len(c.Servers), (i+1)*slots/len(c.Servers)-1
		if err := s.do(ctx, "CLUSTER", "ADDSLOTSRANGE", first, last); err != nil {
			return err
		}
		if err := s.do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1); err != nil {
			return err
		}
	}
	for _, s := range c.Servers[1:] {
		host, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			return err
		}
		bus := strings.TrimSpace(s.value("--cluster-port"))
		if err := c.Servers[0].do(ctx, "CLUSTER", "MEET", host, port, bus); err != nil {
			return err
		}
	}
	for _, s := range c.Servers {
		err := within(s.process, func() error {
			info, err := s.text(ctx, "CLUSTER", "INFO")
			if err == nil && (!strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_size:%d", len(c.Servers)))) {
				err = fmt.Errorf("it is not whole: %s", info)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// value is the value of an argument that the server was started with.
func (s *Server) value(name string) string {
	for i := 0; i+1 < len(s.args); i += 2 {
		if s.args[i] == name {
			return s.args[i+1]
		}
	}
	return ""
}

// do runs one command.
func (s *Server) do(ctx context.Context, command ...any) error {
	_, err := s.text(ctx, command...)
	return err
}

// text runs one command and returns its answer as it would be printed.
func (s *Server) text(ctx context.Context, command ...any) (string, error) {
	client := redis.NewClient(&redis.Options{Addr: s.addr, TLSConfig: s.tls, Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	defer client.Close()
	answer, err := client.Do(ctx, command...).Result()
	return fmt.Sprint(answer), err
}

// Do runs one command, which must succeed, and returns its answer as it would be printed.
func (s *Server) Do(command ...any) string {
	s.t.Helper()
	answer, err := s.text(s.t.Context(), command...)
	if err != nil {
		s.t.Fatalf("%v: %v", command, err)
	}
	return answer
}
