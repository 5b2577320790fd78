package embeddedtest_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded/embeddedtest"
)

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
