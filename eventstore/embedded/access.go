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
	for name, user := range o.Users {
		// Names with a $ are those of groups, in access control lists.
		if name == "" || user.Password == "" || strings.Contains(name, ":") || strings.HasPrefix(name, "$") {
			return fmt.Errorf("user %q: a name and a password are needed, and no colon in the name and no $ in front of it", name)
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
	users map[string]credential
}

// credential is what a caller must know. The password is a hash, so that comparing takes the same time for every password.
type credential struct {
	password [sha256.Size]byte
	caller   caller
}

func newAuthenticator(users map[string]User) authenticator {
	g := authenticator{users: make(map[string]credential, len(users))}
	for name, user := range users {
		g.users[name] = credential{sha256.Sum256([]byte(user.Password)), caller{name, user.Administrator}}
	}
	return g
}

// openServices are the services that anyone may call, as on EventStoreDB.
var openServices = []string{"/event_store.client.gossip.", "/event_store.client.server_features."}

// authenticate returns who makes a call, nil for somebody who may do everything.
func (g authenticator) authenticate(ctx context.Context, method string) (*caller, error) {
	if len(g.users) == 0 {
		return nil, nil
	}
	for _, open := range openServices {
		if strings.HasPrefix(method, open) {
			return nil, nil
		}
	}
	if from, ok := peer.FromContext(ctx); ok && from.Addr.Network() == "unix" {
		return nil, nil
	}
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return nil, errAccessDenied{}
	}
	name, password, ok := basicCredentials(values[0])
	want, known := g.users[name]
	got := sha256.Sum256([]byte(password))
	if same := subtle.ConstantTimeCompare(got[:], want.password[:]) == 1; !ok || !known || !same {
		return nil, errUnauthenticated{}
	}
	return &want.caller, nil
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
