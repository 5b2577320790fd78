package embedded

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// checkAccess makes sure that an address that other machines can reach has TLS and users.
func checkAccess(ctx context.Context, o Options) error {
	if o.Addr == "" {
		if o.TLS != nil || len(o.Users) > 0 {
			return errors.New("TLS and users are for clients that come over TCP: give an address to listen on, or leave them out")
		}
		return nil
	}
	if len(o.Users) > 0 && o.TLS == nil {
		return errors.New("passwords need TLS: clients don't send them without it")
	}
	for name, password := range o.Users {
		if name == "" || password == "" || strings.Contains(name, ":") {
			return fmt.Errorf("user %q: a name and a password are needed, and no colon in the name", name)
		}
	}
	if o.TLS != nil && len(o.Users) > 0 {
		return nil
	}
	local, err := isLoopback(ctx, o.Addr)
	switch {
	case err != nil:
		return fmt.Errorf("the address: %w", err)
	case local:
		return nil
	case o.TLS == nil:
		return fmt.Errorf("address %s can be reached from other machines: that needs TLS and users, or choose a loopback address such as 127.0.0.1", o.Addr)
	}
	return fmt.Errorf("address %s can be reached from other machines: that needs users too, or choose a loopback address such as 127.0.0.1", o.Addr)
}

// isLoopback reports whether only this machine can reach an address: all addresses of its host are loopback.
func isLoopback(ctx context.Context, addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return false, err
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return false, err
	}
	for _, ip := range ips {
		if !ip.IP.IsLoopback() {
			return false, nil
		}
	}
	return true, nil
}

// transport uses TLS on TCP connections. The Unix socket needs none: it is protected by its file's mode.
type transport struct {
	credentials.TransportCredentials
	plain credentials.TransportCredentials
}

func newTransport(config *tls.Config) credentials.TransportCredentials {
	if config == nil {
		return insecure.NewCredentials()
	}
	return transport{TransportCredentials: credentials.NewTLS(config), plain: insecure.NewCredentials()}
}

// ServerHandshake begins a connection.
func (t transport) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if conn.LocalAddr().Network() == "unix" {
		return t.plain.ServerHandshake(conn)
	}
	return t.TransportCredentials.ServerHandshake(conn)
}

// Clone is part of the interface.
func (t transport) Clone() credentials.TransportCredentials {
	return transport{TransportCredentials: t.TransportCredentials.Clone(), plain: t.plain.Clone()}
}

// authenticator authenticates calls. A client on the Unix socket may do everything. Over TCP, if there are users, all calls but those of
// openServices need the name and password of a user.
type authenticator struct {
	users map[string][sha256.Size]byte // password hashes, so that comparing takes the same time for every password
}

func newAuthenticator(users map[string]string) authenticator {
	g := authenticator{users: make(map[string][sha256.Size]byte, len(users))}
	for name, password := range users {
		g.users[name] = sha256.Sum256([]byte(password))
	}
	return g
}

// openServices are the services that anyone may call, as on EventStoreDB.
var openServices = []string{"/event_store.client.gossip.", "/event_store.client.server_features."}

func (g authenticator) authenticate(ctx context.Context, method string) error {
	if len(g.users) == 0 {
		return nil
	}
	for _, open := range openServices {
		if strings.HasPrefix(method, open) {
			return nil
		}
	}
	if from, ok := peer.FromContext(ctx); ok && from.Addr.Network() == "unix" {
		return nil
	}
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return errAccessDenied{}
	}
	name, password, ok := basicCredentials(values[0])
	want, known := g.users[name]
	got := sha256.Sum256([]byte(password))
	if same := subtle.ConstantTimeCompare(got[:], want[:]) == 1; !ok || !known || !same {
		return errUnauthenticated{}
	}
	return nil
}

// basicCredentials reads the Basic scheme of RFC 7617.
func basicCredentials(header string) (name, password string, ok bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(text), ":")
}

// advertised is the host for clients that discover this server: the host that it listens on or, if it listens on all addresses, the address
// that the client has connected to.
func advertised(ctx context.Context, addr string) string {
	host, _, err := net.SplitHostPort(addr)
	ip, notIP := netip.ParseAddr(host)
	if err == nil && host != "" && (notIP != nil || !ip.IsUnspecified()) {
		return host
	}
	if from, ok := peer.FromContext(ctx); ok {
		if local, ok := from.LocalAddr.(*net.TCPAddr); ok {
			return local.IP.String()
		}
	}
	return host
}
