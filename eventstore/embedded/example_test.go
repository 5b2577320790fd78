package embedded_test

import (
	"context"
	"fmt"
	"os"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded"
)

// A store is opened on a folder, and the official client appends to it and reads from it. In a test, embeddedtest.Client does
// the first half.
func Example() {
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "eventstore"))
	defer os.RemoveAll(dir)

	server := must(embedded.Open(ctx, embedded.Options{Dir: dir, Addr: "127.0.0.1:0"}))
	defer server.Close(ctx)
	client := must(esdb.NewClient(must(esdb.ParseConnectionString("esdb://" + server.Addr() + "?tls=false"))))
	defer client.Close()

	placed := esdb.EventData{EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: []byte(`{"total": 40}`)}
	must(client.AppendToStream(ctx, "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, placed))

	stream := must(client.ReadStream(ctx, "order-1", esdb.ReadStreamOptions{}, 10))
	defer stream.Close()
	event := must(stream.Recv()).Event
	fmt.Println(event.StreamID, event.EventNumber, event.EventType, string(event.Data))
	// Output: order-1 0 order-placed {"total": 40}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
