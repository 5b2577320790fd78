package replay_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/analytics/replay"
	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

const (
	shoppers  = 50_000
	perAppend = 250
)

// fill has shoppers place n orders, two events each.
func fill(b *testing.B, s *shop, n int) {
	b.Helper()
	rule := domain.DefaultPolicy()
	for i := 0; i < n; i += perAppend {
		s.clock.Add(int64(time.Second / time.Microsecond))
		var events []domain.Event
		for j := i; j < i+perAppend; j++ {
			about := domain.About{CustomerID: domain.CustomerID(fmt.Sprintf("c-%08d", j*7919%shoppers)), OccurredAt: time.UnixMicro(s.clock.Load() + int64(j)).UTC()}
			id := domain.OrderID(fmt.Sprintf("o-%010d", j))
			paid := domain.Money{Minor: int64(j*31%20_000 + 100), Currency: [2]domain.Currency{domain.GBP, domain.EUR}[j%2]}
			points, err := rule.Points(paid)
			if err != nil {
				b.Fatal(err)
			}
			events = append(events,
				order.Placed{About: about, OrderID: id, Items: []string{"sku-1", "sku-2"}, Paid: paid, Method: "card"},
				order.PointsAwarded{About: about, OrderID: id, Points: points, Paid: paid, Policy: rule})
		}
		command := uuid.New()
		m := eventstore.Metadata{Correlation: uuid.NewString(), Causation: command.String(), Actor: "till-7", Channel: domain.Channel([3]string{"store", "mobile", "website"}[i/perAppend%3])}
		at, err := s.store.Append(b.Context(), fmt.Sprintf("order-%d", i), eventstore.NoStream, command, m, events...)
		if err != nil {
			b.Fatal(err)
		}
		s.last = at
	}
}

const double = `id: double-autumn
spendPerPoint: {GBP: 500, EUR: 575}
minimum: {GBP: 500}
multipliers: [{channel: mobile, from: 2026-09-01, until: 2026-11-01, factor: "1.5"}]
`

// BenchmarkWhatIf folds an exported day under another policy, with all that makes it slower and without. Run it with -cpu 1.
func BenchmarkWhatIf(b *testing.B) {
	const orders = 250_000
	s := openShop(b)
	fill(b, s, orders)
	dir := exported(b, s, 0)
	for _, c := range []struct {
		name string
		o    replay.Options
	}{
		{"as it was", replay.Options{}},
		{"policy", replay.Options{Policy: policy(b, "id: more\nspendPerPoint: {GBP: 500, EUR: 575}")}},
		{"policy with multipliers by channel", replay.Options{Policy: policy(b, double), By: replay.ByChannel}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var got *replay.History
			for b.Loop() {
				var err error
				if got, err = replay.FromExport(b.Context(), dir, c.o); err != nil {
					b.Fatal(err)
				}
			}
			if got.Events() != orders {
				b.Fatalf("%d events", got.Events())
			}
			b.ReportMetric(2*orders*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkReplay compares a replay with a client that knows nothing of this system and only counts the events, in turn, on one store.
// One client counts the whole log, another only the events that the replay needs, which are half of it. Of several rounds the
// fastest of each counts, for what else the machine does slows them down by chance.
func BenchmarkReplay(b *testing.B) {
	const orders, rounds = 100_000, 5
	s := openShop(b)
	fill(b, s, orders)
	db, err := esdb.NewClient(&esdb.Configuration{Address: s.target, DisableTLS: true, MaxDiscoverAttempts: 1, GossipTimeout: 5})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		name string
		o    replay.Options
	}{
		{"as it was", replay.Options{}},
		{"policy with multipliers by channel", replay.Options{Policy: policy(b, double), By: replay.ByChannel}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				var counted, same, replayed float64
				for range rounds {
					counted = max(counted, countAll(b, db))
					same = max(same, countSame(b, db, orders))
					began := time.Now()
					h, err := replay.FromLog(b.Context(), s.store, c.o)
					if err != nil || h.Events() != orders {
						b.Fatal(h.Events(), err)
					}
					replayed = max(replayed, orders/time.Since(began).Seconds())
				}
				b.ReportMetric(counted, "counted-log-events/s")
				b.ReportMetric(same, "counted-same-events/s")
				b.ReportMetric(2*replayed, "log-events/s")
				b.ReportMetric(2*replayed/counted, "of-log")
				b.ReportMetric(replayed/same, "of-same")
			}
		})
	}
}

// countAll counts every event of the log, and answers events a second.
func countAll(b *testing.B, db *esdb.Client) float64 {
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

// countSame counts n events of the type that the replay needs, which the server picks out for it too.
func countSame(b *testing.B, db *esdb.Client, n int) float64 {
	b.Helper()
	began := time.Now()
	all, err := db.SubscribeToAll(b.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}, MaxSearchWindow: 1000, CheckpointInterval: 1, Filter: &esdb.SubscriptionFilter{
		Type: esdb.EventFilterType, Prefixes: []string{order.TypePointsAwarded},
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer all.Close()
	for seen := 0; seen < n; {
		said := all.Recv()
		if said.SubscriptionDropped != nil {
			b.Fatal(said.SubscriptionDropped.Error)
		}
		if said.EventAppeared != nil {
			seen++
		}
	}
	return float64(n) / time.Since(began).Seconds()
}
