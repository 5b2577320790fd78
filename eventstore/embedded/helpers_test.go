package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/eventstore/embedded"
)

// patience is how long a test waits for what must happen; it is reached only when it doesn't.
const patience = 30 * time.Second

const everything = math.MaxUint64

func open(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	server, err := embedded.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open %s: %v", o.Dir, err)
	}
	t.Cleanup(func() { shut(t, server) })
	return server
}

func shut(t testing.TB, server *embedded.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// dial connects the official client to a gRPC target.
func dial(t testing.TB, target string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString("esdb://127.0.0.1:1?tls=false&defaultDeadline=60000")
	if err != nil {
		t.Fatal(err)
	}
	config.Address, config.Logger = target, nil
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// connect connects the official client to the server of a folder, over its Unix socket.
func connect(t testing.TB, dir string) *esdb.Client {
	t.Helper()
	target, err := embedded.SocketTarget(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dial(t, target)
}

// start serves a new folder and connects to it. The client is closed before the server.
func start(t testing.TB) *esdb.Client {
	t.Helper()
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir})
	return connect(t, dir)
}

// event makes an event with an id derived from its name, so that the same name is the same event.
func event(name string) esdb.EventData {
	return esdb.EventData{
		EventID:     uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)),
		EventType:   "noted.v1",
		ContentType: esdb.ContentTypeJson,
		Data:        fmt.Appendf(nil, `{"name":%q}`, name),
		Metadata:    fmt.Appendf(nil, `{"about":%q}`, name),
	}
}

func typed(name, eventType string) esdb.EventData {
	e := event(name)
	e.EventType = eventType
	return e
}

func events(names ...string) []esdb.EventData {
	var all []esdb.EventData
	for _, name := range names {
		all = append(all, event(name))
	}
	return all
}

func write(t testing.TB, db *esdb.Client, stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) *esdb.WriteResult {
	t.Helper()
	result, err := db.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, events...)
	if err != nil {
		t.Fatalf("append to %s: %v", stream, err)
	}
	return result
}

// code is the client's code of an error, -1 when there is none.
func code(err error) esdb.ErrorCode {
	if err == nil {
		return -1
	}
	var e *esdb.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return esdb.ErrorCodeUnknown
}

func drain(stream *esdb.ReadStream, err error) ([]*esdb.ResolvedEvent, error) {
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var all []*esdb.ResolvedEvent
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
}

func readStream(t testing.TB, db *esdb.Client, stream string, direction esdb.Direction, from esdb.StreamPosition, count uint64) ([]*esdb.ResolvedEvent, error) {
	t.Helper()
	return drain(db.ReadStream(t.Context(), stream, esdb.ReadStreamOptions{Direction: direction, From: from}, count))
}

func readAll(t testing.TB, db *esdb.Client, direction esdb.Direction, from esdb.AllPosition, count uint64) []*esdb.ResolvedEvent {
	t.Helper()
	all, err := drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{Direction: direction, From: from}, count))
	if err != nil {
		t.Fatalf("read $all: %v", err)
	}
	return all
}

// names are the stored ids' order, as the names the events were made from.
func names(all []*esdb.ResolvedEvent) []string {
	var found []string
	for _, e := range all {
		found = append(found, name(e.OriginalEvent()))
	}
	return found
}

func name(e *esdb.RecordedEvent) string {
	var n string
	if _, err := fmt.Sscanf(string(e.Data), `{"name":%q}`, &n); err != nil {
		return e.EventType
	}
	return n
}

func revisions(all []*esdb.ResolvedEvent) []uint64 {
	var found []uint64
	for _, e := range all {
		found = append(found, e.OriginalEvent().EventNumber)
	}
	return found
}

func positions(all []*esdb.ResolvedEvent) []uint64 {
	var found []uint64
	for _, e := range all {
		found = append(found, e.OriginalEvent().Position.Commit)
	}
	return found
}
