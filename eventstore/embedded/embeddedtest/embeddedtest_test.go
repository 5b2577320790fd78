package embeddedtest_test

import (
	"errors"
	"io"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded/embeddedtest"
)

func TestAnImitatorLagsAndForgetsWhatTheTestSays(t *testing.T) {
	server := embeddedtest.Imitate(t, "")
	config, err := esdb.ParseConnectionString(server.Follower)
	if err != nil {
		t.Fatal(err)
	}
	follower, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	others := server.Others(t, 3)
	server.Scavenge(others[0])
	server.Lag(others[1])
	all, err := follower.ReadAll(t.Context(), esdb.ReadAllOptions{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	if event, err := all.Recv(); err != nil || event.Event.Position.Commit != others[1] {
		t.Errorf("got %v, %v; want the second event", event, err)
	}
	if event, err := all.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v; want the end", event, err)
	}
}

func TestAnEventStoreInATestTakesOneLine(t *testing.T) {
	client := embeddedtest.Client(t)
	placed := esdb.EventData{EventType: "placed", ContentType: esdb.ContentTypeJson, Data: []byte(`{"total": 40}`)}
	if _, err := client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{}, placed); err != nil {
		t.Fatal(err)
	}
	stream, err := client.ReadStream(t.Context(), "order-1", esdb.ReadStreamOptions{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	event, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if string(event.Event.Data) != string(placed.Data) {
		t.Errorf("got %s, want %s", event.Event.Data, placed.Data)
	}
}
