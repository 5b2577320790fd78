package embedded_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded"
)

// client connects the official client by a connection string.
func client(t *testing.T, connection string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(connection)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = nil
	db, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestOverTCPAUserNeedsTheirPassword(t *testing.T) {
	config, ca := certificate(t)
	dir := t.TempDir()
	server := open(t, embedded.Options{Dir: dir, Addr: "localhost:0", TLS: config, Users: map[string]embedded.User{"loyalty": {Password: "open sesame:", Administrator: true}}})
	_, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	address := "localhost:" + port

	for _, c := range []struct {
		who, connection string
		want            esdb.ErrorCode
	}{
		{"a user", "esdb://loyalty:open%20sesame%3A@" + address + "?tlsCAFile=" + ca, -1},
		{"a user who discovers the cluster", "esdb+discover://loyalty:open%20sesame%3A@" + address + "?tlsCAFile=" + ca, -1},
		{"a wrong password", "esdb://loyalty:sesame@" + address + "?tlsCAFile=" + ca, esdb.ErrorCodeUnauthenticated},
		{"an unknown name", "esdb://ali:open%20sesame%3A@" + address + "?tlsCAFile=" + ca, esdb.ErrorCodeUnauthenticated},
		{"nobody", "esdb://" + address + "?tlsCAFile=" + ca, esdb.ErrorCodeAccessDenied},
	} {
		t.Run(c.who, func(t *testing.T) {
			db, stream := client(t, c.connection), strings.ReplaceAll(c.who, " ", "-")
			_, appending := db.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, event("a"), event("b"))
			_, reading := drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{}, 1))
			_, deleting := db.DeleteStream(t.Context(), stream, esdb.DeleteStreamOptions{})
			for what, err := range map[string]error{"append": appending, "read": reading, "delete": deleting} {
				if code(err) != c.want {
					t.Errorf("%s: got %v (code %d), want code %d", what, err, code(err), c.want)
				}
			}
		})
	}
	t.Run("on the socket nobody asks", func(t *testing.T) {
		write(t, connect(t, dir), "s", esdb.NoStream{}, event("c"))
	})
	t.Run("without TLS nobody gets in", func(t *testing.T) {
		db := client(t, "esdb://"+address+"?tls=false&maxDiscoverAttempts=1")
		if _, err := db.AppendToStream(t.Context(), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event("d")); err == nil {
			t.Error("it was let in")
		}
	})
	t.Run("a client that doesn't trust the certificate stays away", func(t *testing.T) {
		db := client(t, "esdb://loyalty:open%20sesame%3A@"+address+"?maxDiscoverAttempts=1")
		_, err := drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{}, 1))
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("got %v", err)
		}
	})
}

func TestTLSWithoutUsersLetsInWhoeverIsOnThisMachine(t *testing.T) {
	config, ca := certificate(t)
	server := open(t, embedded.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0", TLS: config})
	write(t, client(t, "esdb://"+server.Addr()+"?tlsCAFile="+ca), "s", esdb.NoStream{}, event("a"))
}

func TestARefusedClientCannotKeepTheServerFromClosing(t *testing.T) {
	config, ca := certificate(t)
	server := open(t, embedded.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0", TLS: config, Users: map[string]embedded.User{"a": {Password: "b"}}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client(t, "esdb://"+server.Addr()+"?tlsCAFile="+ca).SubscribeToAll(ctx, esdb.SubscribeToAllOptions{})
	if code(err) == -1 {
		t.Error("it was let in")
	}
	shut(t, server)
}

func TestWhatWouldLetInTooManyIsRefused(t *testing.T) {
	config, users := &tls.Config{}, map[string]embedded.User{"a": {Password: "b"}}
	for _, c := range []struct {
		name    string
		options embedded.Options
		says    string
	}{
		{"every address in plain text", embedded.Options{Addr: ":0"}, "needs TLS and users"},
		{"another address in plain text", embedded.Options{Addr: "192.0.2.1:0"}, "needs TLS and users"},
		{"every address with TLS and no users", embedded.Options{Addr: "0.0.0.0:0", TLS: config}, "needs users"},
		{"passwords in plain text", embedded.Options{Addr: "127.0.0.1:0", Users: users}, "need TLS"},
		{"users without an address", embedded.Options{Users: users}, "give an address"},
		{"TLS without an address", embedded.Options{TLS: config}, "give an address"},
		{"a user without a password", embedded.Options{Addr: "127.0.0.1:0", TLS: config, Users: map[string]embedded.User{"a": {}}}, `user "a"`},
		{"a colon in a name", embedded.Options{Addr: "127.0.0.1:0", TLS: config, Users: map[string]embedded.User{"a:b": {Password: "c"}}}, `user "a:b"`},
		{"a user with the name of a group", embedded.Options{Addr: "127.0.0.1:0", TLS: config, Users: map[string]embedded.User{"$admins": {Password: "c"}}}, `user "$admins"`},
		{"an address without a port", embedded.Options{Addr: "127.0.0.1"}, "missing port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.options.Dir = t.TempDir()
			server, err := embedded.Open(t.Context(), c.options)
			if err == nil {
				shut(t, server)
			}
			if err == nil || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}
