package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"

	"loyalty/eventstore/embedded"
)

const (
	appenders    = 64
	payloadBytes = 300
)

// idle is a server that stores nothing: appends are acknowledged unread, reads answer one canned event over and over. What
// the client reaches against it is what the client can reach at all.
type idle struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer
	position atomic.Uint64
}

func (s *idle) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: "24.10.0"}, nil
}

func (s *idle) Append(stream streams.Streams_AppendServer) error {
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	position := s.position.Add(2)
	return stream.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: 1},
		PositionOption: &streams.AppendResp_Success_Position{
			Position: &streams.AppendResp_Position{CommitPosition: position, PreparePosition: position}},
	}}})
}

func (s *idle) Read(req *streams.ReadReq, stream streams.Streams_ReadServer) error {
	canned := &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id:               &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: -5, LeastSignificantBits: 7}}},
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("order-00000000")},
			StreamRevision:   1, PreparePosition: 1_000_000, CommitPosition: 1_000_000,
			Metadata: map[string]string{"type": "order-placed.v1", "content-type": "application/json", "created": "17000000000000000"},
			Data:     make([]byte, payloadBytes),
		},
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: 1_000_000},
	}}}
	for range req.GetOptions().GetCount() {
		if err := stream.Send(canned); err != nil {
			return err
		}
	}
	return nil
}

// startIdle serves idle over a Unix socket and connects to it.
func startIdle(t testing.TB) *esdb.Client {
	path := filepath.Join(t.TempDir(), "idle.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server, service := grpc.NewServer(), &idle{}
	streams.RegisterStreamsServer(server, service)
	serverfeatures.RegisterServerFeaturesServer(server, service)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	return dial(t, "unix://"+path)
}

// appendFor has 64 appenders append two 300-byte events to new streams for n appends, and answers appends a second.
func appendFor(b *testing.B, db *esdb.Client, n int, run int) float64 {
	b.Helper()
	if _, err := db.GetServerVersion(); err != nil { // one serial call first: the client connects with it
		b.Fatal(err)
	}
	var next atomic.Int64
	var appending sync.WaitGroup
	started := time.Now()
	for range appenders {
		appending.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				pair := []esdb.EventData{
					{EventID: uuid.New(), EventType: "order-placed.v1", ContentType: esdb.ContentTypeJson, Data: make([]byte, payloadBytes)},
					{EventID: uuid.New(), EventType: "points-awarded.v1", ContentType: esdb.ContentTypeJson, Data: make([]byte, payloadBytes)},
				}
				_, err := db.AppendToStream(context.Background(), fmt.Sprintf("order-%d-%08d", run, i), esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, pair...)
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	appending.Wait()
	return float64(n) / time.Since(started).Seconds()
}

// BenchmarkAppend compares 64 concurrent appenders of two 300-byte events against this store with the same against a server
// that stores nothing, in turn, so that both meet the machine in the same state.
func BenchmarkAppend(b *testing.B) {
	const rounds, each = 5, 20_000
	dir := b.TempDir()
	open(b, embedded.Options{Dir: dir})
	stored, nothing := connect(b, dir), startIdle(b)
	appendFor(b, stored, 2000, -1)
	appendFor(b, nothing, 2000, -1)
	run := 0
	for b.Loop() {
		var real, bare float64
		for range rounds {
			bare += appendFor(b, nothing, each, run) / rounds
			real += appendFor(b, stored, each, run) / rounds
			run++
		}
		b.ReportMetric(real, "appends/s")
		b.ReportMetric(bare, "bare-appends/s")
		b.ReportMetric(real/bare, "ratio")
	}
}

// readFor reads n events of $all and answers events a second.
func readFor(b *testing.B, db *esdb.Client, n int) float64 {
	b.Helper()
	started := time.Now()
	stream, err := db.ReadAll(context.Background(), esdb.ReadAllOptions{From: esdb.Start{}}, uint64(n))
	if err != nil {
		b.Fatal(err)
	}
	defer stream.Close()
	for range n {
		if _, err := stream.Recv(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(started).Seconds()
}

// BenchmarkReadAll compares reading a million events of $all from this store with reading as many canned ones.
func BenchmarkReadAll(b *testing.B) {
	const total, batch = 1_000_000, 1000
	dir := b.TempDir()
	open(b, embedded.Options{Dir: dir})
	stored, nothing := connect(b, dir), startIdle(b)
	for i := range total / batch {
		var many []esdb.EventData
		for range batch {
			many = append(many, esdb.EventData{EventID: uuid.New(), EventType: "order-placed.v1", ContentType: esdb.ContentTypeJson, Data: make([]byte, payloadBytes)})
		}
		write(b, stored, fmt.Sprintf("order-%08d", i), esdb.NoStream{}, many...)
	}
	runtime.GC()
	for b.Loop() {
		bare := readFor(b, nothing, total)
		real := readFor(b, stored, total)
		b.ReportMetric(real, "events/s")
		b.ReportMetric(bare, "canned-events/s")
		b.ReportMetric(real/bare, "ratio")
	}
}

// BenchmarkMemory fills a store and reports what the process holds, on Go's heap and in all, at one and at ten million
// events: it must be the same. Each time the newest million is read first, so that Pebble's cache of blocks is as full as it
// gets.
func BenchmarkMemory(b *testing.B) {
	const batch, million = 500, 1_000_000
	dir := b.TempDir()
	open(b, embedded.Options{Dir: dir})
	db := connect(b, dir)
	var filled atomic.Int64
	fill := func(total int64) {
		var filling sync.WaitGroup
		for range 4 {
			filling.Go(func() {
				data := make([]byte, payloadBytes*batch)
				for n := filled.Add(batch); n <= total; n = filled.Add(batch) {
					_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}).Read(data)
					many := make([]esdb.EventData, batch)
					for i := range many {
						many[i] = esdb.EventData{EventID: uuid.New(), EventType: "order-placed.v1", ContentType: esdb.ContentTypeBinary,
							Data: data[i*payloadBytes:][:payloadBytes]}
					}
					if _, err := db.AppendToStream(b.Context(), fmt.Sprintf("order-%08d", n), esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, many...); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		filling.Wait()
		filled.Store(total)
	}
	measure := func(total uint64) (heap, resident float64) {
		from := esdb.Position{Commit: total - million + 1, Prepare: total - million + 1}
		stream, err := db.ReadAll(b.Context(), esdb.ReadAllOptions{From: from}, million)
		if err != nil {
			b.Fatal(err)
		}
		defer stream.Close()
		for range million {
			if _, err := stream.Recv(); err != nil {
				b.Fatal(err)
			}
		}
		debug.FreeOSMemory()
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			b.Fatal(err)
		}
		_, after, _ := strings.Cut(string(status), "VmRSS:")
		if _, err := fmt.Sscan(after, &resident); err != nil {
			b.Fatal(err)
		}
		return float64(heapBytes()) / (1 << 20), resident / (1 << 10)
	}
	appendFor(b, db, 20_000, 0) // small ones first, so that the server remembers as many streams as it ever does
	filled.Store(2 * 20_000)
	for b.Loop() {
		fill(million)
		heap1, resident1 := measure(million)
		fill(10 * million)
		heap10, resident10 := measure(10 * million)
		b.ReportMetric(heap1, "heap-MiB-at-1M")
		b.ReportMetric(heap10, "heap-MiB-at-10M")
		b.ReportMetric(resident1, "rss-MiB-at-1M")
		b.ReportMetric(resident10, "rss-MiB-at-10M")
		b.ReportMetric(resident10/resident1, "ratio")
	}
}
