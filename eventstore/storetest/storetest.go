// Package storetest gives tests a real event store.
package storetest

import (
	"os"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/eventstore"
	"loyalty/eventstore/embedded/embeddedtest"
)

// Start runs an embedded event store in a temporary folder until the test ends. It returns the folder, and the connection string at
// which any client reaches the store.
func Start(t testing.TB) (dir, target string) {
	t.Helper()
	return embeddedtest.StartVersion(t, Version())
}

// VersionVariable is the environment variable with the version of EventStoreDB or KurrentDB as which the stores of tests behave, one
// of embedded.Versions. The program reads it too.
const VersionVariable = "LOYALTY_EVENTSTORE_VERSION"

// Version is the value of VersionVariable, empty for the newest.
func Version() string { return os.Getenv(VersionVariable) }

// Imitate is Start for a test in which the store lags, loses events to a scavenge or times out repeats.
func Imitate(t testing.TB) *embeddedtest.Imitator {
	t.Helper()
	return embeddedtest.Imitate(t, Version())
}

// Connect opens the store at a connection string, with every event type of this system, and closes it when the test ends.
func Connect(t testing.TB, target string) *eventstore.Store {
	t.Helper()
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.Open(t.Context(), target, registry, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// Open is Start and Connect.
func Open(t testing.TB) *eventstore.Store {
	t.Helper()
	_, target := Start(t)
	return Connect(t, target)
}

// Others appends n events of another application to the store at a target, by the thousand.
func Others(t testing.TB, target string, n int) {
	t.Helper()
	config, err := esdb.ParseConnectionString("esdb://localhost?tls=false")
	if err != nil {
		t.Fatal(err)
	}
	config.Address, config.Logger = target, esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for n > 0 {
		events := make([]esdb.EventData, min(n, 1000))
		for i := range events {
			events[i] = esdb.EventData{EventID: uuid.New(), EventType: "other-happened", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
		}
		o := esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}
		if _, err := client.AppendToStream(t.Context(), "others-"+uuid.NewString(), o, events...); err != nil {
			t.Fatal(err)
		}
		n -= len(events)
	}
}
