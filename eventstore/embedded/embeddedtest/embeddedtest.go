// Package embeddedtest gives a test an event store that speaks the EventStoreDB protocol, with no container and no other process:
//
//	func TestOrders(t *testing.T) {
//		client := embeddedtest.Client(t)
//		_, err := client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "placed"})
//		…
//	}
//
// Each store is new, empty and of that test alone, so tests may run in parallel. It takes some tens of milliseconds to open.
package embeddedtest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded"
)

// closeTimeout bounds how long a store waits at the end of a test for calls under way.
const closeTimeout = 30 * time.Second

// Client starts a store and connects the official client to it. Both are closed at the end of the test.
func Client(t testing.TB) *esdb.Client {
	t.Helper()
	_, target := Start(t)
	config, err := esdb.ParseConnectionString("esdb://localhost?tls=false")
	if err != nil {
		t.Fatal(err)
	}
	config.Address = target
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// Start starts a store in a folder of the test's own and closes it at the end of the test. It gives that folder, and the gRPC
// target at which clients reach the store, a Unix socket.
func Start(t testing.TB) (dir, target string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "eventstore")
	server, err := embedded.Open(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	if target, err = embedded.SocketTarget(dir); err != nil {
		t.Fatal(err)
	}
	return dir, target
}
