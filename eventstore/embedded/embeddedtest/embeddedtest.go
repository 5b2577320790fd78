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
	"github.com/google/uuid"

	"loyalty/eventstore/embedded"
)

// closeTimeout bounds how long a store waits at the end of a test for calls under way.
const closeTimeout = 30 * time.Second

// Client starts a store and connects the official client to it. Both are closed at the end of the test.
func Client(t testing.TB) *esdb.Client {
	t.Helper()
	_, target := Start(t)
	return connect(t, target)
}

func connect(t testing.TB, target string) *esdb.Client {
	t.Helper()
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
	return StartVersion(t, "")
}

// StartVersion is Start for a store that behaves as one of embedded.Versions, or as the newest.
func StartVersion(t testing.TB, version string) (dir, target string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "eventstore")
	_, target = serve(t, embedded.Options{Dir: dir, Version: version})
	return dir, target
}

func serve(t testing.TB, o embedded.Options) (server *embedded.Server, target string) {
	t.Helper()
	server, err := embedded.Open(t.Context(), o)
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
	if target, err = embedded.SocketTarget(o.Dir); err != nil {
		t.Fatal(err)
	}
	return server, target
}

// Imitator is a store to which a test does what befalls others in production: see embedded.Imitation.
type Imitator struct {
	*embedded.Imitation
	// Target is the connection string of the Unix socket. Leader and Follower are those of two nodes of the cluster that the store then
	// seems to be.
	Target, Leader, Follower string
	client                   *esdb.Client
}

// Imitate starts a store that behaves as one of embedded.Versions, or as the newest, to which nothing happens until the test says so. It closes
// it at the end of the test.
func Imitate(t testing.TB, version string) *Imitator {
	t.Helper()
	i := &embedded.Imitation{}
	server, target := serve(t, embedded.Options{
		Dir: filepath.Join(t.TempDir(), "eventstore"), Addr: "127.0.0.1:0", Version: version, Imitation: i,
	})
	address := func(node string) string { return "esdb://" + node + "?tls=false" }
	return &Imitator{Imitation: i, Target: target, Leader: address(server.Addr()), Follower: address(i.Follower()), client: connect(t, target)}
}

// Others appends n events of another application (type other-happened, stream others-…) and returns their positions.
func (i *Imitator) Others(t testing.TB, n int) []uint64 {
	t.Helper()
	positions := make([]uint64, n)
	for k := range positions {
		result, err := i.client.AppendToStream(t.Context(), "others-"+uuid.NewString(), esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}},
			esdb.EventData{EventType: "other-happened", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)})
		if err != nil {
			t.Fatal(err)
		}
		positions[k] = result.CommitPosition
	}
	return positions
}
