package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"loyalty/bus"
	"loyalty/bus/bustest"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// BenchmarkIntake takes orders that wait in Redis. Each is read, decided, appended to an embedded event store on disk, answered
// in the results topic, and acknowledged.
func BenchmarkIntake(b *testing.B) {
	for _, concurrency := range []int{16, 64} {
		b.Run(fmt.Sprintf("concurrency=%d", concurrency), func(b *testing.B) {
			server := redistest.Start(b, "appendfsync", "everysec")
			broker := open(b, server.URL()+"?concurrency="+strconv.Itoa(concurrency))
			s := bustest.NewSystem(b, bustest.Broker{Publisher: broker.Publisher(), Subscriber: broker.Subscriber, Topics: broker.Topics(), Concurrency: concurrency})
			for i := range b.N {
				s.Send(bustest.Mug("o-"+strconv.Itoa(i), "c-"+strconv.Itoa(i%9973)))
			}
			b.ResetTimer()
			s.Start(nil)
			bustest.WaitFor(b, "all results", func() bool { return server.Do("XLEN", s.Topics.Results) == strconv.Itoa(b.N) })
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
			for _, topic := range []string{s.Topics.Commands, s.Topics.Results} {
				bytes, err := strconv.ParseFloat(server.Do("MEMORY", "USAGE", topic, "SAMPLES", "0"), 64)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(bytes/float64(b.N), "B/"+strings.TrimPrefix(topic, "loyalty."))
			}
		})
	}
}

// BenchmarkEvents publishes integration events to Redis in batches of a thousand.
func BenchmarkEvents(b *testing.B) {
	server := redistest.Start(b, "appendfsync", "everysec")
	broker := open(b, server.URL())
	s := bustest.NewSystem(b, bustest.Broker{Publisher: broker.Publisher(), Topics: broker.Topics()})
	at, err := s.Commands.AdjustPoints(b.Context(), bustest.Goodwill("alice", "l-1", 5))
	if err != nil {
		b.Fatal(err)
	}
	var recorded eventstore.Recorded
	if _, err := s.Store.Between(b.Context(), domain.Checkpoint{}, at.Position, []string{account.TypePointsAdjusted}, func(r eventstore.Recorded) error {
		recorded = r
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	events := bus.NewEvents(bus.EventsOptions{Store: s.Store, Publisher: broker.Publisher(), Topic: broker.Topics().Events, FromStart: true})
	if _, err := events.Checkpoint(b.Context()); err != nil {
		b.Fatal(err)
	}
	batch := projections.Batch{To: domain.CheckpointAt(at.Position), Events: make([]eventstore.Recorded, 1000)}
	for i := range batch.Events {
		batch.Events[i] = recorded
	}
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= len(batch.Events) {
		batch.Events = batch.Events[:min(left, len(batch.Events))]
		if err := events.Apply(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	bytes, err := strconv.ParseFloat(server.Do("MEMORY", "USAGE", broker.Topics().Events, "SAMPLES", "0"), 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(bytes/float64(b.N), "B/event")
}
