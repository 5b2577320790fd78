package export_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/analytics/export"
	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// fill has shoppers place n orders, two events each.
func fill(b *testing.B, store *eventstore.Store, n int) {
	b.Helper()
	var next atomic.Int64
	var filling sync.WaitGroup
	begin := time.Now().UTC().Truncate(time.Microsecond)
	policy := domain.DefaultPolicy()
	for range 64 {
		filling.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				about := domain.About{CustomerID: domain.CustomerID(fmt.Sprintf("c-%08d", i*7919%50_000)), OccurredAt: begin.Add(time.Duration(i) * time.Millisecond)}
				id := domain.OrderID(fmt.Sprintf("o-%010d", i))
				paid := domain.Money{Minor: int64(i*31%20_000 + 100), Currency: domain.GBP}
				points, err := policy.Points(paid)
				if err != nil {
					b.Error(err)
					return
				}
				command := uuid.New()
				_, err = store.Append(b.Context(), "order-"+string(id), eventstore.NoStream, command,
					eventstore.Metadata{Correlation: uuid.NewString(), Causation: command.String(), Actor: "till-7", Channel: domain.Store},
					order.Placed{About: about, OrderID: id, Items: []string{"sku-1", "sku-2"}, Paid: paid, Method: "card"},
					order.PointsAwarded{About: about, OrderID: id, Points: points, Paid: paid, Policy: policy})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	filling.Wait()
}

// countFor has a client that knows nothing of this system count the events, and answers events a second.
func countFor(b *testing.B, db *esdb.Client) float64 {
	b.Helper()
	began := time.Now()
	stream, err := db.ReadAll(b.Context(), esdb.ReadAllOptions{From: esdb.Start{}}, math.MaxUint64)
	if err != nil {
		b.Fatal(err)
	}
	defer stream.Close()
	for n := 0; ; n++ {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return float64(n) / time.Since(began).Seconds()
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// processor is how many seconds the processors have worked for this process, which has the server in it too.
func processor(b *testing.B) float64 {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}

// BenchmarkExport compares an export with a client that only counts the events, in turn, on one store.
func BenchmarkExport(b *testing.B) {
	const rounds = 6
	_, target := storetest.Start(b)
	store := storetest.Connect(b, target)
	fill(b, store, 200_000)
	db, err := esdb.NewClient(&esdb.Configuration{Address: target, DisableTLS: true, MaxDiscoverAttempts: 1, GossipTimeout: 5})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, format := range []export.Format{export.Parquet, export.CSV, export.JSONLines} {
		b.Run(string(format), func(b *testing.B) {
			for b.Loop() {
				var counted, exported, bytes, counting, exporting float64
				for range rounds {
					idle := processor(b)
					counted += countFor(b, db) / rounds
					counting += processor(b) - idle
					began, idle := time.Now(), processor(b)
					m, err := export.Run(b.Context(), store, export.Options{Dir: filepath.Join(b.TempDir(), "out"), Format: format, Types: export.Types()})
					if err != nil {
						b.Fatal(err)
					}
					exporting += processor(b) - idle
					exported += float64(m.Events) / time.Since(began).Seconds() / rounds
					bytes = 0
					for _, file := range m.Files {
						bytes += float64(file.Bytes) / float64(m.Events)
					}
				}
				b.ReportMetric(counted, "counted-events/s")
				b.ReportMetric(exported, "events/s")
				b.ReportMetric(exported/counted, "ratio")
				b.ReportMetric(counting/exporting, "processor-ratio")
				b.ReportMetric(bytes, "bytes/event")
			}
		})
	}
}

// BenchmarkMemory exports a log of half a million events, and the same log at two million, and reports the most that was on Go's
// heap meanwhile, the server's part too: it must be the same.
func BenchmarkMemory(b *testing.B) {
	_, target := storetest.Start(b)
	store := storetest.Connect(b, target)
	filled := 0
	peak := func(total int) float64 {
		for ; filled < total; filled += 500 {
			events := make([]domain.Event, 500)
			for i := range events {
				events[i] = storetest.Adjusted(domain.CustomerID(fmt.Sprint("c-", (filled+i)%50_000)), 1)
			}
			if _, err := store.Append(b.Context(), fmt.Sprint("account-", filled), eventstore.NoStream, uuid.New(), eventstore.Metadata{Correlation: uuid.NewString()}, events...); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		var most uint64
		if _, err := export.Run(b.Context(), store, export.Options{Dir: filepath.Join(b.TempDir(), "out"), Format: export.Parquet, Types: export.Types(),
			Progress: func(string, uint64, uint64) {
				metrics.Read(heap)
				most = max(most, heap[0].Value.Uint64())
			}}); err != nil {
			b.Fatal(err)
		}
		return float64(most) / (1 << 20)
	}
	for b.Loop() {
		half, two := peak(500_000), peak(2_000_000)
		b.ReportMetric(half, "MiB-at-0.5M")
		b.ReportMetric(two, "MiB-at-2M")
		b.ReportMetric(two/half, "ratio")
	}
}
